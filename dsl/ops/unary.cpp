// Elementwise ops of one operand. A row: name, host formula, Halide formula, range of its test values.
#include <cmath>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

struct UnaryRow {
  double (*host)(double);
  Expr (*define)(const Expr&);
  double low, high;
  int64_t (*integer)(int64_t, bool u) = nullptr;  // u: of u64; null: for floats only
  [[nodiscard]] bool floats_only() const { return integer == nullptr; }
};

OpInfo make_unary(std::string name, const UnaryRow& row) {
  OpInfo op = elementwise_op(std::move(name), 1);
  op.infer = [name = op.name, row](const NodeView& node) -> std::vector<Type> {
    if (row.floats_only() && !dtype_is_float(node.in(0).dtype))
      user_error("{} of {}: needs a floating-point type", name, dtype_name(node.in(0).dtype));
    return {{node.in(0).dtype, node.in(0).shape, {}}};
  };
  op.define = [row](OpCall& call) { return Halide::cast(call.in(0).type(), row.define(widened(call.in(0)))); };
  op.evaluate = [row](const NodeView& node) {
    return evaluate_elementwise(node, {node.in(0).dtype, node.in(0).shape, {}}, [&](const std::vector<Scalar>& x) {
      if (x[0].is_float) return Scalar{true, 0, row.host(x[0].f)};
      return Scalar{false, row.integer(x[0].i, x[0].is_unsigned), 0};
    });
  };
  op.cheap = !row.floats_only();
  op.cases = elementwise_cases(1, row.low, row.high);
  return op;
}

Expr zero_of(const Expr& x) {
  return Halide::Internal::make_zero(x.type());
}
Expr one_of(const Expr& x) {
  return Halide::Internal::make_one(x.type());
}
// Wraps like the machine does: −(−2^63) is −2^63.
int64_t negated(int64_t x, bool) {
  return static_cast<int64_t>(0 - static_cast<uint64_t>(x));
}

}  // namespace

#define UNARY(name, host_formula, halide_formula, low, high, ...)                                          \
  const OpInfo& op_##name() {                                                                              \
    static const OpInfo info =                                                                             \
        make_unary(#name, {[](double x) -> double { return host_formula; },                                \
                           [](const Expr& x) -> Expr { return halide_formula; }, low, high, __VA_ARGS__}); \
    return info;                                                                                           \
  }

UNARY(relu, x < 0 ? 0 : x, at_least(x, zero_of(x)), -2, 2, [](int64_t x, bool u) { return x < 0 && !u ? 0 : x; })
UNARY(sigmoid, 1 / (1 + std::exp(-x)), sigmoid_expr(x), -8, 8)
UNARY(tanh, std::tanh(x), tanh_expr(x), -8, 8)
UNARY(erf, std::erf(x), erf_expr(x), -4, 4)
UNARY(exp, std::exp(x), exp_expr(x), -10, 10)
UNARY(log, std::log(x), log_expr(x), 0.01, 20)
UNARY(sqrt, std::sqrt(x), Halide::sqrt(x), 0, 20)
UNARY(reciprocal, 1 / x, one_of(x) / x, 0.1, 4)
UNARY(neg, -x, -x, -4, 4, negated)
UNARY(abs, std::fabs(x), x.type().is_uint() ? x : Halide::abs(x), -4, 4,
      [](int64_t x, bool u) { return x < 0 && !u ? negated(x, u) : x; })
UNARY(floor, std::floor(x), Halide::floor(x), -4, 4)
UNARY(ceil, std::ceil(x), Halide::ceil(x), -4, 4)
UNARY(round, std::nearbyint(x), Halide::round(x), -4, 4)
UNARY(sin, std::sin(x), sin_expr(x), -3, 3)
UNARY(cos, std::cos(x), cos_expr(x), -3, 3)
UNARY(asin, std::asin(x), libm("asin", {x}), -1, 1)
UNARY(acos, std::acos(x), libm("acos", {x}), -1, 1)
UNARY(atan, std::atan(x), libm("atan", {x}), -4, 4)
UNARY(asinh, std::asinh(x), libm("asinh", {x}), -4, 4)
UNARY(acosh, std::acosh(x), libm("acosh", {x}), 1, 8)
UNARY(atanh, std::atanh(x), libm("atanh", {x}), -0.9, 0.9)
#undef UNARY

namespace {

// Ops of one operand with parameters.
OpInfo make_parametric(std::string name, std::vector<AttrSpec> attrs, Expr (*define)(const Expr&, const Attrs&),
                       double (*host)(double, const Attrs&)) {
  OpInfo op = elementwise_op(std::move(name), 1);
  op.attrs = std::move(attrs);
  op.cheap = true;
  op.infer = [](const NodeView& node) -> std::vector<Type> { return {{node.in(0).dtype, node.in(0).shape, {}}}; };
  op.define = [define](OpCall& call) {
    return Halide::cast(call.in(0).type(), define(widened(call.in(0)), call.attrs()));
  };
  op.evaluate = [host](const NodeView& node) {
    return evaluate_elementwise(node, {node.in(0).dtype, node.in(0).shape, {}}, [&](const std::vector<Scalar>& x) {
      const double value = host(x[0].real(), node.attrs());
      return value == x[0].real() ? x[0] : Scalar{true, 0, value};  // integers that are no double stay exact
    });
  };
  return op;
}

// A bound as a constant of x's type; integers saturate, infinities of a float stay.
Expr bound(const Expr& x, double value) {
  const Halide::Type type = x.type();
  if (type.is_float()) return Halide::Internal::make_const(type, value);
  const double limit = std::ldexp(1.0, type.bits() - (type.is_int() ? 1 : 0));
  if (value >= limit) return type.max();
  if (value <= (type.is_int() ? -limit : 0.0)) return type.min();
  return Halide::Internal::make_const(type, value);
}

Expr clip_expr(const Expr& x, const Attrs& attrs) {
  const double low = attrs.number("min"), high = attrs.number("max");
  Expr value = x;
  if (!std::isinf(low)) value = at_least(value, bound(x, low));
  if (!std::isinf(high)) value = at_most(value, bound(x, high));
  return value;
}

double clip_host(double x, const Attrs& attrs) {
  if (x < attrs.number("min")) x = attrs.number("min");
  return x > attrs.number("max") ? attrs.number("max") : x;
}

std::vector<Type> infer_float(const NodeView& node) {
  require_float(node);
  return {{node.in(0).dtype, node.in(0).shape, {}}};
}

template <class T>
std::vector<OpCase> with_attrs(std::vector<OpCase> cases, const T& attrs) {
  for (OpCase& c : cases) c.attrs = attrs;
  return cases;
}

}  // namespace

const OpInfo& op_clip() {
  static const OpInfo info = [] {
    OpInfo op = make_parametric("clip", {{"min", AttrSpec::Type::number, true}, {"max", AttrSpec::Type::number, true}},
                                clip_expr, clip_host);
    op.cases = with_attrs(elementwise_cases(1, -4, 8), Attrs{{"min", 0.0}, {"max", 6.0}});
    return op;
  }();
  return info;
}

const OpInfo& op_leaky_relu() {
  static const OpInfo info = [] {
    OpInfo op = make_parametric(
        "leaky_relu", {{"alpha", AttrSpec::Type::number, true}},
        [](const Expr& x, const Attrs& a) {
          return Halide::select(x < 0, x * Halide::Internal::make_const(x.type(), a.number("alpha")), x);
        },
        [](double x, const Attrs& a) { return x < 0 ? x * a.number("alpha") : x; });
    op.infer = infer_float;
    op.cases = with_attrs(elementwise_cases(1, -2, 2), Attrs{{"alpha", 0.1}});
    return op;
  }();
  return info;
}

const OpInfo& op_elu() {
  static const OpInfo info = [] {
    OpInfo op = make_parametric(
        "elu", {{"alpha", AttrSpec::Type::number, true}},
        [](const Expr& x, const Attrs& a) {
          const Expr alpha = Halide::Internal::make_const(x.type(), a.number("alpha"));
          return Halide::select(x < 0, alpha * (exp_expr(Halide::min(x, 0.0f)) - 1.0f), x);
        },
        [](double x, const Attrs& a) { return x < 0 ? a.number("alpha") * std::expm1(x) : x; });
    op.cheap = false;
    op.infer = infer_float;
    op.cases = with_attrs(elementwise_cases(1, -2, 2), Attrs{{"alpha", 1.0}});
    return op;
  }();
  return info;
}

const OpInfo& op_not() {
  static const OpInfo info = [] {
    OpInfo op = elementwise_op("not", 1);
    op.cheap = true;
    op.infer = [](const NodeView& node) -> std::vector<Type> {
      if (node.in(0).dtype != DType::boolean) user_error("not of {}: needs bool", dtype_name(node.in(0).dtype));
      return {{DType::boolean, node.in(0).shape, {}}};
    };
    op.define = [](OpCall& call) { return !call.in(0); };
    op.evaluate = [](const NodeView& node) {
      return evaluate_elementwise(node, {DType::boolean, node.in(0).shape, {}},
                                  [](const std::vector<Scalar>& x) { return Scalar{false, x[0].i == 0, 0}; });
    };
    op.cases = elementwise_cases(1, 0, 1, DType::boolean);
    return op;
  }();
  return info;
}

namespace {

// f64 becomes f16 and bf16 through f32, as on the host: the direct conversion, which LLVM would make of the two, is a
// function of the C++ runtime.
Expr narrowed(const Expr& x) {
  return x.type() == Halide::Float(64) ? opaque(Halide::cast<float>(x)) : x;
}

Halide::Expr cast_to(DType dtype, const Expr& x) {
  switch (dtype) {
    case DType::boolean: return x.type().is_bool() ? x : x != zero_of(x);
    case DType::f32: return Halide::cast<float>(x);
    case DType::f64: return Halide::cast<double>(x);
    case DType::f16: return Halide::cast(Halide::Float(16), narrowed(x));
    case DType::bf16: return Halide::cast(Halide::BFloat(16), narrowed(x));
    case DType::i8: return Halide::cast<int8_t>(x);
    case DType::u8: return Halide::cast<uint8_t>(x);
    case DType::i16: return Halide::cast<int16_t>(x);
    case DType::u16: return Halide::cast<uint16_t>(x);
    case DType::i32: return Halide::cast<int32_t>(x);
    case DType::u32: return Halide::cast<uint32_t>(x);
    case DType::i64: return Halide::cast<int64_t>(x);
    case DType::u64: return Halide::cast<uint64_t>(x);
  }
  return x;
}

DType cast_target(const Attrs& attrs) {
  const std::optional<DType> to = parse_dtype(attrs.text("to"));
  if (!to) user_error("cast to unknown dtype '{}'", attrs.text("to"));
  return *to;
}

}  // namespace

const OpInfo& op_cast() {
  static const OpInfo info = [] {
    OpInfo op = elementwise_op("cast", 1);
    op.cheap = true;
    op.attrs = {{"to", AttrSpec::Type::text, true}};
    op.infer = [](const NodeView& node) -> std::vector<Type> {
      return {{cast_target(node.attrs()), node.in(0).shape, {}}};
    };
    op.define = [](OpCall& call) { return cast_to(call.out.dtype, call.in(0)); };
    op.evaluate = [](const NodeView& node) {
      return evaluate_elementwise(node, {cast_target(node.attrs()), node.in(0).shape, {}},
                                  [](const std::vector<Scalar>& x) { return x[0]; });
    };
    for (const char* to : {"i32", "i64", "bool", "f64"})
      for (OpCase& c : with_attrs(elementwise_cases(1, -4, 4), Attrs{{"to", std::string(to)}}))
        if (c.out_layout.empty()) op.cases.push_back(c);
    for (OpCase& c : with_attrs(elementwise_cases(1, -4, 4, DType::i64), Attrs{{"to", std::string("f32")}}))
      op.cases.push_back(c);
    return op;
  }();
  return info;
}

}  // namespace oc
