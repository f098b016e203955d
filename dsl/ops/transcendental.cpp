#include "dsl/ops/transcendental.h"

#include <cmath>
#include <limits>

#include "dsl/ops/elementwise.h"

namespace oc {

using Halide::Expr;

namespace {

// Σ coefficients[i] · x^i.
Expr polynomial(const Expr& x, std::initializer_list<double> coefficients) {
  Expr sum;
  for (auto c = std::rbegin(coefficients); c != std::rend(coefficients); ++c) {
    const Expr term = Halide::Internal::make_const(x.type(), *c);
    sum = sum.defined() ? sum * x + term : term;
  }
  return sum;
}

// sin(x + turns · π/2) of f32: by the quarter turn that x lies in, after W. J. Cody and W. Waite, "Software Manual for
// the Elementary Functions", 1980; x is reduced in f64. Minimax polynomials for |r| ≤ π/4.
Expr sine(const Expr& narrow, double turns) {
  const Expr quarter(0x1.921fb54p+0), quarter_rest(0x1.10b4611a62633p-30);  // their sum is π/2
  const Expr x = opaque(narrow);
  const Expr finite = Halide::strict_float(Halide::abs(x) < std::numeric_limits<float>::infinity());
  const Expr wide = Halide::cast<double>(Halide::select(finite, x, 0.0f));
  const Expr quarters = Halide::floor(wide * Expr(2 / M_PI) + Expr(0.5));
  const Expr rest = Halide::strict_float((wide - quarters * quarter) - quarters * quarter_rest);
  const Expr r = Halide::clamp(Halide::cast<float>(rest), -0.7854f, 0.7854f), s = r * r;
  const Expr by_sine = r + r * s *
                               polynomial(s, {-0.16666666641526423, 0.008333329374083834, -0.00019839330987312948,
                                              2.7182743964562308e-06});
  const Expr by_cosine =
      1.0f - 0.5f * s +
      s * s *
          polynomial(s, {0.04166666662265171, -0.0013888883737962088, 2.4799515873840696e-05, -2.7209891791311395e-07});
  const Expr turned = quarters + Expr(turns);
  const Expr quadrant = Halide::cast<int>(turned - Expr(4.0) * Halide::floor(turned * Expr(0.25)));
  const Expr magnitude = Halide::select((quadrant & 1) == 1, by_cosine, by_sine);
  const Expr nan = Halide::reinterpret<float>(Expr(0x7fc00000));
  return Halide::select(finite, Halide::select(quadrant >= 2, -magnitude, magnitude), nan);
}

}  // namespace

// Halide overflows an integer beyond 2^31·ln 2, and turns NaN into 0; −104 and 89 already give 0 and ∞.
Expr exp_expr(const Expr& narrow) {
  const Expr x = opaque(narrow);
  if (x.type().bits() == 64) return Halide::exp(x);
  const Expr e = Halide::exp(Halide::clamp(x, -104.0f, 89.0f));
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), x, e);
}

// x = n·ln 2 + f, |f| ≤ ½ ln 2: e^x = 2^n · p(f), the polynomial of Cephes' expf. Adding 1.5·2^23 + 127 rounds x / ln 2
// to n and leaves n + 127, the exponent of 2^n, in the lowest bits; −127 gives 0. NaN goes through the polynomial.
Expr exp_of_nonpositive(const Expr& narrow) {
  const Expr x = widened(narrow);
  if (x.type().bits() == 64) return exp_expr(x);
  constexpr float kRound = 0x1.8p23f + 127;
  const Expr least = at_least(x, Expr(-88.02969f));
  const Expr shifted = Halide::strict_float(least * 1.44269504f + kRound);
  const Expr n = Halide::strict_float(shifted - kRound);
  const Expr f = least - n * 0.693359375f + n * 2.12194440e-4f;
  Expr p = 1.9875691500e-4f;
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = p * f + c;
  p = p * (f * f) + f + 1.0f;
  return p * Halide::reinterpret<float>(Halide::reinterpret<int32_t>(shifted) << 23);
}

// Halide takes the exponent's bits as they are, which is for normal numbers only.
Expr log_expr(const Expr& narrow) {
  const Expr x = opaque(narrow);
  if (x.type().bits() == 64) return Halide::log(x);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Expr denormal = Halide::strict_float(x < std::numeric_limits<float>::min());
  const Expr value = Halide::log(Halide::select(denormal, x * 0x1p24f, x)) -
                     Halide::select(denormal, static_cast<float>(24 * std::log(2.0)), 0.0f);
  const Expr nan = Halide::reinterpret<float>(Expr(0x7fc00000));
  const Expr special =
      Halide::select(Halide::strict_float(x == 0.0f), -kInfinity, Halide::strict_float(x < 0.0f), nan, x);
  return Halide::select(Halide::strict_float(x > 0.0f && x < kInfinity), value, special);
}

// ±1 in f32 from 3.92 on; Halide multiplies 0 by ∞ far out.
Expr erf_expr(const Expr& narrow) {
  const Expr x = opaque(narrow);
  if (x.type().bits() == 64) return libm("erf", {x});
  const Expr value = Halide::erf(Halide::clamp(x, -4.0f, 4.0f));
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), x, value);
}

// x·P(x²)/Q(x²), a minimax rational form for |x| ≤ 9, beyond which the result is ±1.
Expr tanh_expr(const Expr& narrow) {
  const Expr x = opaque(narrow);
  if (x.type().bits() == 64) return libm("tanh", {x});
  const Expr limited = Halide::clamp(x, -9.0f, 9.0f), s = limited * limited;
  const Expr p = polynomial(s, {0.9999999795840209, 0.1338100725127573, 0.003495565955257069, 2.0608711846899212e-05,
                                1.3354149137127814e-08});
  const Expr q =
      polynomial(s, {1.0, 0.46714322885083964, 0.025876898600495826, 0.00032855982294696103, 7.77634785884643e-07});
  const Expr value = Halide::clamp(limited * p / q, -1.0f, 1.0f);
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), x, value);
}

Expr sigmoid_expr(const Expr& narrow) {
  const Expr x = widened(narrow);
  const Expr one = Halide::Internal::make_one(x.type());
  return one / (one + exp_expr(-x));
}

Expr sin_expr(const Expr& narrow) {
  const Expr x = widened(narrow);
  return x.type().bits() == 64 ? Halide::sin(x) : sine(x, 0);
}
Expr cos_expr(const Expr& narrow) {
  const Expr x = widened(narrow);
  return x.type().bits() == 64 ? Halide::cos(x) : sine(x, 1);
}

}  // namespace oc
