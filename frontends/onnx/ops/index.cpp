// Ops that address single elements or rows by computed indices, all through our gather along one axis.
#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

// Row-major strides of a shape, in elements.
Extents strides_of(std::span<const int64_t> shape) {
  Extents strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

// For each position of `shape` the sum of coordinate · stride.
Tensor offsets(Call& n, const Extents& shape, std::span<const int64_t> strides) {
  n.spend(DType::i64, product(shape));
  Tensor result = make_tensor(DType::i64, shape);
  const auto out = result.as<int64_t>();
  for (size_t i = 0; i < out.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    out[i] = 0;
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) out[i] += rest % shape[d] * strides[d];
  }
  return result;
}

// Indices into `extent` elements as i64 from 0: negative ones count from the end. Known ones are checked.
ValueId from_zero(Call& n, ValueId indices, int64_t extent) {
  if (n.dtype(indices) != DType::i64 && n.dtype(indices) != DType::i32)
    user_error("its indices are {}, must be i32 or i64", dtype_name(n.dtype(indices)));
  indices = n.cast(indices, DType::i64);
  if (const Tensor* known = n.known(indices))
    for (int64_t index : known->as<int64_t>())
      if (index < -extent || index >= extent) user_error("its index {} is out of range for {} elements", index, extent);
  const ValueId wrapped = n.emit("add", {indices, n.scalar(DType::i64, static_cast<double>(extent))});
  return n.emit("where", {n.emit("less", {indices, n.scalar(DType::i64, 0)}), wrapped, indices});
}

ValueId times(Call& n, ValueId value, int64_t factor) {
  return n.emit("mul", {value, n.scalar(DType::i64, static_cast<double>(factor))});
}

Extents joined(std::span<const int64_t> a, std::span<const int64_t> b) {
  Extents all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

// Tuples of indices (the last dim of `indices`, after `batch` dims it shares with the data) as numbers of rows of the
// data, whose rows are addressed by its first dims.
struct Rows {
  ValueId numbers;  // i64, the shape of the indices without their last dim
  int64_t count;    // rows there are
  Extents row;      // shape of one
};

Rows rows_of(Call& n, ValueId data, ValueId indices, int64_t batch) {
  const Extents shape = n.shape(data), index_shape = n.shape(indices);
  if (shape.empty() || index_shape.empty()) user_error("its data and indices must not be scalars");
  const int64_t width = index_shape.back(), rank = n.rank(data);
  if (batch < 0 || batch >= std::min(rank, n.rank(indices)) || width < 1 || width > rank - batch)
    user_error("index tuples of {} after {} batch dims do not fit data of rank {}", width, batch, rank);
  const auto addressed = static_cast<size_t>(batch + width), batches = static_cast<size_t>(batch);
  const std::span<const int64_t> front(shape.data(), addressed);
  const std::span<const int64_t> outer(index_shape.data(), index_shape.size() - 1);
  if (!std::equal(front.begin(), front.begin() + batch, outer.begin()))
    user_error("its data and indices differ in the first {} dims", batch);
  const Extents strides = strides_of(front);
  Extents batch_shape(outer.size(), 1);
  std::copy_n(outer.begin(), batches, batch_shape.begin());
  Extents batch_strides(outer.size(), 0);
  std::copy_n(strides.begin(), batches, batch_strides.begin());
  ValueId sum = n.constant(offsets(n, batch_shape, batch_strides));
  for (int64_t i = 0; i < width; ++i) {
    Extents starts(index_shape.size(), 0), sizes = index_shape;
    starts.back() = i;
    sizes.back() = 1;
    const ValueId column =
        n.emit("slice", {indices}, {{"starts", starts}, {"sizes", sizes}, {"steps", Extents(index_shape.size(), 1)}});
    const auto d = static_cast<size_t>(batch + i);
    const ValueId from = from_zero(n, n.reshape(column, Extents(outer.begin(), outer.end())), shape[d]);
    sum = n.emit("add", {sum, times(n, from, strides[d])});
  }
  return {sum, product(front), Extents(shape.begin() + static_cast<ptrdiff_t>(addressed), shape.end())};
}

// Indices along `axis`, all other coordinates their own, as numbers of elements of the data.
ValueId elements_of(Call& n, ValueId data, ValueId indices, int64_t axis) {
  const Extents shape = n.shape(data);
  Extents others = n.shape(indices);
  if (others.size() != shape.size()) user_error("its indices have rank {}, its data {}", others.size(), shape.size());
  const auto along = static_cast<size_t>(axis);
  for (size_t d = 0; d < shape.size(); ++d)
    if (d != along && others[d] > shape[d])
      user_error("its indices have {} elements along dim {}, its data {}", others[d], d, shape[d]);
  Extents strides = strides_of(shape);
  others[along] = 1;
  const ValueId at = times(n, from_zero(n, indices, shape[along]), strides[along]);
  return n.emit("add", {at, n.constant(offsets(n, others, strides))});
}

// The same for rows that are known at run time only: each row of the data looks for the last update that is its own, or
// combines all. Costs rows × updates.
ValueId scatter_unknown(Call& n, ValueId data, const Rows& rows, ValueId updates, const std::string& reduction) {
  constexpr int64_t kMostPairs = int64_t{1} << 28;
  const int64_t count = product(n.shape(rows.numbers)), size = product(rows.row);
  if (count == 0) return data;
  if (rows.count > kMostPairs / count)
    user_error("{} updates of {} rows at indices that depend on the data are too many", count, rows.count);
  if (n.dtype(data) == DType::boolean)
    user_error("updates of bool at indices that depend on the data are not supported");
  const ValueId numbers = n.reshape(rows.numbers, {count, 1});
  const ValueId own = n.emit("equal", {numbers, positions(n, rows.count, 1, 2)});  // [updates, rows]
  const ValueId old = n.reshape(data, {rows.count, size});
  updates = n.reshape(updates, {count, size});
  if (reduction == "none") {
    const ValueId order = positions(n, count, 0, 2);
    const ValueId last = reduce_over(n, "reduce_max", n.emit("where", {own, order, n.like(order, -1)}), {0}, false);
    const ValueId written = n.reshape(n.emit("greater_equal", {last, n.like(last, 0)}), {rows.count, 1});
    const ValueId found = n.emit("gather", {updates, n.emit("max", {last, n.like(last, 0)})}, {{"axis", int64_t{0}}});
    return n.reshape(n.emit("where", {written, found, old}), n.shape(data));
  }
  if (reduction == "mul") {
    constexpr int64_t kMostFactors = 64;  // we have no product reduction
    if (count > kMostFactors) user_error("a product of {} updates is not supported; 1 to {} are", count, kMostFactors);
    ValueId product = old;
    for (int64_t i = 0; i < count; ++i) {
      const ValueId factor = n.emit("mul", {product, part(n, updates, 0, i, 1)});
      product = n.emit("where", {n.reshape(part(n, own, 0, i, 1), {rows.count, 1}), factor, product});
    }
    return n.reshape(product, n.shape(data));
  }
  const ValueId mine = n.reshape(own, {count, rows.count, 1}), each = n.reshape(updates, {count, 1, size});
  const ValueId neutral = reduction == "add" ? n.like(updates, 0) : n.reshape(old, {1, rows.count, size});
  const std::string fold = reduction == "add" ? "reduce_sum" : "reduce_" + reduction;
  const ValueId all = reduce_over(n, fold, n.emit("where", {mine, each, neutral}), {0}, false);
  return n.reshape(n.emit(reduction, {old, all}), n.shape(data));
}

// Writes row `numbers[i]` of `data` (rows × row) anew with row i of `updates`; a later one wins. Of rows that are known
// the result is a gather from both.
ValueId scatter(Call& n, ValueId data, const Rows& rows, ValueId updates) {
  const Tensor* known = n.known(rows.numbers);
  if (n.dtype(data) != n.dtype(updates))
    user_error("its data are {}, its updates {}", dtype_name(n.dtype(data)), dtype_name(n.dtype(updates)));
  const Extents target = n.shape(rows.numbers), wanted = joined(target, rows.row);
  if (n.shape(updates) != wanted) user_error("its updates do not have the shape of its indices and rows");
  const std::string reduction = n.text("reduction", "none");
  constexpr std::array<std::string_view, 5> kReductions{"none", "add", "mul", "max", "min"};
  if (std::ranges::find(kReductions, reduction) == kReductions.end())
    user_error("reduction '{}' is unknown", reduction);
  if (known == nullptr) return scatter_unknown(n, data, rows, updates, reduction);
  const auto numbers = known->as<int64_t>();
  if (reduction != "none") {
    std::vector<int64_t> sorted(numbers.begin(), numbers.end());
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) != sorted.end()) return scatter_unknown(n, data, rows, updates, reduction);
  }
  const Extents flat = joined(Extents{rows.count}, rows.row);
  const ValueId old = n.reshape(data, flat);
  if (reduction != "none")
    updates = n.emit(reduction, {n.emit("gather", {old, rows.numbers}, {{"axis", int64_t{0}}}), updates});
  const int64_t count = product(target);
  if (count == 0) return data;
  n.spend(DType::i64, rows.count);
  Tensor source = make_tensor(DType::i64, {rows.count});
  const auto from = source.as<int64_t>();
  std::iota(from.begin(), from.end(), int64_t{0});
  for (int64_t i = 0; i < count; ++i) from[static_cast<size_t>(numbers[static_cast<size_t>(i)])] = rows.count + i;
  const ValueId both =
      n.emit("concat", {old, n.reshape(updates, joined(Extents{count}, rows.row))}, {{"axis", int64_t{0}}});
  return n.reshape(n.emit("gather", {both, n.constant(std::move(source))}, {{"axis", int64_t{0}}}), n.shape(data));
}

}  // namespace

// Indices that are known are checked here; others are clamped at run time.
Values gather(Call& n) {
  const ValueId x = n.in(0), indices = n.in(1);
  const int64_t axis = normal_axis(n.integer("axis", 0), n.rank(x));
  const int64_t extent = n.shape(x)[static_cast<size_t>(axis)];
  if (n.known(indices) != nullptr)
    for (int64_t index : n.known_integers(1, "indices"))
      if (index < -extent || index >= extent)
        user_error("its index {} is out of range for {} elements along axis {}", index, extent, axis);
  return {n.emit("gather", {x, indices}, {{"axis", axis}})};
}

Values gather_nd(Call& n) {
  const Rows rows = rows_of(n, n.in(0), n.in(1), n.integer("batch_dims", 0));
  const ValueId flat = n.reshape(n.in(0), joined(Extents{rows.count}, rows.row));
  return {n.emit("gather", {flat, rows.numbers}, {{"axis", int64_t{0}}})};
}

ValueId take_along(Call& n, ValueId x, ValueId indices, int64_t axis) {
  const ValueId at = elements_of(n, x, indices, axis);
  return n.emit("gather", {n.reshape(x, {product(n.shape(x))}), at}, {{"axis", int64_t{0}}});
}

Values gather_elements(Call& n) {
  return {take_along(n, n.in(0), n.in(1), normal_axis(n.integer("axis", 0), n.rank(n.in(0))))};
}

Values scatter_nd(Call& n) {
  return {scatter(n, n.in(0), rows_of(n, n.in(0), n.in(1), 0), n.in(2))};
}

Values scatter_elements(Call& n) {
  const ValueId x = n.in(0);
  const ValueId at = elements_of(n, x, n.in(1), normal_axis(n.integer("axis", 0), n.rank(x)));
  return {scatter(n, x, {at, product(n.shape(x)), {}}, n.in(2))};
}

}  // namespace oc::from_onnx
