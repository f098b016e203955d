// Ops that copy elements to other places.
#pragma once

#include "dsl/ops/shape_rules.h"

namespace oc {

[[nodiscard]] OpInfo movement_op(std::string name, int min_inputs, int max_inputs);
// Evaluates a one-input movement on the host: `source` gives for each output index the element of the input.
[[nodiscard]] std::vector<Tensor> evaluate_movement(const NodeView& node, const Type& out,
                                                    const std::function<int64_t(const Extents& index)>& source);
// Row-major offset of `index` in a tensor of `shape`.
[[nodiscard]] int64_t row_major(std::span<const int64_t> index, std::span<const int64_t> shape);

}  // namespace oc
