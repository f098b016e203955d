#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

constexpr const char* kPerms[] = {"a_perm", "b_perm"};

// The permutation by which operand `i` of the product may read what the transpose before it reads.
std::optional<std::vector<int64_t>> absorbed(const Graph& graph, const Node& product, size_t i,
                                             const std::vector<int>& uses) {
  const ValueId operand = product.inputs[i];
  if (!graph[operand].producer.valid() || uses[operand.index] != 1) return std::nullopt;
  const Node& node = graph[graph[operand].producer];
  if (node.op != "transpose") return std::nullopt;
  const std::vector<int64_t> perm = node.attrs.integers("perm");
  return product.attrs.contains(kPerms[i]) ? composed(perm, product.attrs.integers(kPerms[i])) : perm;
}

}  // namespace

Graph absorb_transpose(Graph graph, const PassContext& /*context*/) {
  const std::vector<int> uses = use_counts(graph);
  for (Node& node : graph.nodes) {
    if (node.op != "matmul") continue;
    for (const size_t i : {size_t{0}, size_t{1}})
      if (const auto perm = absorbed(graph, node, i, uses)) {
        node.inputs[i] = graph[graph[node.inputs[i]].producer].inputs[0];
        node.attrs[kPerms[i]] = *perm;
      }
  }
  return compact(graph);
}

}  // namespace oc
