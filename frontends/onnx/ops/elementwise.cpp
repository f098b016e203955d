// Elementwise ops but activations. The exported functions are declared through ops.inc.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {

Values unary(Call& n) {
  return {n.emit(n.row.op, {n.in(0)})};
}

namespace {

// Before opset 7 the second operand's dims may lie anywhere in the first's, from `axis` on.
ValueId second_operand(Call& n) {
  const ValueId b = n.in(1);
  if (n.opset >= 7 || n.attribute("axis") == nullptr) return b;
  const int64_t rank = n.rank(n.in(0)), after = rank - normal_axis(n.integer("axis"), rank) - n.rank(b);
  if (after < 0) user_error("its second operand has more dims than the first from axis {} on", n.integer("axis"));
  Extents shape = n.shape(b);
  shape.insert(shape.end(), static_cast<size_t>(after), 1);
  return n.reshape(b, shape);
}

}  // namespace

Values binary(Call& n) {
  return {n.emit(n.row.op, {n.in(0), second_operand(n)})};
}

namespace {

void check_same_format(const Call& n, ValueId a, ValueId b) {
  if (n.format(a) != n.format(b)) user_error("its inputs are of different types");
}

}  // namespace

// Equal strings are equal places of texts.
Values equal_to(Call& n) {
  check_same_format(n, n.in(0), n.in(1));
  return binary(n);
}
Values where(Call& n) {
  check_same_format(n, n.in(1), n.in(2));
  return {n.with_format(n.emit("where", {n.in(0), n.in(1), n.in(2)}), n.format(n.in(1)))};
}

Values variadic(Call& n) {
  ValueId result = n.in(0);
  for (size_t i = 1; i < n.inputs.size(); ++i) result = n.emit(n.row.op, {result, n.in(i)});
  return {result};
}

Values mean_of(Call& n) {
  ValueId sum = n.in(0);
  for (size_t i = 1; i < n.inputs.size(); ++i) sum = n.emit("add", {sum, n.in(i)});
  return {n.emit("mul", {sum, n.like(sum, 1.0 / static_cast<double>(n.inputs.size()))})};
}

namespace {

// To a format if there is one, else to the dtype.
ValueId converted(Call& n, ValueId x, const Format* format, DType to) {
  if (const Format* from = n.format(x)) x = decoded(n, x, *from);
  if (format == nullptr) return n.cast(x, to);
  if (const std::string mode = n.text("round_mode", "up"); mode != "up")
    user_error("round_mode '{}' is not supported; up is", mode);
  return n.with_format(encoded(n, x, *format, n.flag("saturate", true)), format);
}

}  // namespace

Values cast_to(Call& n) {
  const int64_t to = n.integer("to");
  return {converted(n, n.in(0), find_format(to), stored_dtype(to))};
}
Values bitcast(Call& n) {
  const DType to = known_dtype(n.integer("to"));
  return {n.emit("bitcast", {n.in(0)}, {{"to", std::string(dtype_name(to))}})};
}
Values bit_shift(Call& n) {
  const std::string direction = n.text("direction");
  if (direction != "LEFT" && direction != "RIGHT")
    user_error("direction '{}' is unknown; LEFT and RIGHT are", direction);
  return {n.emit(direction == "LEFT" ? "shift_left" : "shift_right", {n.in(0), n.in(1)})};
}
Values cast_like(Call& n) {
  return {converted(n, n.in(0), n.format(n.in(1)), n.dtype(n.in(1)))};
}

// Bounds: attributes before opset 11, inputs after. Integers are bounded by max and min, whose constants are exact.
Values clip(Call& n) {
  ValueId x = n.in(0);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (n.opset < 11) {
    const double low = n.number("min", -kInf), high = n.number("max", kInf);
    return {n.emit("clip", {x}, {{"min", low}, {"max", high}})};
  }
  const auto bound = [&](size_t i, double none) {
    if (!n.has(i)) return std::optional<double>(none);
    if (n.import.graph[n.in(i)].type.shape.size() > 1 || (n.rank(n.in(i)) == 1 && n.shape(n.in(i))[0] != 1))
      user_error("its bounds must be scalars");
    const auto values = n.known_numbers(n.in(i));
    return values ? std::optional<double>(values->at(0)) : std::nullopt;
  };
  const auto low = bound(1, -kInf), high = bound(2, kInf);
  const bool ordinary = low && high && *low <= *high && dtype_is_float(n.dtype(x));
  if (ordinary) return {n.emit("clip", {x}, {{"min", *low}, {"max", *high}})};
  if (n.has(1)) x = n.emit("max", {x, n.reshape(n.in(1), {})});
  if (n.has(2)) x = n.emit("min", {x, n.reshape(n.in(2), {})});
  return {x};
}

// The exponent may be of another type; the result is of the base's. Integers to a power that is not one are floats in
// between, f64 so that they stay exact.
Values pow_of(Call& n) {
  const ValueId exponent = second_operand(n);
  const DType base = n.dtype(n.in(0));
  const bool mixed = !dtype_is_float(base) && dtype_is_float(n.dtype(exponent));
  const DType common = mixed ? DType::f64 : base;
  return {n.cast(n.emit("pow", {n.cast(n.in(0), common), n.cast(exponent, common)}), base)};
}

// fmod = 0: the result takes the divisor's sign; 1: the dividend's. Our mod does the first for integers, the second for
// floats; the other two follow from it.
Values mod(Call& n) {
  const ValueId a = n.in(0), b = n.in(1);
  const bool fmod = n.flag("fmod", false);
  const ValueId rest = n.emit("mod", {a, b});
  if (fmod == dtype_is_float(n.dtype(a))) return {rest};
  if (fmod) return {n.emit("sub", {a, n.emit("mul", {n.emit("div", {a, b}), b})})};
  const ValueId zero = n.like(a, 0);
  const ValueId opposite = n.emit("less", {n.emit("mul", {rest, b}), zero});
  return {n.emit("where", {opposite, n.emit("add", {rest, b}), rest})};
}

Values exclusive_or(Call& n) {
  return {n.emit("not", {n.emit("equal", {n.in(0), second_operand(n)})})};
}
Values is_inf(Call& n) {
  const int64_t negative = n.flag("detect_negative", true), positive = n.flag("detect_positive", true);
  return {n.emit("is_inf", {n.in(0)}, {{"negative", negative}, {"positive", positive}})};
}

// 1 for positive, −1 for negative, and x itself for zeros and NaN.
Values sign(Call& n) {
  const ValueId x = n.in(0), zero = n.like(x, 0);
  const bool is_unsigned = !dtype_is_float(n.dtype(x)) && dtype_name(n.dtype(x))[0] != 'i';
  const ValueId upper = n.emit("where", {n.emit("greater", {x, zero}), n.like(x, 1), x});
  if (is_unsigned) return {upper};
  return {n.emit("where", {n.emit("less", {x, zero}), n.like(x, -1), upper})};
}

Values tan_of(Call& n) {
  return {n.emit("div", {n.emit("sin", {n.in(0)}), n.emit("cos", {n.in(0)})})};
}

namespace {

// (eˣ ± e⁻ˣ) / 2
ValueId hyperbolic(Call& n, std::string_view op) {
  const ValueId x = n.in(0);
  const ValueId both = n.emit(op, {n.emit("exp", {x}), n.emit("exp", {n.emit("neg", {x})})});
  return n.emit("mul", {both, n.like(x, 0.5)});
}

}  // namespace

Values cosh_of(Call& n) {
  return {hyperbolic(n, "add")};
}
Values sinh_of(Call& n) {
  return {hyperbolic(n, "sub")};
}

}  // namespace oc::from_onnx
