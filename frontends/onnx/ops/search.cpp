// Ops that find positions, or place things at them.
#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

// The position of the extremum along an axis, which stays with extent 1; of several the first or the last. The first
// NaN comes before all numbers, as in numpy.
ValueId extremum_position(Call& n, ValueId x, std::string_view reduction, int64_t axis, bool last) {
  const int64_t count = n.shape(x)[static_cast<size_t>(axis)];
  if (count == 0) user_error("it has no elements along axis {}", axis);
  if (n.dtype(x) == DType::boolean) x = n.cast(x, DType::u8);
  ValueId found = n.emit("equal", {x, reduce_over(n, reduction, x, {axis})});
  if (dtype_is_float(n.dtype(x))) found = n.emit("or", {found, n.emit("is_nan", {x})});
  const ValueId at = positions(n, count, axis, n.rank(x));
  const ValueId candidates = n.emit("where", {found, at, n.like(at, last ? -1.0 : static_cast<double>(count))});
  return reduce_over(n, last ? "reduce_max" : "reduce_min", candidates, {axis});
}

}  // namespace

Values arg_extremum(Call& n) {
  const ValueId x = n.in(0);
  if (n.rank(x) == 0) user_error("its input must not be a scalar");
  const int64_t axis = normal_axis(n.integer("axis", 0), n.rank(x));
  const ValueId at = extremum_position(n, x, n.row.op, axis, n.flag("select_last_index", false));
  if (n.flag("keepdims", true)) return {at};
  Extents shape = n.shape(at);
  shape.erase(shape.begin() + axis);
  return {n.reshape(at, shape)};
}

// 1 at the first largest element along the axis, else 0. Before opset 13 all dims from the axis on are one.
Values hardmax(Call& n) {
  const Extents shape = n.shape(n.in(0));
  const auto rank = static_cast<int64_t>(shape.size());
  int64_t axis = normal_axis(n.integer("axis", n.opset < 13 ? 1 : -1), rank);
  ValueId x = n.in(0);
  if (n.opset < 13) {
    const std::span<const int64_t> dims(shape);
    const auto at = static_cast<size_t>(axis);
    x = n.reshape(x, {product(dims.first(at)), product(dims.subspan(at))});
    axis = 1;
  }
  const int64_t count = n.shape(x)[static_cast<size_t>(axis)];
  const ValueId at = extremum_position(n, x, "reduce_max", axis, false);
  const ValueId chosen = n.emit("equal", {positions(n, count, axis, n.rank(x)), at});
  return {n.reshape(n.cast(chosen, n.dtype(x)), shape)};
}

// The place of each element along the last dim in the order wanted: how many come before it. Equal ones come in the
// order in which they stand, NaN as the largest.
// Compares every pair: for thousands, not for millions.
Values top_k(Call& n) {
  constexpr int64_t kMostPairs = int64_t{1} << 28;
  ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  if (rank == 0) user_error("its input must not be a scalar");
  const int64_t axis = normal_axis(n.integer("axis", -1), rank), last = rank - 1;
  const int64_t k = n.opset < 10 ? n.integer("k") : n.demand_integer(1, "k");
  const int64_t count = n.shape(x)[static_cast<size_t>(axis)];
  if (k < 0 || k > count) user_error("its k is {} of {} elements", k, count);
  if (count > 0 && product(n.shape(x)) > kMostPairs / count)
    user_error("{} elements along axis {} are too many for it", count, axis);
  std::vector<int64_t> swap = axes_from(0, rank);
  std::swap(swap[static_cast<size_t>(axis)], swap.back());
  x = n.transpose(x, swap);
  Extents column = n.shape(x), row = column;
  column.push_back(1);
  row.insert(row.end() - 1, 1);
  const ValueId a = n.reshape(x, column), b = n.reshape(x, row);
  const bool largest = n.flag("largest", true);
  const auto emit = [&](std::string_view op, ValueId p, ValueId q) { return n.emit(op, {p, q}); };
  ValueId before = emit(largest ? "greater" : "less", b, a), tied = emit("equal", a, b);
  if (dtype_is_float(n.dtype(x))) {
    const ValueId a_nan = n.emit("is_nan", {a}), b_nan = n.emit("is_nan", {b});
    before = emit("or", before,
                  largest ? emit("and", b_nan, n.emit("not", {a_nan})) : emit("and", a_nan, n.emit("not", {b_nan})));
    tied = emit("or", tied, emit("and", a_nan, b_nan));
  }
  const ValueId earlier = emit("less", positions(n, count, rank, rank + 1), positions(n, count, last, rank + 1));
  before = emit("or", before, emit("and", tied, earlier));
  const ValueId place = reduce_over(n, "reduce_sum", n.cast(before, DType::i64), {rank});  // [.., count, 1]
  const ValueId chosen = emit("equal", place, positions(n, k, rank, rank + 1));
  const ValueId at = positions(n, count, last, rank + 1);
  ValueId indices = reduce_over(n, "reduce_max", n.emit("where", {chosen, at, n.like(at, -1)}), {last});
  Extents result = n.shape(x);
  result.back() = k;
  indices = n.reshape(indices, result);
  return {n.transpose(take_along(n, x, indices, last), swap), n.transpose(indices, swap)};
}

// [off, on] at the indices; negative ones count from the end, those out of range give off throughout.
Values one_hot(Call& n) {
  constexpr double kMostDepth = 1e12;
  const double given = n.demand_number(1, "depth");  // of any type
  if (!(given >= 1 && given <= kMostDepth)) user_error("its depth is {}", given);
  const auto depth = static_cast<int64_t>(given);
  if (n.shape(n.in(2)) != Extents{2}) user_error("its values must be two, off and on");
  const int64_t rank = n.rank(n.in(0)) + 1, axis = normal_axis(n.integer("axis", -1), rank);
  Extents shape = n.shape(n.in(0));
  shape.insert(shape.begin() + axis, 1);
  ValueId at = n.reshape(n.cast(n.in(0), DType::i64), shape);
  const ValueId wrapped = n.emit("add", {at, n.like(at, static_cast<double>(depth))});
  at = n.emit("where", {n.emit("less", {at, n.like(at, 0)}), wrapped, at});
  const ValueId chosen = n.emit("equal", {positions(n, depth, axis, rank), at});
  const auto value = [&](int64_t i) { return n.reshape(part(n, n.in(2), 0, i, 1), {}); };
  return {n.emit("where", {chosen, value(1), value(0)})};
}

// The slices along an axis, or of the flat input the elements, whose condition holds.
Values compress(Call& n) {
  ValueId x = n.in(0);
  const bool flat = n.attribute("axis") == nullptr;
  if (flat) x = n.reshape(x, {product(n.shape(x))});
  const int64_t axis = flat ? 0 : normal_axis(n.integer("axis"), n.rank(x));
  const Tensor& condition = n.demand(n.in(1), "condition");
  if (condition.dtype != DType::boolean || condition.shape.size() != 1) user_error("its condition must be booleans");
  const int64_t count = condition.shape[0];
  if (count > n.shape(x)[static_cast<size_t>(axis)])
    user_error("its condition has {} elements, more than axis {}", count, axis);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < count; ++i)
    if (condition.bytes[static_cast<size_t>(i)] != std::byte{0}) kept.push_back(i);
  const ValueId indices = n.constant(int64_tensor(kept, {static_cast<int64_t>(kept.size())}));
  return {n.emit("gather", {x, indices}, {{"axis", axis}})};
}

}  // namespace oc::from_onnx
