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

// e^x. Halide's vector form makes 0 of NaN and of infinity, so where e^x overflows and for NaN, x·1e38 is taken:
// infinity or NaN. A test with is_nan would not do: x may come from arithmetic that LLVM assumes to be free of NaN.
inline Halide::Expr exp_expr(const Halide::Expr& x) {
  if (x.type().element_of() != Halide::Float(32)) return Halide::exp(x);
  return Halide::strict_float(Halide::select(x < 89.0f, Halide::exp(x), x * 1e38f));
}

// The error function, in f32 ±1 from ±4 on; Halide's form makes NaN of infinity.
inline Halide::Expr erf_expr(const Halide::Expr& x) {
  const Halide::Expr limit = Halide::Internal::make_const(x.type(), 4);
  return Halide::erf(at_most(at_least(x, -limit), limit));
}

}  // namespace oc
