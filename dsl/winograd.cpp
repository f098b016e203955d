#include "dsl/winograd.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace oc {

const Winograd* find_winograd(std::string_view name) {
  static const std::array<Winograd, 2> kForms = {
      Winograd{.name = "winograd2",
               .m = 2,
               .n = 4,
               .input = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
               .weights = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
               .output = {{1, 1, 1, 0}, {0, 1, -1, -1}}},
      Winograd{.name = "winograd4",
               .m = 4,
               .n = 6,
               .input = {{4, 0, -5, 0, 1, 0},
                         {0, -4, -4, 1, 1, 0},
                         {0, 4, -4, -1, 1, 0},
                         {0, -2, -1, 2, 1, 0},
                         {0, 2, -1, -2, 1, 0},
                         {0, 4, 0, -5, 0, 1}},
               .weights = {{1 / 4.0, 0, 0},
                           {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                           {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                           {1 / 24.0, 1 / 12.0, 1 / 6.0},
                           {1 / 24.0, -1 / 12.0, 1 / 6.0},
                           {0, 0, 1}},
               .output = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}}};
  const auto found = std::ranges::find(kForms, name, &Winograd::name);
  return found == kForms.end() ? nullptr : &*found;
}

Tensor transform_weights(const Tensor& weights, const Winograd& form) {
  if (weights.dtype != DType::f32 || !weights.layout.plain() || weights.shape.size() != 4 || weights.shape[2] != 3 ||
      weights.shape[3] != 3)
    internal_error("only plain f32 weights of 3×3 windows can be transformed for {}", form.name);
  const int64_t pairs = weights.shape[0] * weights.shape[1];
  const auto n = static_cast<size_t>(form.n);
  Tensor result = make_tensor(DType::f32, {weights.shape[0], weights.shape[1], form.n * form.n});
  const auto from = weights.as<float>();
  const auto to = result.as<float>();
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const auto window = from.subspan(static_cast<size_t>(pair * 9), 9);
    for (size_t a = 0; a < n; ++a) {
      std::array<double, 3> row{};  // (G g)[a]
      for (size_t y = 0; y < 3; ++y)
        for (size_t x = 0; x < 3; ++x) row[x] += form.weights[a][y] * static_cast<double>(window[y * 3 + x]);
      for (size_t b = 0; b < n; ++b) {
        double sum = 0;
        for (size_t x = 0; x < 3; ++x) sum += row[x] * form.weights[b][x];
        to[static_cast<size_t>(pair) * n * n + a * n + b] = static_cast<float>(sum);
      }
    }
  }
  return result;
}

}  // namespace oc
