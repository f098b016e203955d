// Winograd's minimal filtering for windows of any size and stride. Along each axis, F(m, r) computes m outputs of a
// filter of r taps by fewer products than m·r; the two axes compose:
//   Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A
// A filter of stride s is the sum of s filters of stride 1, over every s-th tap and every s-th input each; their
// products stand one after the other. A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
// Values that are not finite spread over the tile they lie in (docs/decisions/0002).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace oc {

using Matrix = std::vector<std::vector<double>>;

// Along one axis: m outputs of r taps, `stride` inputs apart. Of a transposed convolution `up` outputs lie between two
// inputs: `up` filters over every up-th tap, of m outputs each, which interleave; `shift` is its padding modulo `up`.
struct MinimalFilter {
  int m = 1, r = 1, stride = 1;
  int up = 1, shift = 0;
  [[nodiscard]] int outputs() const { return m * up; }
  [[nodiscard]] int inputs() const;
  [[nodiscard]] int products() const;
  // Points at which polynomials are evaluated, infinity included; with their number the rounding errors grow.
  [[nodiscard]] int points() const;
  // "F(4,3/2)": m, r / stride; "F(4,4*2+1)": m, r * up + shift.
  [[nodiscard]] std::string name() const;
};
inline constexpr int kMostPoints = 8;  // that filter_matrices knows

struct FilterMatrices {
  Matrix input;    // Bᵀ, products × inputs
  Matrix weights;  // G, products × r
  Matrix output;   // Aᵀ, outputs × products
};
// Of at most kMostPoints points.
[[nodiscard]] FilterMatrices filter_matrices(const MinimalFilter& filter);

struct Winograd {
  MinimalFilter y, x;
  [[nodiscard]] int frequencies() const { return y.products() * x.products(); }
  // Of the weights' transform: "F(4,3/2)xF(4,3/2)", y first.
  [[nodiscard]] std::string name() const { return y.name() + "x" + x.name(); }
};

// Null when there is no transform of this name.
[[nodiscard]] std::optional<Winograd> find_winograd(std::string_view name);
// Weights [a, b, y.r, x.r] → [a, b, frequencies]: G g Gᵀ, computed in double precision. f32, plain layout.
[[nodiscard]] Tensor transform_weights(const Tensor& weights, const Winograd& form);

}  // namespace oc
