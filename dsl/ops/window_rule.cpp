#include "dsl/ops/window_rule.h"

#include <algorithm>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

enum Dim4 : size_t { kN, kC, kY, kX };
constexpr int64_t kMaxWindow = 1 << 20;  // of any attribute; keeps index arithmetic in 32 bits

Extents read(const NodeView& node, std::string_view name, size_t count, int64_t fallback, int64_t min) {
  Extents values = node.attrs().integers(name, Extents(count, fallback));
  if (values.size() != count) user_error("'{}' has {} values, needs {}", name, values.size(), count);
  for (int64_t v : values)
    if (v < min || v > kMaxWindow) user_error("'{}' holds {}, must be {} to {}", name, v, min, kMaxWindow);
  return values;
}

}  // namespace

std::vector<AttrSpec> window_attr_specs() {
  using enum AttrSpec::Type;
  return {{"strides", integers, false}, {"pads", integers, false}, {"dilations", integers, false}};
}

Window window_attrs(const NodeView& node, const std::vector<Dim>& kernel) {
  Window window;
  for (const Dim& dim : kernel) {
    if (!dim.known() || dim.extent < 1 || dim.extent > kMaxWindow)
      user_error("the window's extents must be known and at least 1");
    window.kernel.push_back(dim.extent);
  }
  window.strides = read(node, "strides", 2, 1, 1);
  window.pads = read(node, "pads", 4, 0, 0);
  window.dilations = read(node, "dilations", 2, 1, 1);
  return window;
}

std::array<Dim, 2> window_output(const Shape& x, const Window& window) {
  std::array<Dim, 2> out;
  for (size_t i = 0; i < 2; ++i) {
    if (!x[kY + i].known()) continue;
    if (x[kY + i].extent == 0) user_error("a window over a dim without elements");
    const int64_t reach = window.dilations[i] * (window.kernel[i] - 1) + 1;
    const int64_t room = x[kY + i].extent + window.pads[i] + window.pads[i + 2] - reach;
    if (room < 0)
      user_error("a window of {} over {} elements with pads {} and {}", reach, x[kY + i].extent, window.pads[i],
                 window.pads[i + 2]);
    out[i] = Dim(room / window.strides[i] + 1);
  }
  return out;
}

std::array<Halide::Expr, 2> window_output_size(const Operand& x, const Window& window) {
  std::array<Halide::Expr, 2> out;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t reach = window.dilations[i] * (window.kernel[i] - 1) + 1;
    const int more = static_cast<int>(window.pads[i] + window.pads[i + 2] - reach);
    const int stride = static_cast<int>(window.strides[i]);
    out[i] = Halide::Internal::simplify((x.size(kY + i) + more) / stride + 1);
  }
  return out;
}

Halide::Expr PaddedInput::at(const Halide::Expr& n, const Halide::Expr& c, const Halide::Expr& oy,
                             const Halide::Expr& ox, const Halide::Expr& ky, const Halide::Expr& kx) const {
  auto coordinate = [&](size_t i, const Halide::Expr& o, const Halide::Expr& k) {
    return o * static_cast<int>(window.strides[i]) + k * static_cast<int>(window.dilations[i]) -
           static_cast<int>(window.pads[i]);
  };
  const Index index{n, c, coordinate(0, oy, ky), coordinate(1, ox, kx)};
  return stage != nullptr ? stage->at(index) : source.at(index);
}

PaddedInput padded_input(OpCall& call, const Window& window, double fill, Reach reach) {
  PaddedInput result{window, call.inputs[0], nullptr};
  const bool pads = std::ranges::any_of(window.pads, [](int64_t pad) { return pad > 0; });
  if (!pads && reach == Reach::output) return result;
  const Halide::Var n("d0"), c("d1"), y("d2"), x("d3");
  const Operand& in = call.inputs[0];
  const Halide::Expr height = in.size(kY), width = in.size(kX);
  const Halide::Expr value = in.at({n, c, Halide::clamp(y, 0, height - 1), Halide::clamp(x, 0, width - 1)});
  const Halide::Expr inside = Halide::likely(y >= 0 && y < height) && Halide::likely(x >= 0 && x < width);
  result.stage = &call.stage("pad", {n, c, y, x}, Halide::select(inside, value, constant_of(value.type(), fill)));
  return result;
}

Halide::Expr SummedChannels::at(const Index& r) const {
  return extents.size() == 1 ? r[0] : r[0] * static_cast<int>(extents[1]) + r[1];
}

SummedChannels summed_channels(const Operand& x, int64_t channels) {
  const int64_t block = x.type.layout.block(1);
  if (block == 1 || channels % block != 0) return {{channels}};
  return {{channels / block, block}};
}

}  // namespace oc
