// Reductions over axes, for the ops that are made of them.
#pragma once

#include <string_view>
#include <vector>

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

// The op over `axes` (normalised); the dims stay with extent 1 unless `keep` is false. No axes: the value itself.
[[nodiscard]] ValueId reduce_over(Call& n, std::string_view op, ValueId x, const std::vector<int64_t>& axes,
                                  bool keep = true);
// first, first + 1, …, rank − 1
[[nodiscard]] std::vector<int64_t> axes_from(int64_t first, int64_t rank);
// reduce_mean of (x − mean)², and its parts: what every normalisation starts with.
struct Moments {
  ValueId centered, variance;
};
[[nodiscard]] Moments moments(Call& n, ValueId x, const std::vector<int64_t>& axes);
// centered / √(variance + epsilon)
[[nodiscard]] ValueId normalised(Call& n, const Moments& m, double epsilon);

}  // namespace oc::from_onnx
