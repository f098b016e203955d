// Winograd's minimal filtering F(m×m, 3×3): a tile of m×m outputs from n×n inputs, n = m + 2, as n² products per pair
// of channels instead of 9·m². Matrices of A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2015:
//   Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A
// Values that are not finite spread over the tile they lie in (docs/decisions/0002).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace oc {

struct Winograd {
  using Matrix = std::vector<std::vector<double>>;
  std::string name;  // of the weights' transform: "winograd2", "winograd4"
  int m = 0, n = 0;
  Matrix input;    // Bᵀ, n × n
  Matrix weights;  // G, n × 3
  Matrix output;   // Aᵀ, m × n
};

// Null when there is no transform of this name.
[[nodiscard]] const Winograd* find_winograd(std::string_view name);
// Weights [o, i, 3, 3] → [o, i, n²]: G g Gᵀ, computed in double precision. f32, plain layout.
[[nodiscard]] Tensor transform_weights(const Tensor& weights, const Winograd& form);

}  // namespace oc
