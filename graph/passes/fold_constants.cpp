#include "graph/fold.h"
#include "graph/passes/passes.h"

namespace oc {
namespace {

constexpr int64_t kBudgetBytes = int64_t{256} << 20;

}  // namespace

Graph fold_constants(Graph graph, const PassContext& context) {
  int64_t budget = kBudgetBytes;
  for (const Node& node : graph.nodes) {
    int64_t left = budget;
    auto results = evaluate_node(graph, node, context.ops, left);
    if (!results) continue;
    budget = left;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      Value& value = graph[node.outputs[i]];
      value.kind = ValueKind::constant;
      value.producer = {};
      value.data = std::make_shared<const Tensor>(std::move((*results)[i]));
    }
  }
  return compact(graph);
}

}  // namespace oc
