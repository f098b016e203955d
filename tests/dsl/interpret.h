// Runs a graph by plain loops, without any code generation: what the importer made of a model, what a pass changed.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc::test {

// The graph's outputs. Ops without a host evaluator are computed in f32 and f64 by tests/dsl/reference.h.
[[nodiscard]] std::vector<Tensor> interpret(const Graph& graph, const OpSet& ops, const std::vector<Tensor>& inputs);

}  // namespace oc::test
