// CumSum and CumProd: log₂ n passes over the axis. After the pass with distance d each element is that of 2·d inputs:
//   x[i] ← x[i] ∘ x[i − d],  d = 1, 2, 4, …
#include "base/error.h"
#include "frontends/onnx/call.h"

namespace oc::from_onnx {
namespace {

// x[i − distance] along the axis, `fill` where there is none.
ValueId shifted(Call& n, ValueId x, int64_t axis, int64_t distance, double fill) {
  const auto rank = static_cast<size_t>(n.rank(x));
  std::vector<int64_t> pads(2 * rank, 0);
  pads[static_cast<size_t>(axis)] = distance;
  pads[static_cast<size_t>(axis) + rank] = -distance;
  return n.emit("pad", {x}, {{"pads", pads}, {"mode", std::string("constant")}, {"value", fill}});
}

}  // namespace

Values cumulate(Call& n) {
  ValueId x = n.in(0);
  const auto axis = normal_axis(n.demand_integer(1, "axis"), n.rank(x));
  const double neutral = n.row.op == "mul" ? 1 : 0;
  const int64_t count = n.shape(x)[static_cast<size_t>(axis)], sign = n.flag("reverse", false) ? -1 : 1;
  if (n.flag("exclusive", false)) x = shifted(n, x, axis, sign, neutral);
  for (int64_t d = 1; d < count; d *= 2) x = n.emit(n.row.op, {x, shifted(n, x, axis, sign * d, neutral)});
  return {x};
}

}  // namespace oc::from_onnx
