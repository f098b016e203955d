#include <algorithm>

#include "graph/fold.h"
#include "graph/passes/passes.h"

namespace oc {
namespace {

constexpr int64_t kBudgetBytes = int64_t{256} << 20;

bool is_empty(const Graph& graph, ValueId value) {
  return value.valid() && graph[value].type.is_static() && element_count(graph[value].type.extents()) == 0;
}

void make_constant(Value& value, Tensor data) {
  value.kind = ValueKind::constant;
  value.producer = {};
  value.data = std::make_shared<const Tensor>(std::move(data));
}

Tensor zeros(const Type& type, Extents shape) {
  return make_tensor(type.dtype, std::move(shape));
}

// Empty graph inputs hold nothing to wait for: their readers read an empty constant.
std::vector<ValueId> known_inputs(Graph& graph) {
  std::vector<ValueId> instead(graph.values.size());
  for (const ValueId input : graph.inputs) {
    if (!is_empty(graph, input)) continue;
    const Type type = graph[input].type;
    instead[input.index] = graph.add_constant("", std::make_shared<const Tensor>(zeros(type, type.extents())));
  }
  return instead;
}

// An op that makes something of nothing.
void from_nothing(Graph& graph, Node& node, const PassContext& context, int64_t& budget) {
  const ValueId out = node.outputs[0];
  if (node.op == "concat") {
    std::erase_if(node.inputs, [&](ValueId input) { return is_empty(graph, input); });
  } else if (node.op == "matmul") {
    const Type type = graph[out].type;
    node.inputs = {graph.add_constant("", std::make_shared<const Tensor>(zeros(type, {})))};
    node.op = "expand";
    node.attrs = {{"shape", type.extents()}};
  } else if (auto results = evaluate_node(graph, node, context.ops, budget)) {
    make_constant(graph[out], std::move((*results)[0]));
  }
}

}  // namespace

Graph eliminate_empty(Graph graph, const PassContext& context) {
  const std::vector<ValueId> instead = known_inputs(graph);
  int64_t budget = kBudgetBytes;
  for (Node& node : graph.nodes) {
    for (ValueId& input : node.inputs)
      if (input.valid() && input.index < instead.size() && instead[input.index].valid()) input = instead[input.index];
    const auto empty = [&](ValueId value) { return is_empty(graph, value); };
    if (std::ranges::all_of(node.outputs, empty)) {
      for (const ValueId out : node.outputs)
        make_constant(graph[out], zeros(graph[out].type, graph[out].type.extents()));
    } else if (node.outputs.size() == 1 && std::ranges::any_of(node.inputs, empty)) {
      from_nothing(graph, node, context, budget);
    }
  }
  return compact(graph);
}

}  // namespace oc
