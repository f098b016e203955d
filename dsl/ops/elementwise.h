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

// e^x; NaN stays NaN, which Halide's vector form alone turns into 0.
inline Halide::Expr exp_expr(const Halide::Expr& x) {
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), x, Halide::exp(x));
}

}  // namespace oc
