#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/hash.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append_text(std::string& key, std::string_view text) {
  append(key, text.size());
  key += text;
}

struct AttrKey {
  std::string& key;
  void operator()(int64_t v) const { append(key, v); }
  void operator()(double v) const { append(key, v); }
  void operator()(const std::string& v) const { append_text(key, v); }
  template <class T>
  void operator()(const std::vector<T>& v) const {
    append(key, v.size());
    for (const T& e : v) append(key, e);
  }
};

// Equal exactly for nodes that compute the same into the same layout.
std::string node_key(const Graph& graph, const Node& node, const OpTraits& op) {
  std::string key;
  append_text(key, node.op);
  std::vector<ValueId> inputs = node.inputs;
  if (op.commutative) std::ranges::sort(inputs);
  const Type& out = graph[node.outputs[0]].type;
  append_text(key, layout_tag(out.layout, out.shape.size()));
  append(key, inputs.size());
  for (ValueId input : inputs) append(key, input.index);
  for (const auto& [name, value] : node.attrs) {
    append_text(key, name);
    append(key, value.index());
    std::visit(AttrKey{key}, value);
  }
  return key;
}

void merge_constants(Graph& graph, Redirects& redirects) {
  std::unordered_map<std::string, std::vector<ValueId>> seen;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.data == nullptr) continue;
    const auto bytes = value.data->as<char>();
    std::vector<ValueId>& same_hash = seen[content_hash({bytes.data(), bytes.size()})];
    const auto equal = std::ranges::find_if(same_hash, [&](ValueId id) { return *graph[id].data == *value.data; });
    if (equal == same_hash.end())
      same_hash.push_back(ValueId(i));
    else
      static_cast<void>(redirects.redirect(graph, ValueId(i), *equal));  // a constant output stays
  }
}

}  // namespace

Graph eliminate_common(Graph graph, const PassContext& context) {
  Redirects redirects(graph);
  merge_constants(graph, redirects);
  std::unordered_map<std::string, ValueId> seen;
  for (Node& node : graph.nodes) {
    redirects.resolve(node);
    if (node.outputs.size() != 1) continue;
    const auto [found, fresh] = seen.try_emplace(node_key(graph, node, traits(context.ops, node.op)), node.outputs[0]);
    if (!fresh) static_cast<void>(redirects.redirect(graph, node.outputs[0], found->second));  // two outputs stay two
  }
  redirects.finish(graph);
  return compact(graph);
}

}  // namespace oc
