// What elementwise ops share. `at_least` and `at_most` return NaN when x is NaN, and compile to one instruction.
#pragma once

#include "dsl/ops/host_scalar.h"
#include "dsl/ops/shape_rules.h"
#include "dsl/ops/transcendental.h"

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

// `value` in the type; of integers the nearest value there is.
[[nodiscard]] Halide::Expr constant_of(Halide::Type type, double value);

// sum / count of a floating sum and a positive integer, divided and not multiplied by a reciprocal: the mean of equal
// numbers is that number, so that nothing is left of a constant row less its mean.
[[nodiscard]] Halide::Expr mean_of(const Halide::Expr& sum, const Halide::Expr& count);

// x, widened, for tests and comparisons. Halide tells LLVM that no arithmetic gives NaN or infinity, so that LLVM
// answers is_nan(a − b) with false; what comes out of integers it knows nothing of. Costs one instruction; a float as
// it is else.
[[nodiscard]] Halide::Expr opaque(const Halide::Expr& x);
// Whether x is NaN (infinite).
[[nodiscard]] Halide::Expr nan_test(const Halide::Expr& x);
[[nodiscard]] Halide::Expr inf_test(const Halide::Expr& x);

// a / b of integers as ONNX has it, towards zero; Halide's rounds down. Division by zero gives 0, as Halide defines it.
[[nodiscard]] Halide::Expr truncated_quotient(const Halide::Expr& a, const Halide::Expr& b);

// libm's function of x's type: `name` for f64, with the suffix f for f32. One call a lane.
[[nodiscard]] Halide::Expr libm(const std::string& name, const std::vector<Halide::Expr>& arguments);

}  // namespace oc
