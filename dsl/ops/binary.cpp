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
  int64_t (*integer)(int64_t, int64_t, bool u);  // u: the operands are u64
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
      return Scalar{false, row.integer(x[0].i, x[1].i, x[0].is_unsigned), 0};
    });
  };
  op.cases = elementwise_cases(2, row.low, row.high, row.operands == Operands::booleans ? DType::boolean : DType::f32);
  return op;
}

Expr div_expr(const Expr& a, const Expr& b) {
  return a.type().is_float() ? a / b : truncated_quotient(a, b);
}

// Exponents from here on give 0, ±1 or overflow, and the parity tells which.
constexpr int kOverflowingPower = 64;

// a^b modulo 2^bits by squaring; b < 0 gives 0 but for a = ±1, as truncation of a^b does.
Expr int_pow_expr(const Expr& a, const Expr& b) {
  const Halide::Type type = a.type();
  const auto number = [&](int64_t value) { return Halide::Internal::make_const(type, value); };
  const Expr odd = b & number(1);
  const Expr e = Halide::select(b < number(kOverflowingPower), b, number(kOverflowingPower) + odd);
  Expr base = Halide::cast(type.with_code(Halide::Type::UInt), a), power = Halide::Internal::make_one(base.type());
  for (int bit = 0; bit < 7; ++bit) {
    power = Halide::select(((e >> number(bit)) & number(1)) != number(0), power * base, power);
    base = base * base;
  }
  power = Halide::cast(type, power);
  if (type.is_uint()) return power;
  const Expr inverse =
      Halide::select(a == number(1), number(1), a == number(-1), number(1) - odd * number(2), number(0));
  return Halide::select(b < number(0), inverse, power);
}

// a^n for a small constant n.
Expr repeated_product(const Expr& a, int n) {
  if (n == 1) return a;
  const Expr half = repeated_product(a, n / 2);
  return n % 2 == 0 ? half * half : half * half * a;
}

// The constant exponents that models use become products, roots or e^(b·log a); others are libm's affair.
Expr pow_expr(const Expr& narrow_a, const Expr& narrow_b) {
  if (!narrow_a.type().is_float()) return int_pow_expr(narrow_a, narrow_b);
  const Expr a = widened(narrow_a), one = Halide::Internal::make_one(a.type());
  constexpr double kMostFactors = 16;
  const auto power = [&]() -> Expr {
    const auto exponent = Halide::Internal::as_const_float(narrow_b);
    // Opaque: LLVM makes a function of the C++ runtime of a power whose exponent was an integer.
    if (!exponent) return libm("pow", {a, opaque(narrow_b)});
    if (*exponent == 0) return one;
    if (*exponent == 0.5) return Halide::sqrt(a);
    if (*exponent == -0.5) return one / Halide::sqrt(a);
    if (std::trunc(*exponent) == *exponent && std::abs(*exponent) <= kMostFactors) {
      const Expr product = repeated_product(a, static_cast<int>(std::abs(*exponent)));
      return *exponent < 0 ? one / product : product;
    }
    if (a.type().bits() == 32 && std::trunc(*exponent) != *exponent && std::isfinite(*exponent))
      return exp_expr(static_cast<float>(*exponent) * log_expr(a));
    return libm("pow", {a, widened(narrow_b)});
  }();
  return Halide::cast(narrow_a.type(), power);
}

// A float whose comparisons are answered as written, and other operands as they are.
Expr compared(const Expr& x) {
  return x.type().is_float() ? opaque(x) : x;
}

// NaN if either operand is.
Expr max_expr(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return Halide::max(a, b);
  const Expr x = opaque(a), y = opaque(b);
  return Halide::cast(a.type(), Halide::strict_float(Halide::select(Halide::is_nan(x) || x > y, x, y)));
}
Expr min_expr(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return Halide::min(a, b);
  const Expr x = opaque(a), y = opaque(b);
  return Halide::cast(a.type(), Halide::strict_float(Halide::select(Halide::is_nan(x) || x < y, x, y)));
}

// a <= b. Halide makes !(b < a) of it, which NaN satisfies.
Expr at_most_expr(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return a <= b;
  return Halide::strict_float(opaque(a) < opaque(b)) || Halide::strict_float(opaque(a) == opaque(b));
}

// ONNX Mod: integers take the divisor's sign (Python), floats with fmod = 1 the dividend's.
Expr mod_expr(const Expr& a, const Expr& b) {
  if (a.type().is_float()) return Halide::cast(a.type(), libm("fmod", {widened(a), widened(b)}));
  const Expr zero = Halide::Internal::make_zero(a.type());
  const Expr r = a % b;  // Halide: never negative
  return a.type().is_uint() ? r : Halide::select(b < zero && r != zero, r + b, r);
}

bool below(int64_t a, int64_t b, bool u) {
  return u ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
}
int64_t int_div(int64_t a, int64_t b, bool u) {
  if (u && b != 0) return static_cast<int64_t>(static_cast<uint64_t>(a) / static_cast<uint64_t>(b));
  return b == 0 ? 0 : b == -1 ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : a / b;
}
int64_t int_mod(int64_t a, int64_t b, bool u) {
  if (u && b != 0) return static_cast<int64_t>(static_cast<uint64_t>(a) % static_cast<uint64_t>(b));
  if (b == 0 || b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
int64_t int_pow(int64_t a, int64_t b, bool u) {
  if (!u && b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  uint64_t base = static_cast<uint64_t>(a), power = 1;
  const int64_t e = below(b, kOverflowingPower, u) ? b : kOverflowingPower + (b & 1);
  for (int64_t left = e; left > 0; left /= 2, base *= base)
    if (left % 2 != 0) power *= base;
  return static_cast<int64_t>(power);
}
// Wrap like the machine does, without undefined overflow.
int64_t wrap_add(int64_t a, int64_t b, bool) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrap_sub(int64_t a, int64_t b, bool) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t wrap_mul(int64_t a, int64_t b, bool) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

}  // namespace

#define BINARY(name, ...)                                                 \
  const OpInfo& op_##name() {                                             \
    static const OpInfo info = make_binary(#name, BinaryRow __VA_ARGS__); \
    return info;                                                          \
  }
#define HALIDE(formula) [](const Expr& a, const Expr& b) -> Expr { return formula; }
// As written, or Halide takes x == x for true and !(a < b) for b <= a, which are not when there is a NaN.
#define COMPARISON(op) HALIDE(Halide::strict_float(compared(a) op compared(b)))
#define REAL(formula) [](double a, double b) -> double { return formula; }
#define INTEGER(formula) [](int64_t a, int64_t b, [[maybe_unused]] bool u) -> int64_t { return formula; }

BINARY(add, {.define = HALIDE(a + b), .real = REAL(a + b), .integer = wrap_add, .commutative = true})
BINARY(sub, {.define = HALIDE(a - b), .real = REAL(a - b), .integer = wrap_sub})
BINARY(mul, {.define = HALIDE(a * b), .real = REAL(a * b), .integer = wrap_mul, .commutative = true})
BINARY(div, {.define = div_expr, .real = REAL(a / b), .integer = int_div, .low = 0.5, .high = 4, .cheap = false})
BINARY(pow,
       {.define = pow_expr, .real = REAL(std::pow(a, b)), .integer = int_pow, .low = 0.5, .high = 2, .cheap = false})
BINARY(max, {.define = max_expr,
             .real = REAL(std::isnan(a) || a > b ? a : b),
             .integer = INTEGER(below(a, b, u) ? b : a),
             .commutative = true})
BINARY(min, {.define = min_expr,
             .real = REAL(std::isnan(a) || a < b ? a : b),
             .integer = INTEGER(below(b, a, u) ? b : a),
             .commutative = true})
BINARY(mod,
       {.define = mod_expr, .real = REAL(std::fmod(a, b)), .integer = int_mod, .low = 0.5, .high = 4, .cheap = false})
BINARY(equal, {.define = COMPARISON(==),
               .real = REAL(a == b),
               .integer = INTEGER(a == b),
               .result = Result::boolean,
               .commutative = true})
BINARY(less,
       {.define = COMPARISON(<), .real = REAL(a < b), .integer = INTEGER(below(a, b, u)), .result = Result::boolean})
BINARY(less_equal, {.define = HALIDE(at_most_expr(a, b)),
                    .real = REAL(a <= b),
                    .integer = INTEGER(!below(b, a, u)),
                    .result = Result::boolean})
BINARY(greater,
       {.define = COMPARISON(>), .real = REAL(a > b), .integer = INTEGER(below(b, a, u)), .result = Result::boolean})
BINARY(greater_equal, {.define = HALIDE(at_most_expr(b, a)),
                       .real = REAL(a >= b),
                       .integer = INTEGER(!below(a, b, u)),
                       .result = Result::boolean})
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
#undef COMPARISON
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
