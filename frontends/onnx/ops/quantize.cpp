// Quantisation: numbers as small integers with a scale and a zero point, x = (q − zero) · scale. Sums of products are
// exact: matrix products in i32, convolutions in f64.
#include "frontends/onnx/ops/quantize.h"

#include <algorithm>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/ops/conv.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

// Scales and zero points against x: one number, one for each position of `axis`, or one for each block along it.
ValueId spread(Call& n, ValueId values, const Extents& x, int64_t block) {
  const Extents shape = n.shape(values);
  if (product(shape) == 1) return n.reshape(values, {});
  const auto rank = static_cast<int64_t>(x.size());
  const int64_t axis = normal_axis(n.integer("axis", 1), rank);
  const auto along = static_cast<size_t>(axis);
  if (block == 0) {
    if (shape != Extents{x[along]}) user_error("its scale must be one number or {} along axis {}", x[along], axis);
    Extents wide(x.size(), 1);
    wide[along] = x[along];
    return n.reshape(values, wide);
  }
  Extents blocks = x;
  blocks[along] = (x[along] + block - 1) / block;
  if (shape != blocks) user_error("its scale does not have one number a block of {} along axis {}", block, axis);
  Extents single = blocks, repeated = blocks, merged = blocks;
  single.insert(single.begin() + axis + 1, 1);
  repeated.insert(repeated.begin() + axis + 1, block);
  merged[along] *= block;
  return part(n, n.reshape(n.expand(n.reshape(values, single), repeated), merged), axis, 0, x[along]);
}

int64_t block_size(const Call& n) {
  const int64_t block = n.integer("block_size", 0);
  if (block < 0 || block > (int64_t{1} << 40)) user_error("block_size {} is out of range", block);
  return block;
}

// What numbers are quantised to, or come back as.
struct Element {
  DType dtype;
  const Format* format = nullptr;
  [[nodiscard]] int bits() const { return format != nullptr ? format->bits : static_cast<int>(8 * dtype_size(dtype)); }
};

// The attribute output_dtype, else `otherwise`.
Element declared_element(const Call& n, Element otherwise) {
  const int64_t given = n.integer("output_dtype", 0);
  return given == 0 ? otherwise : Element{stored_dtype(given), find_format(given)};
}

// round(x) + zero, halves to even, what is beyond the type's bounds at its bounds.
ValueId quantised(Call& n, ValueId x, ValueId zero, const Element& to) {
  if (to.format != nullptr && to.format->is_float())
    return n.with_format(encoded(n, x, *to.format, n.flag("saturate", true)), to.format);
  const int bits = to.bits();
  const bool is_unsigned = dtype_name(to.dtype)[0] == 'u';
  if (dtype_is_float(to.dtype) || to.dtype == DType::boolean || bits > 16)
    user_error("quantising to {} is not supported", dtype_name(to.dtype));
  const double low = is_unsigned ? 0 : -static_cast<double>(1 << (bits - 1));
  const double high = static_cast<double>(1 << (is_unsigned ? bits : bits - 1)) - 1;
  if (dtype_size(n.dtype(x)) < 4) x = n.cast(x, DType::f32);  // f16 and bf16 do not hold all integers of 16 bits
  x = n.emit("round", {x});
  if (zero.valid()) x = n.emit("add", {x, n.cast(zero, n.dtype(x))});
  return n.with_format(n.cast(n.emit("clip", {x}, {{"min", low}, {"max", high}}), to.dtype), to.format);
}

ValueId minus_zero(Call& n, ValueId x, ValueId zero, DType wide) {
  x = n.cast(x, wide);
  return zero.valid() ? n.emit("sub", {x, n.cast(zero, wide)}) : x;
}

ValueId optional(const Call& n, size_t i) {
  return n.has(i) ? n.in(i) : ValueId();
}

// One number, or one for each place of dim `dim`, against a tensor of `rank` dims.
ValueId along(Call& n, ValueId values, int64_t dim, int64_t rank) {
  if (!values.valid() || product(n.shape(values)) == 1) return values.valid() ? n.reshape(values, {}) : values;
  if (n.rank(values) > 1) return values;
  Extents shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(dim)] = product(n.shape(values));
  return n.reshape(values, shape);
}

// round(sums · a_scale · b_scale / y_scale) + zero, in f32 also when the scales are f16: sums are beyond its bounds
ValueId requantised(Call& n, ValueId sums, ValueId a_scale, ValueId b_scale, ValueId y_scale, ValueId zero,
                    const Element& to) {
  const auto wide = [&](ValueId value) { return n.cast(value, DType::f32); };
  const ValueId scale = n.emit("div", {n.emit("mul", {wide(a_scale), wide(b_scale)}), wide(y_scale)});
  return quantised(n, n.emit("mul", {wide(sums), scale}), zero, to);
}

}  // namespace

Values quantize_linear(Call& n) {
  const ValueId x = n.in(0);
  const int64_t precision = n.integer("precision", 0);  // of the division
  const DType dtype = precision == 0 ? n.dtype(n.in(1)) : known_dtype(precision);
  if (!dtype_is_float(dtype)) user_error("its precision must be a float");
  const Element to = n.has(2) ? Element{n.dtype(n.in(2)), n.format(n.in(2))} : declared_element(n, {DType::u8});
  const int64_t block = block_size(n);
  const ValueId ratio = n.emit("div", {n.cast(x, dtype), n.cast(spread(n, n.in(1), n.shape(x), block), dtype)});
  return {quantised(n, ratio, n.has(2) ? spread(n, n.in(2), n.shape(x), block) : ValueId(), to)};
}

Values dequantize_linear(Call& n) {
  const Format* format = n.format(n.in(0));
  const ValueId x = format != nullptr ? decoded(n, n.in(0), *format) : n.in(0), scale = n.in(1);
  const Element to = declared_element(n, {n.dtype(scale)});
  if (to.format != nullptr || !dtype_is_float(to.dtype)) user_error("its output_dtype must be a float");
  const int64_t block = block_size(n);
  const DType wide = dtype_size(n.dtype(x)) > 2 ? DType::f64 : DType::f32;
  const bool counts = n.has(2) && (format == nullptr || !format->is_float());  // that of floats is 0
  const ValueId zero = counts ? spread(n, n.in(2), n.shape(x), block) : ValueId();
  const ValueId factor = n.cast(spread(n, scale, n.shape(x), block), wide);
  return {n.cast(n.emit("mul", {minus_zero(n, x, zero, wide), factor}), to.dtype)};
}

// Of zeros alone the scale is 1.
Quantised quantised_by_range(Call& n, ValueId x) {
  const auto bound = [&](std::string_view reduction, std::string_view op) {
    return n.emit(op, {reduce_over(n, reduction, x, axes_from(0, n.rank(x)), false), n.like(x, 0)});
  };
  const ValueId low = bound("reduce_min", "min"), high = bound("reduce_max", "max");
  const ValueId step = n.emit("div", {n.emit("sub", {high, low}), n.like(x, 255)});
  const ValueId scale = n.emit("where", {n.emit("equal", {step, n.like(x, 0)}), n.like(x, 1), step});
  const ValueId zero = quantised(n, n.emit("div", {n.emit("neg", {low}), scale}), {}, {DType::u8});
  return {quantised(n, n.emit("div", {x, scale}), zero, {DType::u8}), scale, zero};
}

ValueId without_zero(Call& n, ValueId values, ValueId zero) {
  return minus_zero(n, values, zero, DType::i32);
}

ValueId product_with(Call& n, ValueId rows, const Weights8& weights) {
  const Quantised q = quantised_by_range(n, rows);
  const ValueId sums = n.emit("matmul", {without_zero(n, q.values, q.zero), weights.values});
  return n.emit("mul", {n.cast(sums, DType::f32), n.emit("mul", {q.scale, weights.scale})});
}

Values dynamic_quantize_linear(Call& n) {
  const Quantised q = quantised_by_range(n, n.in(0));
  return {q.values, q.scale, q.zero};
}

Values matmul_integer(Call& n) {
  const ValueId a_zero = along(n, optional(n, 2), std::max<int64_t>(n.rank(n.in(0)) - 2, 0), n.rank(n.in(0)));
  const ValueId b_zero = along(n, optional(n, 3), n.rank(n.in(1)) - 1, n.rank(n.in(1)));
  return {numpy_matmul(n, minus_zero(n, n.in(0), a_zero, DType::i32), minus_zero(n, n.in(1), b_zero, DType::i32))};
}

Values qlinear_matmul(Call& n) {
  const ValueId a = n.in(0), b = n.in(3);
  const int64_t row = std::max<int64_t>(n.rank(a) - 2, 0), column = n.rank(b) - 1;
  const ValueId sums = numpy_matmul(n, minus_zero(n, a, along(n, n.in(2), row, n.rank(a)), DType::i32),
                                    minus_zero(n, b, along(n, n.in(5), column, n.rank(b)), DType::i32));
  return {requantised(n, sums, along(n, n.in(1), row, n.rank(a)), along(n, n.in(4), column, n.rank(b)),
                      n.reshape(n.in(6), {}), n.reshape(n.in(7), {}), {n.dtype(n.in(7))})};
}

Values conv_integer(Call& n) {
  const ValueId x = minus_zero(n, n.in(0), along(n, optional(n, 2), 0, 1), DType::f64);
  const ValueId w = minus_zero(n, n.in(1), along(n, optional(n, 3), 0, n.rank(n.in(1))), DType::f64);
  return {n.cast(convolution(n, x, w, {}), DType::i32)};
}

Values qlinear_conv(Call& n) {
  const ValueId x = minus_zero(n, n.in(0), along(n, n.in(2), 0, 1), DType::f64);
  const ValueId w = minus_zero(n, n.in(3), along(n, n.in(5), 0, n.rank(n.in(3))), DType::f64);
  const ValueId bias = n.has(8) ? n.cast(n.in(8), DType::f64) : ValueId();
  const ValueId sums = convolution(n, x, w, bias);
  return {requantised(n, sums, n.reshape(n.in(1), {}), along(n, n.in(4), 1, n.rank(sums)), n.reshape(n.in(6), {}),
                      n.reshape(n.in(7), {}), {n.dtype(n.in(7))})};
}

}  // namespace oc::from_onnx
