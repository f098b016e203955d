// What rewriting passes share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace oc {

// Redirects uses of values in bulk: linear where one walk over the graph after every rewrite would be quadratic.
class Redirects {
 public:
  explicit Redirects(const Graph& graph);
  // From now on `from` means `to`. False, and nothing happens, when that would lose a graph output: an output keeps its
  // name, so `to` takes it over, unless it is an input, a constant or another output.
  [[nodiscard]] bool redirect(Graph& graph, ValueId from, ValueId to);
  [[nodiscard]] ValueId find(ValueId value);
  void resolve(Node& node);   // rewrites the node's inputs
  void finish(Graph& graph);  // rewrites all nodes and the outputs

 private:
  std::vector<ValueId> target_;
  std::vector<char> is_output_;
};

// Replaces nodes of these ops one by one: `replacement` gets a copy of each that stands there at the beginning, may
// append others, and returns what stands for the node's output from then on, or an invalid id.
using Replacement = std::function<ValueId(Graph&, const Node&)>;
[[nodiscard]] Graph replace_nodes(Graph graph, const std::vector<std::string_view>& ops,
                                  const Replacement& replacement);

// The producer of the value if it is of this op, else null; made_only_by: and the value is read `readings` times, so
// that fusing the producer computes nothing twice. `uses` = use_counts(graph).
[[nodiscard]] const Node* made_by(const Graph& graph, ValueId value, std::string_view op);
[[nodiscard]] const Node* made_only_by(const Graph& graph, std::span<const int> uses, ValueId value,
                                       std::string_view op, int readings = 1);

// The permutation of transpose(transpose(x, first), second).
[[nodiscard]] std::vector<int64_t> composed(const std::vector<int64_t>& first, std::vector<int64_t> second);
// The constant's data when it is known and plain, else null.
[[nodiscard]] const Tensor* plain_data(const Graph& graph, ValueId value);
// The one value all elements of a known plain constant have, as double; nullopt otherwise (or without elements).
[[nodiscard]] std::optional<double> uniform_value(const Graph& graph, ValueId value);

}  // namespace oc
