// Partition into fused groups: one kernel each.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc {

// One kernel: nodes of the model graph, in order; exactly one output value. `inputs` are the values it reads from
// outside, in the order of the workload's inputs: activations first, then constants, each by first use. Constants that
// stand in the workload's text itself (see group_graph) are not among them.
struct Group {
  std::vector<NodeId> nodes;
  NodeId anchor;  // anchor or movement op; invalid for elementwise chains
  std::vector<ValueId> inputs;
  ValueId output;
  std::string reason;  // why it was not fused further, for explain
};

struct Partition {
  std::vector<Group> groups;  // in execution order
  std::vector<NodeId> views;  // nodes that become aliases: no kernel
};

[[nodiscard]] Partition partition(const Graph& graph, const OpSet& ops);

// The group as a graph of its own: inputs (activations: `input`; constants: `weight`, but single elements and
// constants of ≤ 64 elements of integer type stay inline), then nodes, names erased, canonical: values numbered by
// first use, attributes sorted, and dims d, d+1 merged into (1, product) wherever every op allows it
// (OpTraits::collapsible) and every tensor has both or neither, side by side in memory. print_graph(…, {.names=false,
// .weights=true}) of it is the Workload's text.
[[nodiscard]] Graph group_graph(const Graph& graph, const Group& group, const OpSet& ops);

}  // namespace oc
