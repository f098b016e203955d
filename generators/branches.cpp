#include "generators/branches.h"

#include <algorithm>
#include <optional>

namespace oc {
namespace {

constexpr int kNoGroup = -1;

// By value: the group that computes it, views looked through.
std::vector<int> producers(const Graph& graph, const Partition& partition) {
  std::vector<int> group_of(graph.values.size(), kNoGroup);
  for (size_t g = 0; g < partition.groups.size(); ++g) group_of[partition.groups[g].output.index] = static_cast<int>(g);
  for (NodeId view : partition.views) {
    const Node& node = graph[view];
    group_of[node.outputs[0].index] = group_of[node.inputs[0].index];
  }
  return group_of;
}

// What both ask for.
void meet(std::optional<Guards>& known, const Guards& other) {
  if (!known) {
    known = other;
    return;
  }
  const auto differ = std::ranges::mismatch(*known, other).in1;
  known->erase(differ, known->end());
}

}  // namespace

Guards side_guards(const Graph& graph, const Node& select, size_t input, const Guards& own) {
  Guards guards = own;
  const ValueId condition = select.inputs[0];
  if (graph[condition].kind != ValueKind::constant) guards.push_back({condition, input == 1});
  return guards;
}

std::vector<Guards> find_guards(const Graph& graph, const Partition& partition) {
  const std::vector<int> group_of = producers(graph, partition);
  std::vector<std::optional<Guards>> needed(partition.groups.size());
  const auto need = [&](ValueId value, const Guards& guards) {
    if (!value.valid() || group_of[value.index] == kNoGroup) return;
    meet(needed[static_cast<size_t>(group_of[value.index])], guards);
  };
  for (ValueId output : graph.outputs) need(output, {});
  std::vector<Guards> result(partition.groups.size());
  for (size_t g = partition.groups.size(); g-- > 0;) {
    result[g] = needed[g].value_or(Guards());
    const auto late = std::ranges::find_if(
        result[g], [&](const Guard& guard) { return group_of[guard.condition.index] >= static_cast<int>(g); });
    result[g].erase(late, result[g].end());
    for (NodeId id : partition.groups[g].nodes) {
      const Node& node = graph[id];
      for (size_t i = 0; i < node.inputs.size(); ++i)
        need(node.inputs[i], node.op == "select" && i > 0 ? side_guards(graph, node, i, result[g]) : result[g]);
    }
  }
  return result;
}

}  // namespace oc
