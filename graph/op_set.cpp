#include "graph/op_set.h"

#include "base/error.h"

namespace oc {

const OpTraits& traits(const OpSet& ops, std::string_view op) {
  const auto it = ops.find(op);
  if (it == ops.end()) internal_error("op '{}' is not in the op set", op);
  return *it->second;
}

NodeView view(const Graph& graph, const Node& node) {
  NodeView result{node, {}, {}};
  result.inputs.reserve(node.inputs.size());
  result.constants.reserve(node.inputs.size());
  for (ValueId input : node.inputs) {
    result.inputs.push_back(input.valid() ? &graph[input].type : nullptr);
    result.constants.push_back(input.valid() ? graph[input].data.get() : nullptr);
  }
  return result;
}

ValueId add_op(Graph& graph, const OpSet& ops, std::string op, std::vector<ValueId> inputs, Attrs attrs,
               std::string name) {
  const OpTraits& t = traits(ops, op);
  const Node node{op, inputs, {}, attrs, name};
  std::vector<Type> types = t.infer(view(graph, node));
  if (types.size() != 1) internal_error("add_op: '{}' has {} outputs", op, types.size());
  return graph.add_node(std::move(op), std::move(inputs), std::move(attrs), std::move(types[0]), std::move(name));
}

}  // namespace oc
