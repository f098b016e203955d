// Anchors by plain loops in double precision.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"

namespace oc::test {

// `inputs` and the result are plain; `out` gives the shape.
[[nodiscard]] Tensor naive(const Node& node, const std::vector<Tensor>& inputs, const Type& out);

}  // namespace oc::test
