// Functions as vector code: polynomials without a call a lane, for f32 (f16 and bf16 as f32). Those of f64 are libm's.
//
// Largest error of f32, in units in the last place of the result (tests/dsl/transcendental_test.cpp measures it over a
// dense sweep of all floats):
//   exp      6   e^x below 2^-126 is 0
//            5   for x ≤ 0 (exp_of_nonpositive)
//   log      3   denormals have their logarithm
//   erf      6
//   tanh     5
//   sigmoid  7   below 2^-126: 0 or to one denormal
//   sin, cos 2   for |x| ≤ 10^6; an absolute error of |x|·2^-52 beyond
// NaN gives NaN, infinities what IEEE 754 has.
#pragma once

#include <Halide.h>

namespace oc {

[[nodiscard]] Halide::Expr exp_expr(const Halide::Expr& x);
// exp_expr for x ≤ 0 or NaN, as in a softmax: half the instructions.
[[nodiscard]] Halide::Expr exp_of_nonpositive(const Halide::Expr& x);
[[nodiscard]] Halide::Expr log_expr(const Halide::Expr& x);
[[nodiscard]] Halide::Expr erf_expr(const Halide::Expr& x);
[[nodiscard]] Halide::Expr tanh_expr(const Halide::Expr& x);
[[nodiscard]] Halide::Expr sigmoid_expr(const Halide::Expr& x);
[[nodiscard]] Halide::Expr sin_expr(const Halide::Expr& x);
[[nodiscard]] Halide::Expr cos_expr(const Halide::Expr& x);

}  // namespace oc
