// Reductions.
#include "frontends/onnx/ops/reduce.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace oc::from_onnx {
namespace {

struct Over {
  std::vector<int64_t> axes;
  bool keep = true;
};

// Axes: an attribute in old opsets, an input in new ones; none given means all, or none with noop_with_empty_axes.
Over read_axes(const Call& n) {
  const int64_t rank = n.rank(n.in(0));
  const auto given = n.integers_or_input("axes", 1);
  Over over{{}, n.flag("keepdims", true)};
  if (given && !given->empty()) {
    over.axes = normal_axes(*given, rank);
  } else if (!n.flag("noop_with_empty_axes", false)) {
    over.axes = axes_from(0, rank);
  }
  return over;
}

ValueId reduce_over(Call& n, std::string_view op, ValueId x, const Over& over) {
  return from_onnx::reduce_over(n, op, x, over.axes, over.keep);
}

}  // namespace

std::vector<int64_t> axes_from(int64_t first, int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(std::max<int64_t>(rank - first, 0)));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

ValueId reduce_over(Call& n, std::string_view op, ValueId x, const std::vector<int64_t>& axes, bool keep) {
  if (axes.empty()) return x;
  const ValueId result = n.emit(op, {x}, {{"axes", axes}});
  if (keep) return result;
  Extents shape;
  for (int64_t d = 0; d < n.rank(x); ++d)
    if (!std::ranges::binary_search(axes, d)) shape.push_back(n.shape(x)[static_cast<size_t>(d)]);
  return n.reshape(result, shape);
}

Moments moments(Call& n, ValueId x, const std::vector<int64_t>& axes) {
  const ValueId centered = n.emit("sub", {x, reduce_over(n, "reduce_mean", x, axes)});
  return {centered, reduce_over(n, "reduce_mean", n.emit("mul", {centered, centered}), axes)};
}

ValueId normalised(Call& n, const Moments& m, double epsilon) {
  const ValueId deviation = n.emit("sqrt", {n.emit("add", {m.variance, n.like(m.variance, epsilon)})});
  return n.emit("div", {m.centered, deviation});
}

Values reduce(Call& n) {
  const bool boolean = n.dtype(n.in(0)) == DType::boolean;  // max and min of booleans, opset 20
  const ValueId x = boolean ? n.cast(n.in(0), DType::u8) : n.in(0);
  const ValueId result = reduce_over(n, n.row.op, x, read_axes(n));
  return {boolean ? n.cast(result, DType::boolean) : result};
}

Values reduce_l1(Call& n) {
  return {reduce_over(n, "reduce_sum", n.emit("abs", {n.in(0)}), read_axes(n))};
}

Values reduce_sum_square(Call& n) {
  return {reduce_over(n, "reduce_sum", n.emit("mul", {n.in(0), n.in(0)}), read_axes(n))};
}

Values reduce_l2(Call& n) {
  const ValueId sum = reduce_over(n, "reduce_sum", n.emit("mul", {n.in(0), n.in(0)}), read_axes(n));
  if (dtype_is_float(n.dtype(sum))) return {n.emit("sqrt", {sum})};
  return {n.cast(n.emit("sqrt", {n.cast(sum, DType::f64)}), n.dtype(sum))};
}

Values reduce_log_sum(Call& n) {
  return {n.emit("log", {reduce_over(n, "reduce_sum", n.in(0), read_axes(n))})};
}

// max + log Σ e^(x − max): no overflow. The maximum is bounded, so that an infinite one does not give ∞ − ∞.
Values reduce_log_sum_exp(Call& n) {
  const Over over = read_axes(n);
  const ValueId x = n.in(0);
  if (over.axes.empty()) return {x};
  constexpr double kLargest = std::numeric_limits<float>::max();
  const ValueId max =
      n.emit("clip", {reduce_over(n, "reduce_max", x, {over.axes, true})}, {{"min", -kLargest}, {"max", kLargest}});
  const ValueId sum = reduce_over(n, "reduce_sum", n.emit("exp", {n.emit("sub", {x, max})}), over);
  return {n.emit("add", {n.emit("log", {sum}), n.reshape(max, n.shape(sum))})};
}

// We have no product reduction; one over few elements, as in shape arithmetic, is a chain of multiplications.
Values reduce_prod(Call& n) {
  const Over over = read_axes(n);
  ValueId result = n.in(0);
  constexpr int64_t kMaxFactors = 64;
  for (int64_t axis : over.axes) {
    Extents starts(static_cast<size_t>(n.rank(result)), 0), sizes = n.shape(result);
    const Extents steps(sizes.size(), 1);
    const int64_t count = sizes[static_cast<size_t>(axis)];
    if (count > kMaxFactors) user_error("a product of {} elements is not supported; up to {} are", count, kMaxFactors);
    sizes[static_cast<size_t>(axis)] = 1;
    ValueId all = count == 0 ? n.expand(n.like(result, 1), sizes) : ValueId();
    for (int64_t i = 0; i < count; ++i) {
      starts[static_cast<size_t>(axis)] = i;
      const ValueId one = n.emit("slice", {result}, {{"starts", starts}, {"sizes", sizes}, {"steps", steps}});
      all = i == 0 ? one : n.emit("mul", {all, one});
    }
    result = all;
  }
  if (over.keep) return {result};
  Extents shape;
  for (int64_t d = 0; d < n.rank(result); ++d)
    if (!std::ranges::binary_search(over.axes, d)) shape.push_back(n.shape(result)[static_cast<size_t>(d)]);
  return {n.reshape(result, shape)};
}

}  // namespace oc::from_onnx
