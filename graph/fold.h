// Evaluation of nodes whose inputs are all known, through OpTraits::evaluate. The importer folds shape arithmetic with
// it as it goes, the pass fold_constants folds the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc {

// The node's outputs when every present input is a plain constant with data, the op can be evaluated with them and the
// results, whose size the type rule gives beforehand, fit `budget_bytes`; else nullopt. The budget is lowered by what
// was made. When the budget is what forbids it, budget_bytes becomes negative (by how much was missing) and nothing is
// computed: an importer reports that, an optimisation restores its budget and leaves the node alone. UserError from the
// type rule.
[[nodiscard]] std::optional<std::vector<Tensor>> evaluate_node(const Graph& graph, const Node& node, const OpSet& ops,
                                                               int64_t& budget_bytes);

}  // namespace oc
