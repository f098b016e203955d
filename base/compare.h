// The one tolerance of the project: how far two arrays lie apart, and how far a kernel may.
#pragma once

#include <cstddef>
#include <span>

#include "base/dtype.h"
#include "base/tensor.h"

namespace oc {

// err(a, b) = max |a − b| / max(|b|, 0.1·max|b|), b the reference; maxima over the finite elements of b. 0 for equal
// arrays. Infinite when the sizes differ, when NaN or an infinity (with its sign) stands in one array only, when b is
// all zero and a is not, and for integers and booleans that differ at all.
[[nodiscard]] double err(std::span<const float> a, std::span<const float> b);
[[nodiscard]] double err(std::span<const double> a, std::span<const double> b);
// The same for raw elements of any dtype; f16 and bf16 are widened.
[[nodiscard]] double err(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b);
// Infinite also when dtype or shape differ; b is brought into a's layout.
[[nodiscard]] double err(const Tensor& a, const Tensor& b);

// The same for algorithms that mix neighbours, so that one NaN or infinity makes several (Winograd): every element of b
// that is not finite must not be finite in a; those not finite in a alone are left out, at most half of all.
[[nodiscard]] double err_where_finite(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b);

// One kernel against its reference: 1e-5·√K, K the number of reduced elements behind one output (1 when none). At K = 1
// this is 1e-5, the floor: two correct evaluations of one transcendental differ by a few units in the last place.
[[nodiscard]] double kernel_tolerance(double k);
inline constexpr double kWinogradTolerance = 1e-4;  // the most that a kernel by Winograd may be off
inline constexpr double kModelTolerance = 1e-3;     // a whole f32 model

}  // namespace oc
