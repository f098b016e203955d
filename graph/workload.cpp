#include "graph/workload.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"

namespace oc {
namespace {

constexpr int64_t kMaxInlineElements = 64;

bool is_member(const std::vector<NodeId>& sorted, NodeId node) {
  return std::ranges::binary_search(sorted, node);
}

std::vector<NodeId> sorted_copy(std::vector<NodeId> nodes) {
  std::ranges::sort(nodes);
  return nodes;
}

// The operands of a node in their canonical order: add(bias, conv) → add(conv, bias).
std::vector<ValueId> canonical_operands(const Graph& graph, const Node& node, const std::vector<NodeId>& members,
                                        const OpSet& ops) {
  std::vector<ValueId> operands = node.inputs;
  if (!traits(ops, node.op).commutative || operands.size() != 2) return operands;
  auto rank = [&](ValueId value) {
    if (graph[value].kind == ValueKind::constant) return 2;
    return graph[value].producer.valid() && is_member(members, graph[value].producer) ? 0 : 1;
  };
  if (rank(operands[0]) > rank(operands[1])) std::swap(operands[0], operands[1]);
  return operands;
}

// Are all bits of the exponent set in no element?
template <class Bits>
bool finite(const Tensor& tensor, Bits exponent) {
  return std::ranges::none_of(tensor.as<Bits>(), [&](Bits x) { return (x & exponent) == exponent; });
}

bool all_finite(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::f64: return finite<uint64_t>(tensor, 0x7ff0000000000000);
    case DType::f32: return finite<uint32_t>(tensor, 0x7f800000);
    case DType::bf16: return finite<uint16_t>(tensor, 0x7f80);
    case DType::f16: return finite<uint16_t>(tensor, 0x7c00);
    default: return true;
  }
}

// Constants that stand in the workload's text: single numbers of elementwise nodes, and few integers (indices, axes).
// Infinities and NaN are read from memory: Halide's code tells LLVM that there are none, and of where(c, 0, −∞) LLVM
// would leave the 0.
std::set<ValueId> inline_constants(const Graph& graph, const std::vector<NodeId>& nodes, const OpSet& ops) {
  std::set<ValueId> result, excluded;
  for (NodeId node : nodes) {
    const bool elementwise = traits(ops, graph[node].op).kind == OpKind::elementwise;
    for (ValueId input : graph[node].inputs) {
      if (!input.valid() || graph[input].data == nullptr || !graph[input].type.layout.plain()) continue;
      const int64_t count = element_count(graph[input].data->shape);
      const bool integers = !dtype_is_float(graph[input].type.dtype) && count <= kMaxInlineElements;
      if (integers || (count == 1 && elementwise && all_finite(*graph[input].data)))
        result.insert(input);
      else
        excluded.insert(input);
    }
  }
  for (ValueId value : excluded) result.erase(value);
  return result;
}

}  // namespace

std::vector<NodeId> canonical_order(const Graph& graph, const std::vector<NodeId>& nodes, ValueId output,
                                    const OpSet& ops) {
  const std::vector<NodeId> members = sorted_copy(nodes);
  std::vector<NodeId> order;
  std::set<NodeId> done;
  std::vector<NodeId> stack{graph[output].producer};
  while (!stack.empty()) {
    const NodeId node = stack.back();
    std::vector<ValueId> operands = canonical_operands(graph, graph[node], members, ops);
    std::ranges::reverse(operands);  // the first operand comes to lie on top
    const size_t before = stack.size();
    for (ValueId operand : operands) {
      const NodeId producer = operand.valid() ? graph[operand].producer : NodeId();
      if (producer.valid() && is_member(members, producer) && !done.contains(producer)) stack.push_back(producer);
    }
    if (stack.size() > before) continue;
    stack.pop_back();
    if (done.insert(node).second) order.push_back(node);
  }
  if (order.size() != nodes.size()) internal_error("a group holds nodes that its output does not depend on");
  return order;
}

std::vector<ValueId> canonical_inputs(const Graph& graph, const std::vector<NodeId>& nodes, const OpSet& ops) {
  const std::vector<NodeId> members = sorted_copy(nodes);
  const std::set<ValueId> inlined = inline_constants(graph, nodes, ops);
  std::vector<ValueId> activations, constants;
  std::set<ValueId> seen;
  for (NodeId node : nodes) {
    for (ValueId operand : canonical_operands(graph, graph[node], members, ops)) {
      if (!operand.valid() || inlined.contains(operand) || !seen.insert(operand).second) continue;
      const NodeId producer = graph[operand].producer;
      if (producer.valid() && is_member(members, producer)) continue;
      (graph[operand].kind == ValueKind::constant ? constants : activations).push_back(operand);
    }
  }
  activations.insert(activations.end(), constants.begin(), constants.end());
  return activations;
}

namespace {

// One merge of dims d, d+1.
struct Merge {
  const Graph& graph;
  const OpSet& ops;
  size_t d;
  size_t rank;
  Dim outer = 1, inner = 1;  // the pair every tensor has that does not broadcast both

  [[nodiscard]] bool all_elementwise_readers(ValueId value) const {
    return std::ranges::all_of(graph.nodes, [&](const Node& node) {
      return std::ranges::find(node.inputs, value) == node.inputs.end() ||
             traits(ops, node.op).kind == OpKind::elementwise;
    });
  }
  [[nodiscard]] bool any_elementwise_reader(ValueId value) const {
    return std::ranges::any_of(graph.nodes, [&](const Node& node) {
      return std::ranges::find(node.inputs, value) != node.inputs.end() &&
             traits(ops, node.op).kind == OpKind::elementwise;
    });
  }

  [[nodiscard]] static bool adjacent(const Layout& layout, size_t position) {
    if (layout.plain()) return true;
    const auto dim = static_cast<int>(position);
    const auto found = std::ranges::find(layout.order, dim);
    return found + 1 != layout.order.end() && found[1] == dim + 1 && layout.block(dim) == 1 &&
           layout.block(dim + 1) == 1;
  }

  // Does this tensor permit the merge? Fixes the pair at the first tensor that has one.
  [[nodiscard]] bool permits(ValueId value) {
    const Type& type = graph[value].type;
    if (type.shape.size() > rank) return false;
    const size_t missing = rank - type.shape.size();
    // A lower-rank operand of an anchor (matmul's weights) is not aligned with the output: the op answers for it.
    if (missing > 0 && !any_elementwise_reader(value)) return true;
    if (missing > d + 1) return true;
    if (missing == d + 1) return type.shape[0] == Dim(1);
    const size_t position = d - missing;
    const Dim& first = type.shape[position];
    const Dim& second = type.shape[position + 1];
    if (first == Dim(1) && second == Dim(1)) return true;
    if (outer == Dim(1) && inner == Dim(1)) {
      outer = first;
      inner = second;
    }
    if (first != outer || second != inner) return false;
    return adjacent(type.layout, position) && (missing == 0 || all_elementwise_readers(value));
  }

  [[nodiscard]] bool legal() {
    for (size_t i = 0; i < graph.values.size(); ++i)
      if (!permits(ValueId(i))) return false;
    if (outer == Dim(1)) return false;  // nothing to gain
    return std::ranges::all_of(graph.nodes, [&](const Node& node) {
      const OpTraits& op = traits(ops, node.op);
      return op.collapsible ? op.collapsible(view(graph, node), d) : op.kind == OpKind::elementwise;
    });
  }

  void apply(Graph& target) const {
    for (size_t i = 0; i < target.values.size(); ++i) {
      Value& value = target.values[i];
      Shape& shape = value.type.shape;
      const size_t missing = rank - shape.size();
      if (missing > 0 && !any_elementwise_reader(ValueId(i))) continue;
      if (missing > d || shape[d - missing] != outer || shape[d - missing + 1] != inner) continue;
      shape[d - missing] = 1;
      shape[d - missing + 1] = outer.extent * inner.extent;
      if (value.data == nullptr) continue;
      Tensor data = *value.data;
      data.shape = value.type.extents();
      value.data = std::make_shared<const Tensor>(std::move(data));
    }
  }
};

}  // namespace

void collapse_dims(Graph& workload, const OpSet& ops) {
  if (!std::ranges::all_of(workload.values, [](const Value& v) { return v.type.is_static(); })) return;
  const size_t rank = workload[workload.outputs[0]].type.shape.size();
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t d = 0; d + 1 < rank; ++d) {
      Merge merge{workload, ops, d, rank};
      if (!merge.legal()) continue;
      merge.apply(workload);
      changed = true;
    }
  }
}

Graph group_graph(const Graph& graph, const Group& group, const OpSet& ops) {
  const std::vector<NodeId> members = sorted_copy(group.nodes);
  const std::vector<NodeId> order = canonical_order(graph, group.nodes, group.output, ops);
  Graph result;
  std::map<ValueId, ValueId> renamed;
  for (ValueId input : canonical_inputs(graph, order, ops)) {
    const Value& value = graph[input];
    renamed[input] =
        value.kind == ValueKind::constant ? result.add_weight(value.type) : result.add_input({}, value.type);
  }
  for (NodeId id : order) {
    const Node& node = graph[id];
    std::vector<ValueId> operands = canonical_operands(graph, node, members, ops);
    for (ValueId& operand : operands) {
      if (!operand.valid()) continue;
      const auto [found, fresh] = renamed.try_emplace(operand);
      if (fresh) found->second = result.add_constant({}, graph[operand].data);
      operand = found->second;
    }
    renamed[node.outputs[0]] = result.add_node(node.op, std::move(operands), node.attrs, graph[node.outputs[0]].type);
  }
  result.outputs = {renamed.at(group.output)};
  collapse_dims(result, ops);
  return result;
}

}  // namespace oc
