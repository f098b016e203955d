// Workload and Kernel. A Workload is the text of one fused subgraph; a Kernel is that text parsed and analysed. No
// Halide object in either; lower.h makes those.
#pragma once

#include <string>
#include <vector>

#include "dsl/axis.h"
#include "graph/graph.h"

namespace oc {

struct Workload {
  std::string text;  // print_graph(group_graph(…), {.names = false, .weights = true})
  [[nodiscard]] std::string hash() const;
  bool operator==(const Workload&) const = default;
};

struct Kernel {
  Workload workload;
  Graph graph;
  Family family = Family::elementwise;
  bool reads_at_most_output = false;  // the anchor moves: an element that it gives is at most one of each input's
  NodeId anchor;                      // the node that gives the family; for elementwise chains the last node
  std::vector<Axis> axes;             // of the anchor
  double flops = 0;                   // of the whole group
  int64_t bytes = 0;                  // read and written, each once
  // By value and dim: the number of the symbol that the extent is, or kFixed; dims of one symbol are equal whenever the
  // kernel runs, the workload's extents are an example. Empty: all are fixed. See varying.h.
  std::vector<std::vector<int>> symbols = {};

  static constexpr int kFixed = -1;
  [[nodiscard]] int symbol(ValueId value, size_t dim) const {
    return symbols.empty() ? kFixed : symbols[value.index][dim];
  }
  [[nodiscard]] bool varies(ValueId value, size_t dim) const { return symbol(value, dim) != kFixed; }
  [[nodiscard]] const Node& anchor_node() const { return graph[anchor]; }
  [[nodiscard]] const Type& output() const { return graph[graph.outputs[0]].type; }
  [[nodiscard]] const Type& input(size_t i) const { return graph[graph.inputs[i]].type; }
  [[nodiscard]] bool is_weight(size_t i) const;
  // Of input i, each once; of a table at most the rows gathered.
  [[nodiscard]] int64_t bytes_read(size_t i) const;
  [[nodiscard]] int64_t weight_bytes_read() const;  // of all inputs that are weights
  // The axis called `name`; InternalError if there is none.
  [[nodiscard]] const Axis& axis(std::string_view name) const;
  [[nodiscard]] int64_t extent(std::string_view name) const { return axis(name).extent; }
  // Position among graph.inputs of the anchor's operand i; -1 if it is made inside the group or inline.
  [[nodiscard]] int input_of_anchor(size_t operand) const;
};

// UserError when the text is malformed, names an unknown op or is no legal group (foreign databases hold such texts).
[[nodiscard]] Kernel analyse(const Workload& workload, const OpTable& ops);

}  // namespace oc
