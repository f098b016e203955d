#include "dsl/kernel.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "graph/pass.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

// The families from the one that dictates the loops most to the one that follows.
int rank_of(OpKind kind) {
  return kind == OpKind::anchor ? 2 : kind == OpKind::movement ? 1 : 0;
}

NodeId find_anchor(const Graph& graph, const OpTable& ops) {
  NodeId best{graph.nodes.size() - 1};
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const int rank = rank_of(op_info(ops, graph.nodes[i].op).kind);
    if (rank > rank_of(op_info(ops, graph[best].op).kind)) best = NodeId(i);
  }
  return best;
}

std::vector<Axis> default_axes(const Extents& extents) {
  std::vector<Axis> axes;
  for (size_t d = 0; d < extents.size(); ++d) axes.push_back({fmt::format("d{}", d), Role::spatial, extents[d]});
  return axes;
}

void check_group(const Graph& graph, const OpTable& ops) {
  if (graph.nodes.empty() || graph.outputs.size() != 1)
    user_error("a workload has at least one node and exactly one output");
  int anchors = 0;
  for (const Node& node : graph.nodes) {
    const auto found = ops.find(node.op);
    if (found == ops.end()) user_error("a workload names the op '{}', which this build does not have", node.op);
    anchors += found->second->kind == OpKind::anchor;
    if (found->second->kind == OpKind::view || node.outputs.size() != 1)
      user_error("'{}' is not allowed in a workload", node.op);
  }
  if (anchors > 1) user_error("a workload has {} anchors; one at most", anchors);
  for (const Value& value : graph.values) {
    if (!value.type.is_static()) user_error("a workload's extents must be known");
    if (element_count(value.type.extents()) == 0) user_error("a workload's tensors must have elements");
  }
}

}  // namespace

std::string_view family_name(Family family) {
  constexpr std::string_view kNames[] = {"elementwise", "reduction", "contraction", "window", "movement", "attention"};
  return kNames[static_cast<size_t>(family)];
}

std::string Workload::hash() const {
  return content_hash(text);
}

bool Kernel::is_weight(size_t i) const {
  return graph[graph.inputs[i]].kind == ValueKind::constant;
}

int64_t Kernel::bytes_read(size_t i) const {
  const Type &in = input(i), &out = output();
  const int64_t whole = in.bytes();
  return reads_at_most_output ? std::min(whole, Type{in.dtype, out.shape, out.layout}.bytes()) : whole;
}

int64_t Kernel::weight_bytes_read() const {
  int64_t sum = 0;
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    if (is_weight(i)) sum += bytes_read(i);
  return sum;
}

const Axis& Kernel::axis(std::string_view name) const {
  for (const Axis& axis : axes)
    if (axis.name == name) return axis;
  internal_error("a {} kernel has no axis '{}'", anchor_node().op, name);
}

int Kernel::input_of_anchor(size_t operand) const {
  const Node& node = anchor_node();
  if (operand >= node.inputs.size() || !node.inputs[operand].valid()) return -1;
  const auto found = std::ranges::find(graph.inputs, node.inputs[operand]);
  return found == graph.inputs.end() ? -1 : static_cast<int>(found - graph.inputs.begin());
}

Kernel analyse(const Workload& workload, const OpTable& ops) {
  Kernel kernel{.workload = workload, .graph = parse_graph(workload.text)};
  // A weight without data is an input of the kernel like any other; the text tells the two apart.
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < kernel.graph.values.size(); ++i) {
    const Value& value = kernel.graph.values[i];
    if (value.kind == ValueKind::input || (value.kind == ValueKind::constant && !value.data)) inputs.emplace_back(i);
  }
  kernel.graph.inputs = inputs;
  check_group(kernel.graph, ops);
  verify_import(kernel.graph, op_set(ops));
  kernel.anchor = find_anchor(kernel.graph, ops);
  const Node& node = kernel.anchor_node();
  const Type& made = kernel.graph[node.outputs[0]].type;
  if (made.shape != kernel.output().shape || made.layout != kernel.output().layout)
    user_error("a workload returns what its '{}' makes, or what follows it element by element", node.op);
  const OpInfo& info = op_info(ops, node.op);
  kernel.family = info.family;
  kernel.reads_at_most_output = info.family == Family::movement && info.reads_once;
  const NodeView seen = view(kernel.graph, node);
  kernel.axes = info.axes ? info.axes(seen) : default_axes(kernel.graph[node.outputs[0]].type.extents());
  for (const Node& n : kernel.graph.nodes) {
    const OpInfo& op = op_info(ops, n.op);
    kernel.flops += op.flops ? op.flops(view(kernel.graph, n))
                             : static_cast<double>(element_count(kernel.graph[n.outputs[0]].type.extents()));
  }
  kernel.bytes = kernel.output().bytes();
  for (size_t i = 0; i < kernel.graph.inputs.size(); ++i) kernel.bytes += kernel.bytes_read(i);
  return kernel;
}

}  // namespace oc
