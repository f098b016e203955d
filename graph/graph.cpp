#include "graph/graph.h"

#include <algorithm>

#include "base/error.h"

namespace oc {

bool Type::is_static() const {
  return std::ranges::all_of(shape, &Dim::known);
}

Extents Type::extents() const {
  Extents result;
  result.reserve(shape.size());
  for (const Dim& dim : shape) {
    if (!dim.known()) internal_error("extents of a type with the unknown dim '{}'", dim.symbol);
    result.push_back(dim.extent);
  }
  return result;
}

int64_t Type::bytes() const {
  int64_t result = 0;
  if (__builtin_mul_overflow(physical_size(layout, extents()), static_cast<int64_t>(dtype_size(dtype)), &result))
    user_error("a tensor's size in bytes overflows");
  return result;
}

Type make_type(DType dtype, const Extents& shape, Layout layout) {
  return {dtype, Shape(shape.begin(), shape.end()), std::move(layout)};
}

namespace {

template <class T>
T attr_as(const Attrs& attrs, std::string_view name, const std::optional<T>& fallback) {
  const auto it = attrs.find(name);
  if (it == attrs.end()) {
    if (!fallback) internal_error("attribute '{}' is absent", name);
    return *fallback;
  }
  const T* value = std::get_if<T>(&it->second);
  if (value == nullptr) internal_error("attribute '{}' has another type than the one asked for", name);
  return *value;
}

}  // namespace

int64_t Attrs::integer(std::string_view name, std::optional<int64_t> fallback) const {
  return attr_as(*this, name, fallback);
}
double Attrs::number(std::string_view name, std::optional<double> fallback) const {
  return attr_as(*this, name, fallback);
}
std::string Attrs::text(std::string_view name, std::optional<std::string> fallback) const {
  return attr_as(*this, name, fallback);
}
std::vector<int64_t> Attrs::integers(std::string_view name, std::optional<std::vector<int64_t>> fallback) const {
  return attr_as(*this, name, fallback);
}
std::vector<double> Attrs::numbers(std::string_view name, std::optional<std::vector<double>> fallback) const {
  return attr_as(*this, name, fallback);
}

ValueId Graph::add_input(std::string input_name, Type type) {
  const ValueId id(values.size());
  values.push_back({std::move(input_name), std::move(type), ValueKind::input, {}, nullptr});
  inputs.push_back(id);
  return id;
}

ValueId Graph::add_constant(std::string constant_name, std::shared_ptr<const Tensor> data) {
  const ValueId id(values.size());
  Type type = make_type(data->dtype, data->shape, data->layout);
  values.push_back({std::move(constant_name), std::move(type), ValueKind::constant, {}, std::move(data)});
  return id;
}

ValueId Graph::add_weight(Type type) {
  const ValueId id(values.size());
  values.push_back({{}, std::move(type), ValueKind::constant, {}, nullptr});
  return id;
}

ValueId Graph::add_node(std::string op, std::vector<ValueId> operands, Attrs attrs, Type type, std::string node_name) {
  const ValueId id(values.size());
  values.push_back({{}, std::move(type), ValueKind::node, NodeId(nodes.size()), nullptr});
  nodes.push_back({std::move(op), std::move(operands), {id}, std::move(attrs), std::move(node_name)});
  return id;
}

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> counts(graph.values.size(), 0);
  for (const Node& node : graph.nodes)
    for (ValueId input : node.inputs)
      if (input.valid()) ++counts[input.index];
  for (ValueId output : graph.outputs) ++counts[output.index];
  return counts;
}

std::vector<std::vector<NodeId>> consumers(const Graph& graph) {
  std::vector<std::vector<NodeId>> result(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    for (ValueId input : graph.nodes[n].inputs)
      if (input.valid() && (result[input.index].empty() || result[input.index].back() != NodeId(n)))
        result[input.index].push_back(NodeId(n));
  return result;
}

namespace {

// Live nodes, producers before consumers, otherwise in their present order: a node that stands too late is moved up to
// just before its first consumer. Depth first with a stack of its own: graphs may be chains of a million nodes.
std::vector<NodeId> live_order(const Graph& graph) {
  std::vector<char> live(graph.nodes.size(), 0);
  std::vector<NodeId> stack;
  auto visit = [&](ValueId value) {
    const NodeId producer = value.valid() ? graph[value].producer : NodeId();
    if (!producer.valid() || live[producer.index]) return;
    live[producer.index] = 1;
    stack.push_back(producer);
  };
  for (ValueId output : graph.outputs) visit(output);
  while (!stack.empty()) {
    const NodeId node = stack.back();
    stack.pop_back();
    for (ValueId input : graph[node].inputs) visit(input);
  }

  enum State : char { kWaiting, kOpen, kDone };
  std::vector<State> state(graph.nodes.size(), kWaiting);
  std::vector<NodeId> order;
  std::vector<std::pair<NodeId, size_t>> path;  // node and its next input to look at
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!live[n] || state[n] == kDone) continue;
    path.push_back({NodeId(n), 0});
    state[n] = kOpen;
    while (!path.empty()) {
      const NodeId node = path.back().first;
      const std::vector<ValueId>& inputs = graph[node].inputs;
      size_t& next = path.back().second;
      NodeId pending;
      while (next < inputs.size() && !pending.valid()) {
        const ValueId input = inputs[next++];
        const NodeId producer = input.valid() ? graph[input].producer : NodeId();
        if (producer.valid() && state[producer.index] != kDone) pending = producer;
      }
      if (!pending.valid()) {
        state[node.index] = kDone;
        order.push_back(node);
        path.pop_back();
      } else if (state[pending.index] == kOpen) {
        internal_error("graph '{}': a cycle goes through node {} '{}' ({})", graph.name, pending.index,
                       graph[pending].name, graph[pending].op);
      } else {
        state[pending.index] = kOpen;
        path.push_back({pending, 0});
      }
    }
  }
  return order;
}

}  // namespace

Graph compact(const Graph& graph) {
  Graph result;
  result.name = graph.name;
  result.metadata = graph.metadata;
  std::vector<ValueId> renamed(graph.values.size());
  auto take = [&](ValueId old) {
    if (!old.valid()) return old;
    ValueId& id = renamed[old.index];
    if (!id.valid()) {
      id = ValueId(result.values.size());
      result.values.push_back(graph[old]);
    }
    return id;
  };
  for (ValueId input : graph.inputs) result.inputs.push_back(take(input));
  for (NodeId old : live_order(graph)) {
    Node node = graph[old];
    for (ValueId& input : node.inputs) input = take(input);
    for (ValueId& output : node.outputs) {
      output = take(output);
      result[output].producer = NodeId(result.nodes.size());
    }
    result.nodes.push_back(std::move(node));
  }
  for (ValueId output : graph.outputs) result.outputs.push_back(take(output));
  return result;
}

}  // namespace oc
