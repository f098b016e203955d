#include "frontends/onnx/wiring.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "frontends/onnx/names.h"

namespace oc::from_onnx {
namespace {

constexpr int kLeaf = -1;  // defined by no node: an input, an initializer, or outside

using Names = std::vector<std::string_view>;

Names reads_of(const ::onnx::NodeProto& node);

// Names that the nodes and outputs of a subgraph take from around it.
void append_captured(const ::onnx::GraphProto& graph, Names& names) {
  std::unordered_set<std::string_view> own;
  for (const auto& input : graph.input()) own.insert(input.name());
  for (const auto& initializer : graph.initializer()) own.insert(initializer.name());
  for (const auto& node : graph.node()) own.insert(node.output().begin(), node.output().end());
  const auto take = [&](std::string_view name) {
    if (!own.contains(name)) names.push_back(name);
  };
  for (const auto& node : graph.node()) std::ranges::for_each(reads_of(node), take);
  for (const auto& output : graph.output()) take(output.name());
}

// A node's inputs, absent ones left out, what its subgraphs capture, and what a Gradient names as its "y".
Names reads_of(const ::onnx::NodeProto& node) {
  Names names;
  for (const std::string& input : node.input())
    if (!input.empty()) names.push_back(input);
  for (const auto& attribute : node.attribute())
    if (attribute.has_g())
      append_captured(attribute.g(), names);
    else if (attribute.name() == "y" && attribute.has_s() && node.op_type() == "Gradient")
      names.push_back(attribute.s());
  return names;
}

struct Wirer {
  const ::onnx::GraphProto& graph;
  const DefinedOutside& outside;
  std::unordered_map<std::string_view, int> producer = {};
  std::vector<Names> reads = {};  // by node
  Wiring result = {};

  void define(std::string_view name, int node, std::string_view what) {
    if (name.empty()) user_error("{} has no name", what);
    const auto [at, fresh] = producer.emplace(name, node);
    if (fresh) return;
    const std::string first = at->second == kLeaf ? "an input or initializer" : describe_node(graph, at->second);
    user_error("the name '{}' is defined twice: by {} and by {}", printable(name), first, what);
  }

  void define_all() {
    producer.reserve(static_cast<size_t>(graph.node_size()) * 2 + graph.initializer_size() + graph.input_size());
    for (const auto& initializer : graph.initializer()) define(initializer.name(), kLeaf, "an initializer");
    for (const auto& initializer : graph.sparse_initializer())
      define(initializer.values().name(), kLeaf, "a sparse initializer");
    const std::unordered_map<std::string_view, int> constants = producer;
    // Up to IR version 3 every initializer stands among the inputs too, later it may (a default that we do not let
    // override).
    std::unordered_set<std::string_view> inputs;
    for (const auto& input : graph.input()) {
      if (!inputs.insert(input.name()).second) user_error("the input '{}' is listed twice", printable(input.name()));
      if (!constants.contains(input.name())) define(input.name(), kLeaf, "an input");
    }
    for (int n = 0; n < graph.node_size(); ++n) {
      for (const std::string& output : graph.node(n).output())
        if (!output.empty()) define(output, n, describe_node(graph, n));
      reads.push_back(reads_of(graph.node(n)));
    }
  }

  // The node behind a name, or kLeaf.
  [[nodiscard]] int find(std::string_view name, const std::function<std::string()>& reader) const {
    const auto at = producer.find(name);
    if (at == producer.end() && outside && outside(name)) return kLeaf;
    if (at == producer.end())
      user_error("{} '{}', which no node, input or initializer defines", reader(), printable(name));
    return at->second;
  }

  // Kahn's algorithm; of the nodes that are ready the first in the file goes first.
  std::vector<int> sorted() const {
    const int count = graph.node_size();
    std::vector<int> waiting(count, 0), order;
    std::vector<std::vector<int>> readers(count);
    for (int n = 0; n < count; ++n) {
      for (std::string_view input : reads[n]) {
        const int source = find(input, [&] { return describe_node(graph, n) + " reads"; });
        if (source == kLeaf) continue;
        readers[source].push_back(n);
        ++waiting[n];
      }
    }
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (int n = 0; n < count; ++n)
      if (waiting[n] == 0) ready.push(n);
    order.reserve(count);
    while (!ready.empty()) {
      const int node = ready.top();
      ready.pop();
      order.push_back(node);
      for (int reader : readers[node])
        if (--waiting[reader] == 0) ready.push(reader);
    }
    if (static_cast<int>(order.size()) < count) report_cycle(waiting);
    return order;
  }

  // Every node that still waits reads from one that still waits: walking backwards must meet a node again.
  [[noreturn]] void report_cycle(const std::vector<int>& waiting) const {
    int node = 0;
    while (waiting[node] == 0) ++node;
    std::vector<char> seen(waiting.size(), 0);
    while (seen[node] == 0) {
      seen[node] = 1;
      for (std::string_view input : reads[node]) {
        const auto at = producer.find(input);
        if (at == producer.end() || at->second == kLeaf || waiting[at->second] == 0) continue;
        node = at->second;
        break;
      }
    }
    user_error("{} depends on its own result: the graph has a cycle", describe_node(graph, node));
  }

  void keep_live(const std::vector<int>& order) {
    for (const auto& output : graph.output()) {
      static_cast<void>(find(output.name(), [] { return std::string("the graph returns"); }));
      result.used.insert(output.name());
    }
    std::vector<int> live;
    for (size_t i = order.size(); i-- > 0;) {
      const auto& node = graph.node(order[i]);
      bool needed = false;
      for (const std::string& output : node.output()) needed |= !output.empty() && result.used.contains(output);
      if (!needed) continue;
      live.push_back(order[i]);
      result.used.insert(reads[order[i]].begin(), reads[order[i]].end());
    }
    result.order.assign(live.rbegin(), live.rend());
    result.size = 1 + std::ssize(live) + graph.input_size() + graph.output_size() + graph.initializer_size();
    for (int n : live) result.size += graph.node(n).input_size() + graph.node(n).output_size();
  }
};

}  // namespace

Wiring wire(const ::onnx::GraphProto& graph, const DefinedOutside& outside) {
  Wirer wirer{graph, outside};
  wirer.define_all();
  if (graph.output_size() == 0) user_error("the graph has no outputs");
  wirer.keep_live(wirer.sorted());
  return std::move(wirer.result);
}

std::string describe_node(const ::onnx::GraphProto& graph, int index) {
  const auto& node = graph.node(index);
  if (node.name().empty()) return fmt::format("node #{} ({})", index, printable(node.op_type()));
  return fmt::format("node '{}' ({})", printable(node.name()), printable(node.op_type()));
}

}  // namespace oc::from_onnx
