// How a group becomes a workload's graph: the order of its nodes and inputs, and the merging of dims.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "graph/op_set.h"
#include "graph/partition.h"

namespace oc {

// The group's nodes, producers first, in an order that follows from the group's structure alone.
[[nodiscard]] std::vector<NodeId> canonical_order(const Graph& graph, const std::vector<NodeId>& nodes, ValueId output,
                                                  const OpSet& ops);
// What Group::inputs says; `nodes` in canonical order.
[[nodiscard]] std::vector<ValueId> canonical_inputs(const Graph& graph, const std::vector<NodeId>& nodes,
                                                    const OpSet& ops);
// Merges dims d, d+1 into (1, product) wherever the ops and the tensors' memory allow it. Needs static types.
void collapse_dims(Graph& workload, const OpSet& ops);

}  // namespace oc
