// Softmax and the normalisations.
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

// A vector of channels as [c, 1, 1, …] against an input of `rank`.
ValueId per_channel(Call& n, ValueId vector, int64_t rank) {
  Extents shape(static_cast<size_t>(std::max<int64_t>(rank - 1, 1)), 1);
  shape[0] = product(n.shape(vector));
  return n.reshape(vector, shape);
}

ValueId scaled(Call& n, ValueId x, ValueId scale, ValueId bias) {
  const ValueId result = n.emit("mul", {x, scale});
  return bias.valid() ? n.emit("add", {result, bias}) : result;
}

// scale / √(variance + ε) and bias − mean · that, in double precision; nullopt unless all four are known.
struct Affine {
  ValueId factor, offset;
};
Affine fold_statistics(Call& n, double epsilon) {
  const DType dtype = n.dtype(n.in(0));
  const auto wide = [&](size_t i) { return n.cast(n.in(i), DType::f64); };
  const bool known = n.known(n.in(1)) != nullptr && n.known(n.in(2)) != nullptr && n.known(n.in(3)) != nullptr &&
                     n.known(n.in(4)) != nullptr;
  const auto get = [&](size_t i) { return known ? wide(i) : n.cast(n.in(i), dtype); };
  const ValueId variance = get(4);
  const ValueId deviation = n.emit("sqrt", {n.emit("add", {variance, n.like(variance, epsilon)})});
  const ValueId factor = n.emit("div", {get(1), deviation});
  const ValueId offset = n.emit("sub", {get(2), n.emit("mul", {get(3), factor})});
  return {n.cast(factor, dtype), n.cast(offset, dtype)};
}

}  // namespace

// Opset 13 on: along one axis. Before: the input is a matrix [dims before axis, dims from axis on], rows normalised.
Values softmax(Call& n) {
  const ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  if (rank == 0) user_error("its input must not be a scalar");
  const int64_t axis = normal_axis(n.integer("axis", n.opset < 13 ? 1 : -1), rank);
  if (n.opset >= 13 || axis == rank - 1) return {n.emit(n.row.op, {x}, {{"axis", axis}})};
  const Extents shape = n.shape(x);
  const std::span<const int64_t> dims(shape);
  const Extents matrix{product(dims.first(static_cast<size_t>(axis))),
                       product(dims.subspan(static_cast<size_t>(axis)))};
  return {n.reshape(n.emit(n.row.op, {n.reshape(x, matrix)}, {{"axis", int64_t{1}}}), shape)};
}

namespace {

// With the statistics of the batch, which the running ones move towards.
Values normalised_by_batch(Call& n) {
  const ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  std::vector<int64_t> axes = axes_from(1, rank);
  axes[0] = 0;  // all but the channels
  const Moments m = moments(n, x, axes);
  const ValueId unit = normalised(n, m, n.number("epsilon", 1e-5f));
  const double momentum = n.number("momentum", 0.9f);
  const auto moved = [&](size_t i, ValueId value) {
    value = n.cast(n.reshape(value, n.shape(n.in(i))), n.dtype(n.in(i)));
    return n.emit("add", {n.emit("mul", {n.in(i), n.like(n.in(i), momentum)}),
                          n.emit("mul", {value, n.like(value, 1 - momentum)})});
  };
  const ValueId y = scaled(n, unit, per_channel(n, n.cast(n.in(1), n.dtype(x)), rank),
                           per_channel(n, n.cast(n.in(2), n.dtype(x)), rank));
  return {y, moved(3, reduce_over(n, "reduce_mean", x, axes)), moved(4, m.variance)};
}

}  // namespace

// With fixed statistics: one multiplication and one addition per channel.
Values batch_normalization(Call& n) {
  demand_inference(n);
  if (n.opset < 9 && n.integer("spatial", 1) == 0)
    user_error("spatial = 0 is not supported; export with a newer opset");
  const ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  if (rank < 2) user_error("its input has rank {}, needs a channel dim", rank);
  for (size_t i = 1; i < 5; ++i)
    if (n.shape(n.in(i)) != Extents{n.shape(x)[1]})
      user_error("its input {} must have the shape [{}]", i, n.shape(x)[1]);
  if (n.flag("training_mode", false)) return normalised_by_batch(n);
  const Affine affine = fold_statistics(n, n.number("epsilon", 1e-5f));
  return {scaled(n, x, per_channel(n, affine.factor, rank), per_channel(n, affine.offset, rank))};
}

Values instance_normalization(Call& n) {
  const ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  if (rank < 3) user_error("its input has rank {}, needs spatial dims", rank);
  const ValueId unit = normalised(n, moments(n, x, axes_from(2, rank)), n.number("epsilon", 1e-5f));
  return {scaled(n, unit, per_channel(n, n.in(1), rank), per_channel(n, n.in(2), rank))};
}

namespace {

// [n, c, …] → [n, groups, c/groups · …], rows normalised.
ValueId normalised_groups(Call& n, ValueId x, int64_t groups, double epsilon) {
  const Extents shape = n.shape(x);
  if (shape.size() < 2 || groups < 1 || shape[1] % groups != 0)
    user_error("{} groups do not divide its channels", groups);
  const Extents rows{shape[0], groups, product(shape) / std::max<int64_t>(shape[0] * groups, 1)};
  return normalised(n, moments(n, n.reshape(x, rows), {2}), epsilon);
}

}  // namespace

// Scale and bias per channel (opset 21) or per group (18).
Values group_normalization(Call& n) {
  const ValueId x = n.in(0);
  const Extents shape = n.shape(x);
  const int64_t rank = n.rank(x);
  ValueId unit = normalised_groups(n, x, n.integer("num_groups"), n.number("epsilon", 1e-5f));
  const bool per_group = n.opset < 21;
  if (per_group) unit = scaled(n, unit, per_channel(n, n.in(1), 3), per_channel(n, n.in(2), 3));
  const ValueId result = n.reshape(unit, shape);
  return {per_group ? result : scaled(n, result, per_channel(n, n.in(1), rank), per_channel(n, n.in(2), rank))};
}

// That of com.microsoft: pictures with the channels last unless it says otherwise, and a SiLU behind it.
Values group_norm(Call& n) {
  if (n.rank(n.in(0)) != 4) user_error("its input has rank {}, must be 4", n.rank(n.in(0)));
  const bool channels_last = n.flag("channels_last", true), silu = n.flag("activation", false);
  const ValueId x = channels_last ? n.transpose(n.in(0), {0, 3, 1, 2}) : n.in(0);
  const Extents shape = n.shape(x);
  check_vector(n, 1, "gamma", shape[1]);
  check_vector(n, 2, "beta", shape[1]);
  const ValueId wide = n.cast(x, DType::f32);  // as gamma and beta are
  const ValueId unit = normalised_groups(n, wide, n.integer("groups"), n.number("epsilon", 1e-5f));
  ValueId y = scaled(n, n.reshape(unit, shape), per_channel(n, n.cast(n.in(1), DType::f32), 4),
                     per_channel(n, n.cast(n.in(2), DType::f32), 4));
  if (silu) y = n.emit("mul", {y, n.emit("sigmoid", {y})});
  y = n.cast(y, n.dtype(x));
  return {channels_last ? n.transpose(y, {0, 2, 3, 1}) : y};
}

// Outputs Mean and InvStdDev are computed only when read.
Values layer_normalization(Call& n) {
  const ValueId x = n.in(0);
  const int64_t axis = normal_axis(n.integer("axis", -1), n.rank(x));
  const double epsilon = n.number("epsilon", 1e-5f);
  Values operands{x, n.in(1)};
  if (n.has(2)) operands.push_back(n.in(2));
  Values results{n.emit("layer_norm", operands, {{"axis", axis}, {"epsilon", epsilon}}), {}, {}};
  if (!n.wants(1) && !n.wants(2)) return results;
  const std::vector<int64_t> axes = axes_from(axis, n.rank(x));
  const Moments m = moments(n, x, axes);
  results[1] = reduce_over(n, "reduce_mean", x, axes);
  results[2] = n.emit("reciprocal", {n.emit("sqrt", {n.emit("add", {m.variance, n.like(x, epsilon)})})});
  return results;
}

Values rms_normalization(Call& n) {
  const ValueId x = n.in(0);
  const int64_t axis = normal_axis(n.integer("axis", -1), n.rank(x));
  return {n.emit("rms_norm", {x, n.in(1)}, {{"axis", axis}, {"epsilon", double{n.number("epsilon", 1e-5f)}}})};
}

// RMSNormalization by the name it had before ONNX took it in; its second output is 1 / √(mean of x² + ε).
Values simplified_layer_normalization(Call& n) {
  if (n.integer("stash_type", 1) != 1) user_error("stash_type {} is not supported; 1 is", n.integer("stash_type"));
  Values results = rms_normalization(n);
  if (!n.wants(1)) return results;
  const ValueId x = n.cast(n.in(0), DType::f32);
  const std::vector<int64_t> axes = axes_from(normal_axis(n.integer("axis", -1), n.rank(x)), n.rank(x));
  const ValueId square = reduce_over(n, "reduce_mean", n.emit("mul", {x, x}), axes);
  results.push_back(n.emit("reciprocal", {n.emit("sqrt", {plus(n, square, n.number("epsilon", 1e-5f))})}));
  return results;
}

Values mean_variance_normalization(Call& n) {
  const std::vector<int64_t> axes = normal_axes(n.integers("axes", Extents{0, 2, 3}), n.rank(n.in(0)));
  return {normalised(n, moments(n, n.in(0), axes), 1e-9)};
}

// x / (bias + α · mean of x² over `size` channels around)^β: the mean is an average pooling along the channels.
Values lrn(Call& n) {
  const ValueId x = n.in(0);
  const Extents shape = n.shape(x);
  const int64_t size = n.integer("size");
  if (shape.size() < 3 || size < 1 || size > (1 << 20))
    user_error("{} channels of an input of rank {}", size, shape.size());
  const ValueId squares =
      n.reshape(n.emit("mul", {x, x}), {shape[0], 1, shape[1], product(std::span(shape).subspan(2))});
  const ValueId mean = n.reshape(n.emit("average_pool", {squares},
                                        {{"kernel", Extents{size, 1}},
                                         {"strides", Extents{1, 1}},
                                         {"pads", Extents{(size - 1) / 2, 0, size / 2, 0}},
                                         {"dilations", Extents{1, 1}},
                                         {"count_include_pad", int64_t{1}}}),
                                 shape);
  const ValueId scaled = n.emit("mul", {mean, n.like(x, n.number("alpha", 0.0001f))});
  const ValueId base = n.emit("add", {scaled, n.like(x, n.number("bias", 1))});
  return {n.emit("div", {x, n.emit("pow", {base, n.like(x, n.number("beta", 0.75))})})};
}

// x / ‖x‖ₚ along one axis; a zero vector stays zero.
Values lp_normalization(Call& n) {
  const ValueId x = n.in(0);
  const std::vector<int64_t> axes{normal_axis(n.integer("axis", -1), n.rank(x))};
  const int64_t p = n.integer("p", 2);
  if (p != 1 && p != 2) user_error("p is {}, must be 1 or 2", p);
  const ValueId sum = reduce_over(n, "reduce_sum", p == 1 ? n.emit("abs", {x}) : n.emit("mul", {x, x}), axes);
  const ValueId norm = p == 1 ? sum : n.emit("sqrt", {sum});
  const ValueId divisor = n.emit("where", {n.emit("equal", {norm, n.like(x, 0)}), n.like(x, 1), norm});
  return {n.emit("div", {x, divisor})};
}

}  // namespace oc::from_onnx
