// Elementwise ops of two operands (numpy broadcasting) and `where`. Integers are computed in their own dtype.
#include <cmath>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

enum class Result : uint8_t { same, boolean };
enum class Operands : uint8_t { numbers, booleans };

struct BinaryRow {
  Expr (*define)(const Expr&, const Expr&);
  double (*real)(double, double);
  int64_t (*integer)(int64_t, int64_t);
  Result result = Result::same;
  Operands operands = Operands::numbers;
  bool commutative = false;
  double low = -2, high = 2;
  bool cheap = true;
};

Type infer_binary(const NodeView& node, const std::string& name, const BinaryRow& row) {
  const Type &a = node.in(0), &b = node.in(1);
  if (a.dtype != b.dtype)
    user_error("{}: operands of dtypes {} and {}", name, dtype_name(a.dtype), dtype_name(b.dtype));
  if ((row.operands == Operands::booleans) != (a.dtype == DType::boolean) &&
      !(row.result == Result::boolean && row.operands == Operands::numbers))
    user_error("{} of {}", name, dtype_name(a.dtype));
  return {row.result == Result::boolean ? DType::boolean : a.dtype, broadcast_shapes(a.shape, b.shape), {}};
}

OpInfo make_binary(std::string name, const BinaryRow& row) {
  OpInfo op = elementwise_op(std::move(name), 2);
  op.commutative = row.commutative;
  op.cheap = row.cheap;
  op.infer = [name = op.name, row](const NodeView& node) -> std::vector<Type> {
    return {infer_binary(node, name, row)};
  };
  op.define = [row](OpCall& call) { return row.define(call.in(0), call.in(1)); };
  op.evaluate = [name = op.name, row](const NodeView& node) {
    return evaluate_elementwise(node, infer_binary(node, name, row), [&](const std::vector<Scalar>& x) {
      if (x[0].is_float) {
        const double value = row.real(x[0].f, x[1].f);
        return row.result == Result::boolean ? Scalar{false, value != 0, 0} : Scalar{true, 0, value};
      }
      return Scalar{false, row.integer(x[0].i, x[1].i), 0};
    });
  };
  op.cases = elementwise_cases(2, row.low, row.high, row.operands == Operands::booleans ? DType::boolean : DType::f32);
  return op;
}

// ONNX division of integers truncates; Halide's rounds down. Division by zero gives 0, as Halide defines it.
Expr div_expr(const Expr& a, const Expr& b) {
  if (a.type().is_float() || a.type().is_uint()) return a / b;
  const Expr zero = Halide::Internal::make_zero(a.type());
  const Expr magnitude = Halide::cast(a.type(), Halide::abs(a) / Halide::abs(b));
  return Halide::select((a < zero) == (b < zero), magnitude, -magnitude);
}

// 2^(b·log2 a) is neither exact nor defined below zero; the exponents that models use are.
Expr pow_expr(const Expr& a, const Expr& b) {
  if (const auto exponent = Halide::Internal::as_const_float(b)) {
    if (*exponent == 2) return a * a;
    if (*exponent == 3) return a * a * a;
    if (*exponent == 1) return a;
    if (*exponent == 0.5) return Halide::sqrt(a);
    if (*exponent == -1) return Halide::Internal::make_one(a.type()) / a;
    if (*exponent == -0.5) return Halide::Internal::make_one(a.type()) / Halide::sqrt(a);
  }
  return Halide::cast(a.type(), Halide::pow(Halide::cast<float>(a), Halide::cast<float>(b)));
}

// NaN if either operand is.
Expr max_expr(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return Halide::max(a, b);
  return Halide::strict_float(Halide::select(Halide::is_nan(a) || a > b, a, b));
}
Expr min_expr(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return Halide::min(a, b);
  return Halide::strict_float(Halide::select(Halide::is_nan(a) || a < b, a, b));
}

// ONNX Mod: integers take the divisor's sign (Python), floats with fmod = 1 the dividend's.
Expr mod_expr(const Expr& a, const Expr& b) {
  if (a.type().is_float()) return a - b * Halide::trunc(a / b);
  const Expr zero = Halide::Internal::make_zero(a.type());
  const Expr r = a % b;  // Halide: never negative
  return a.type().is_uint() ? r : Halide::select(b < zero && r != zero, r + b, r);
}

int64_t int_div(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : a / b;
}
int64_t int_mod(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
int64_t int_pow(int64_t a, int64_t b) {
  return static_cast<int64_t>(std::pow(static_cast<double>(a), static_cast<double>(b)));
}
// Wrap like the machine does, without undefined overflow.
int64_t wrap_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrap_sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t wrap_mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

}  // namespace

#define BINARY(name, ...)                                                 \
  const OpInfo& op_##name() {                                             \
    static const OpInfo info = make_binary(#name, BinaryRow __VA_ARGS__); \
    return info;                                                          \
  }
#define HALIDE(formula) [](const Expr& a, const Expr& b) -> Expr { return formula; }
#define REAL(formula) [](double a, double b) -> double { return formula; }
#define INTEGER(formula) [](int64_t a, int64_t b) -> int64_t { return formula; }

BINARY(add, {.define = HALIDE(a + b), .real = REAL(a + b), .integer = wrap_add, .commutative = true})
BINARY(sub, {.define = HALIDE(a - b), .real = REAL(a - b), .integer = wrap_sub})
BINARY(mul, {.define = HALIDE(a * b), .real = REAL(a * b), .integer = wrap_mul, .commutative = true})
BINARY(div, {.define = div_expr, .real = REAL(a / b), .integer = int_div, .low = 0.5, .high = 4, .cheap = false})
BINARY(pow,
       {.define = pow_expr, .real = REAL(std::pow(a, b)), .integer = int_pow, .low = 0.5, .high = 2, .cheap = false})
BINARY(max, {.define = max_expr,
             .real = REAL(std::isnan(a) || a > b ? a : b),
             .integer = INTEGER(std::max(a, b)),
             .commutative = true})
BINARY(min, {.define = min_expr,
             .real = REAL(std::isnan(a) || a < b ? a : b),
             .integer = INTEGER(std::min(a, b)),
             .commutative = true})
BINARY(mod,
       {.define = mod_expr, .real = REAL(std::fmod(a, b)), .integer = int_mod, .low = 0.5, .high = 4, .cheap = false})
BINARY(equal, {.define = HALIDE(a == b),
               .real = REAL(a == b),
               .integer = INTEGER(a == b),
               .result = Result::boolean,
               .commutative = true})
BINARY(less, {.define = HALIDE(a < b), .real = REAL(a < b), .integer = INTEGER(a < b), .result = Result::boolean})
BINARY(less_equal,
       {.define = HALIDE(a <= b), .real = REAL(a <= b), .integer = INTEGER(a <= b), .result = Result::boolean})
BINARY(greater, {.define = HALIDE(a > b), .real = REAL(a > b), .integer = INTEGER(a > b), .result = Result::boolean})
BINARY(greater_equal,
       {.define = HALIDE(a >= b), .real = REAL(a >= b), .integer = INTEGER(a >= b), .result = Result::boolean})
BINARY(and, {.define = HALIDE(a && b),
             .real = REAL(0 * a * b),
             .integer = INTEGER(a && b),
             .result = Result::boolean,
             .operands = Operands::booleans,
             .commutative = true,
             .low = 0,
             .high = 1})
BINARY(or, {.define = HALIDE(a || b),
            .real = REAL(0 * a * b),
            .integer = INTEGER(a || b),
            .result = Result::boolean,
            .operands = Operands::booleans,
            .commutative = true,
            .low = 0,
            .high = 1})
#undef BINARY
#undef HALIDE
#undef REAL
#undef INTEGER

namespace {

Type infer_where(const NodeView& node) {
  if (node.in(0).dtype != DType::boolean)
    user_error("where: the condition is {}, must be bool", dtype_name(node.in(0).dtype));
  if (node.in(1).dtype != node.in(2).dtype)
    user_error("where: branches of dtypes {} and {}", dtype_name(node.in(1).dtype), dtype_name(node.in(2).dtype));
  return {
      node.in(1).dtype, broadcast_shapes(node.in(0).shape, broadcast_shapes(node.in(1).shape, node.in(2).shape)), {}};
}

}  // namespace

const OpInfo& op_where() {
  static const OpInfo info = [] {
    OpInfo op = elementwise_op("where", 3);
    op.cheap = true;
    op.infer = [](const NodeView& node) -> std::vector<Type> { return {infer_where(node)}; };
    op.define = [](OpCall& call) { return Halide::select(call.in(0), call.in(1), call.in(2)); };
    op.evaluate = [](const NodeView& node) {
      return evaluate_elementwise(node, infer_where(node),
                                  [](const std::vector<Scalar>& x) { return x[0].i != 0 ? x[1] : x[2]; });
    };
    for (OpCase c : elementwise_cases(3, -2, 2)) {
      c.inputs[0].dtype = DType::boolean;
      c.inputs[0].low = 0;
      c.inputs[0].high = 1;
      op.cases.push_back(c);
    }
    return op;
  }();
  return info;
}

}  // namespace oc
