// What elementwise ops share. `min_value` and `max_value` return NaN when x is NaN, and compile to one instruction.
#pragma once

#include "dsl/ops/host_scalar.h"
#include "dsl/ops/shape_rules.h"

namespace oc {

// The larger (smaller) of x and a bound that is not NaN; NaN if x is.
[[nodiscard]] inline Halide::Expr at_least(const Halide::Expr& x, const Halide::Expr& bound) {
  return Halide::strict_float(Halide::select(x < bound, bound, x));
}
[[nodiscard]] inline Halide::Expr at_most(const Halide::Expr& x, const Halide::Expr& bound) {
  return Halide::strict_float(Halide::select(x > bound, bound, x));
}

// Evaluates an elementwise op on the host, element by element with broadcasting; `out` is the op's type.
[[nodiscard]] std::vector<Tensor> evaluate_elementwise(const NodeView& node, const Type& out,
                                                       const std::function<Scalar(const std::vector<Scalar>&)>& f);

// An OpInfo of kind elementwise with `inputs` inputs; the caller adds define, infer, evaluate.
[[nodiscard]] OpInfo elementwise_op(std::string name, int inputs);

// Inputs of odd and even sizes, all `low` … `high`, as a first set of cases.
[[nodiscard]] std::vector<OpCase> elementwise_cases(int inputs, double low, double high, DType dtype = DType::f32);

// The value in the type that formulas are computed in: f16 and bf16 as f32.
[[nodiscard]] inline Halide::Expr widened(const Halide::Expr& x) {
  return x.type().is_float() && x.type().bits() < 32 ? Halide::cast<float>(x) : x;
}

// e^x in x's type (at least f32), accurate to a few units in the last place; results below 2^-126 are 0. Halide's
// vector form alone overflows its integers beyond 2^31·ln 2 and turns NaN into 0; −104 and 89 already give 0 and ∞.
[[nodiscard]] inline Halide::Expr exp_expr(const Halide::Expr& narrow) {
  const Halide::Expr x = widened(narrow);
  if (x.type().bits() == 64) return Halide::exp(x);  // libm's
  const Halide::Expr e = Halide::exp(Halide::clamp(x, -104.0f, 89.0f));
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), x, e);
}

}  // namespace oc
