#include "graph/passes/rewrite.h"

#include <algorithm>

namespace oc {

Redirects::Redirects(const Graph& graph) : target_(graph.values.size()), is_output_(graph.values.size(), 0) {
  for (ValueId output : graph.outputs) is_output_[output.index] = 1;
}

bool Redirects::redirect(Graph& graph, ValueId from, ValueId to) {
  to = find(to);
  target_.resize(graph.values.size());
  is_output_.resize(graph.values.size(), 0);
  if (is_output_[from.index]) {
    if (graph[to].kind != ValueKind::node || is_output_[to.index]) return false;
    is_output_[to.index] = 1;
    graph[to].name = graph[from].name;
  }
  target_[from.index] = to;
  return true;
}

ValueId Redirects::find(ValueId value) {
  if (!value.valid()) return value;
  ValueId root = value;
  while (root.index < target_.size() && target_[root.index].valid()) root = target_[root.index];
  while (value != root) {
    const ValueId next = target_[value.index];
    target_[value.index] = root;
    value = next;
  }
  return root;
}

void Redirects::resolve(Node& node) {
  for (ValueId& input : node.inputs) input = find(input);
}

void Redirects::finish(Graph& graph) {
  for (Node& node : graph.nodes) resolve(node);
  for (ValueId& output : graph.outputs) output = find(output);
}

Graph replace_nodes(Graph graph, const std::vector<std::string_view>& ops, const Replacement& replacement) {
  Redirects redirects(graph);
  const size_t count = graph.nodes.size();
  for (size_t i = 0; i < count; ++i) {
    if (std::ranges::find(ops, graph.nodes[i].op) == ops.end()) continue;
    const Node node = graph.nodes[i];  // appending moves graph.nodes
    const ValueId found = replacement(graph, node);
    if (found.valid()) static_cast<void>(redirects.redirect(graph, node.outputs[0], found));
  }
  redirects.finish(graph);
  return compact(graph);
}

const Node* made_by(const Graph& graph, ValueId value, std::string_view op) {
  if (!value.valid() || !graph[value].producer.valid()) return nullptr;
  const Node& node = graph[graph[value].producer];
  return node.op == op ? &node : nullptr;
}

const Node* made_only_by(const Graph& graph, std::span<const int> uses, ValueId value, std::string_view op,
                         int readings) {
  return value.valid() && uses[value.index] == readings ? made_by(graph, value, op) : nullptr;
}

std::vector<int64_t> composed(const std::vector<int64_t>& first, std::vector<int64_t> second) {
  for (int64_t& p : second) p = first[static_cast<size_t>(p)];
  return second;
}

const Tensor* plain_data(const Graph& graph, ValueId value) {
  if (!value.valid() || graph[value].data == nullptr || !graph[value].data->layout.plain()) return nullptr;
  return graph[value].data.get();
}

namespace {

template <class T>
std::optional<double> uniform(const Tensor& tensor) {
  const auto elements = tensor.as<T>();
  if (elements.empty() || std::ranges::any_of(elements, [&](T e) { return e != elements[0]; })) return std::nullopt;
  return static_cast<double>(elements[0]);
}

}  // namespace

std::optional<double> uniform_value(const Graph& graph, ValueId value) {
  const Tensor* tensor = plain_data(graph, value);
  if (tensor == nullptr) return std::nullopt;
  switch (tensor->dtype) {
    case DType::f32: return uniform<float>(*tensor);
    case DType::f64: return uniform<double>(*tensor);
    case DType::i32: return uniform<int32_t>(*tensor);
    case DType::i64: return uniform<int64_t>(*tensor);
    default: return std::nullopt;
  }
}

}  // namespace oc
