// Normalisations of a sum: of what comes past a block and out of it, or of embeddings. Ops of com.microsoft.
#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

// input + skip + bias. The skip may lack the batch, or have one of 1.
ValueId skip_sum(Call& n, size_t bias) {
  const Extents shape = n.shape(n.in(0)), skip = n.shape(n.in(1));
  if (shape.size() != 2 && shape.size() != 3) user_error("its input has rank {}, must be 2 or 3", shape.size());
  const bool for_all =
      shape.size() == 3 && (skip == Extents{1, shape[1], shape[2]} || skip == Extents{shape[1], shape[2]});
  if (skip != shape && !for_all)
    user_error("its skip has the shape [{}], its input [{}]", fmt::join(skip, ", "), fmt::join(shape, ", "));
  const ValueId sum = n.emit("add", {n.in(0), n.in(1)});
  if (!n.has(bias)) return sum;
  check_vector(n, bias, "bias", shape.back());
  return n.emit("add", {sum, n.in(bias)});
}

// The layer norm along the last dim with the scale and, where the node has it, the bias at these inputs.
ValueId layer_norm(Call& n, ValueId x, size_t scale, size_t bias) {
  const int64_t axis = n.rank(x) - 1, width = n.shape(x).back();
  Values operands{x, n.in(scale)};
  check_vector(n, scale, "gamma", width);
  if (n.has(bias)) {
    check_vector(n, bias, "beta", width);
    operands.push_back(n.in(bias));
  }
  return n.emit("layer_norm", operands, {{"axis", axis}, {"epsilon", n.number("epsilon", 1e-12f)}});
}

ValueId inverse_root(Call& n, ValueId mean_square) {
  return n.emit("reciprocal", {n.emit("sqrt", {plus(n, mean_square, n.number("epsilon", 1e-12f))})});
}

}  // namespace

// Outputs: the norm, the rows' means and 1 / √(variance + ε), the sum that was normalised.
Values skip_layer_normalization(Call& n) {
  const ValueId sum = skip_sum(n, 4);
  Values results{layer_norm(n, sum, 2, 3), {}, {}, sum};
  if (!n.wants(1) && !n.wants(2)) return results;
  const ValueId wide = n.cast(sum, DType::f32);
  const std::vector<int64_t> last{n.rank(sum) - 1};
  results[1] = reduce_over(n, "reduce_mean", wide, last);
  results[2] = inverse_root(n, moments(n, wide, last).variance);
  return results;
}

// The same with the root mean square alone: no mean is taken off, and none is given.
Values skip_simplified_layer_normalization(Call& n) {
  const ValueId sum = skip_sum(n, 3);
  const int64_t last = n.rank(sum) - 1;
  check_vector(n, 2, "gamma", n.shape(sum).back());
  const Attrs attrs{{"axis", last}, {"epsilon", n.number("epsilon", 1e-12f)}};
  Values results{n.emit("rms_norm", {sum, n.in(2)}, attrs), {}, {}, sum};
  if (!n.wants(2)) return results;
  const ValueId wide = n.cast(sum, DType::f32);
  results[2] = inverse_root(n, reduce_over(n, "reduce_mean", n.emit("mul", {wide, wide}), {last}));
  return results;
}

namespace {

// The rows of a table [count, width] that ids [batch, sequence] name.
ValueId embedded(Call& n, size_t table, ValueId ids, int64_t width) {
  const Extents shape = n.shape(n.in(table));
  if (shape.size() != 2 || shape[1] != width)
    user_error("its table (input {}) has the shape [{}], must be [count, {}]", table, fmt::join(shape, ", "), width);
  return n.emit("gather", {n.in(table), ids}, {{"axis", int64_t{0}}});
}

// Of positions that are not given: 0, 1, … in each row.
ValueId embedded_positions(Call& n, int64_t sequence, int64_t width) {
  const ValueId ids = n.has(8) ? n.in(8) : positions(n, sequence, 1, 2);
  const Extents shape = n.shape(ids), table = n.shape(n.in(3));
  if (shape != Extents{1, sequence} && shape != n.shape(n.in(0)))
    user_error("its position_ids have the shape [{}]", fmt::join(shape, ", "));
  if (!n.has(8) && !table.empty() && table[0] < sequence)
    user_error("has {} embeddings of positions, needs {}", table[0], sequence);
  return embedded(n, 3, ids, width);
}

// How many 1 a row of the mask has; 0 without a mask.
ValueId mask_index(Call& n) {
  const Extents shape = n.shape(n.in(0));
  if (!n.has(7)) return n.expand(n.scalar(DType::i32, 0), {shape[0]});
  if (n.shape(n.in(7)) != shape) user_error("its mask has the shape [{}]", fmt::join(n.shape(n.in(7)), ", "));
  const ValueId ones = n.emit("equal", {n.in(7), n.like(n.in(7), 1)});
  return reduce_over(n, "reduce_sum", n.cast(ones, DType::i32), {1}, false);
}

}  // namespace

// The norm of the sum of a word's, its position's and its segment's embedding; also the mask's index and that sum.
Values embed_layer_normalization(Call& n) {
  const ValueId ids = n.in(0);
  if (n.rank(ids) != 2 || n.rank(n.in(2)) != 2)
    user_error("its input_ids and word_embedding have the ranks {} and {}, must be matrices", n.rank(ids),
               n.rank(n.in(2)));
  if (n.has(1) != n.has(4)) user_error("has only one of segment_ids and segment_embedding");
  const int64_t width = n.shape(n.in(2))[1];
  ValueId sum = n.emit("add", {embedded(n, 2, ids, width), embedded_positions(n, n.shape(ids)[1], width)});
  if (n.has(1)) {
    if (n.shape(n.in(1)) != n.shape(ids)) user_error("its segment_ids have another shape than its input_ids");
    sum = n.emit("add", {sum, embedded(n, 4, n.in(1), width)});
  }
  return {layer_norm(n, sum, 5, 6), n.wants(1) ? mask_index(n) : ValueId(), sum};
}

}  // namespace oc::from_onnx
