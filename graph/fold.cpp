#include "graph/fold.h"

#include "base/error.h"

namespace oc {

std::optional<std::vector<Tensor>> evaluate_node(const Graph& graph, const Node& node, const OpSet& ops,
                                                 int64_t& budget_bytes) {
  for (ValueId input : node.inputs)
    if (input.valid() && (graph[input].data == nullptr || !graph[input].data->layout.plain())) return std::nullopt;
  const OpTraits& op = traits(ops, node.op);
  if (!op.evaluate) return std::nullopt;
  const NodeView node_view = view(graph, node);
  const std::vector<Type> types = op.infer(node_view);
  int64_t needed = 0;
  for (const Type& type : types) {
    if (!type.is_static()) return std::nullopt;
    if (__builtin_add_overflow(needed, type.bytes(), &needed)) user_error("op '{}': results overflow", node.op);
  }
  if (needed > budget_bytes) {
    budget_bytes -= needed;
    return std::nullopt;
  }
  std::vector<Tensor> results = op.evaluate(node_view);
  if (results.empty()) return std::nullopt;
  if (results.size() != types.size()) internal_error("op '{}' evaluates to {} results", node.op, results.size());
  for (size_t i = 0; i < results.size(); ++i)
    if (make_type(results[i].dtype, results[i].shape, results[i].layout) != types[i])
      internal_error("op '{}': evaluation and type rule disagree about output {}", node.op, i);
  budget_bytes -= needed;
  return results;
}

}  // namespace oc
