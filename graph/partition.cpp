#include "graph/partition.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "graph/workload.h"

namespace oc {

// Why groups never wait for each other in a circle: a group has one output, and every other value made in it is read
// only inside it. Whatever depends on a group depends on its output, so the groups are ordered as their output nodes
// are.

namespace {

constexpr size_t kMaxGroupNodes = 16;
constexpr size_t kMaxPrologueNodes = 4;

struct Partitioner {
  const Graph& graph;
  const OpSet& ops;
  std::vector<std::vector<NodeId>> readers = consumers(graph);
  std::vector<int> uses = use_counts(graph);
  std::vector<const OpTraits*> op = {};
  std::vector<char> is_output = {};
  std::vector<uint32_t> group_of = {};  // by node; kNone = not yet grouped
  std::vector<Group> groups = {};
  static constexpr uint32_t kNone = UINT32_MAX;

  [[nodiscard]] OpKind kind(NodeId node) const { return op[node.index]->kind; }
  [[nodiscard]] ValueId out(NodeId node) const { return graph[node].outputs[0]; }
  [[nodiscard]] bool grouped(NodeId node) const { return group_of[node.index] != kNone; }
  [[nodiscard]] bool free_elementwise(NodeId node) const { return kind(node) == OpKind::elementwise && !grouped(node); }
  [[nodiscard]] bool same_shape(ValueId a, ValueId b) const {
    return graph[a].type.shape == graph[b].type.shape && graph[a].type.layout == graph[b].type.layout;
  }

  void take(uint32_t group, NodeId node) {
    group_of[node.index] = group;
    groups[group].nodes.push_back(node);
  }

  // How often `node` reads values that nodes of `group` make.
  [[nodiscard]] int reads_from(uint32_t group, NodeId node) const {
    int count = 0;
    for (ValueId input : graph[node].inputs) {
      const NodeId producer = input.valid() ? graph[input].producer : NodeId();
      count += producer.valid() && group_of[producer.index] == group;
    }
    return count;
  }

  // v → [ … → e ]: takes the nearest elementwise node e through which everything that reads v goes, and the elementwise
  // nodes between, all of v's shape. So x·sigmoid(x) goes into the group that makes x. False when there is none.
  bool extend_epilogue(uint32_t group) {
    const ValueId v = groups[group].output;
    if (is_output[v.index]) return false;
    std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> next;
    std::vector<NodeId> taken;
    auto undo = [&] {
      for (NodeId node : taken) group_of[node.index] = kNone;
      return false;
    };
    auto push_readers = [&](ValueId value) {
      if (readers[value.index].size() > kMaxGroupNodes) return false;
      for (NodeId reader : readers[value.index]) next.push(reader);
      return true;
    };
    int open = uses[v.index];
    if (!push_readers(v)) return false;
    while (!next.empty()) {
      const NodeId node = next.top();
      while (!next.empty() && next.top() == node) next.pop();
      if (!free_elementwise(node) || !same_shape(out(node), v)) return undo();
      if (groups[group].nodes.size() + taken.size() >= kMaxGroupNodes) return undo();
      open -= reads_from(group, node);
      group_of[node.index] = group;
      taken.push_back(node);
      if (open == 0) {
        for (NodeId each : taken) groups[group].nodes.push_back(each);
        groups[group].output = out(node);
        return true;
      }
      if (is_output[out(node).index] || !push_readers(out(node))) return undo();
      open += uses[out(node).index];
    }
    return undo();
  }

  void start(NodeId node, bool anchored) {
    const auto group = static_cast<uint32_t>(groups.size());
    groups.push_back({{}, anchored ? node : NodeId(), {}, out(node), {}});
    take(group, node);
    while (extend_epilogue(group)) {
    }
  }

  // Takes elementwise producers all of whose uses lie in the group, nearest first: those of the output's shape that
  // feed elementwise nodes, and cheap ones that feed an anchor which reads them once.
  void absorb_producers(uint32_t group) {
    std::priority_queue<NodeId> next;  // the latest first: all its readers have been decided
    size_t prologue = 0;
    auto push_producers = [&](NodeId node) {
      for (ValueId input : graph[node].inputs) {
        const NodeId producer = input.valid() ? graph[input].producer : NodeId();
        if (producer.valid() && free_elementwise(producer)) next.push(producer);
      }
    };
    const std::vector<NodeId> seeds = groups[group].nodes;
    for (NodeId node : seeds) push_producers(node);
    std::unordered_map<uint32_t, bool> in_prologue;  // nodes that run before the anchor
    const NodeId anchor = groups[group].anchor;
    if (anchor.valid()) in_prologue[anchor.index] = true;
    while (!next.empty() && groups[group].nodes.size() < kMaxGroupNodes) {
      const NodeId node = next.top();
      while (!next.empty() && next.top() == node) next.pop();
      const ValueId value = out(node);
      if (is_output[value.index] || reads_from_group(value, group) != uses[value.index]) continue;
      bool before = false, beside = false;
      for (NodeId reader : readers[value.index]) (in_prologue.contains(reader.index) ? before : beside) = true;
      if (before == beside) continue;
      if (before) {
        const ValueId operand = graph[anchor].inputs[0];
        if (!op[anchor.index]->reads_once || !op[node.index]->cheap || prologue == kMaxPrologueNodes) continue;
        if (!same_shape(value, operand) || !feeds_only_first(anchor, value)) continue;
        in_prologue[node.index] = true;
        ++prologue;
      } else if (!same_shape(value, groups[group].output)) {
        continue;
      }
      take(group, node);
      push_producers(node);
    }
  }

  // Is `value` read by the anchor, if at all, as operand 0 alone?
  [[nodiscard]] bool feeds_only_first(NodeId anchor, ValueId value) const {
    const std::vector<ValueId>& inputs = graph[anchor].inputs;
    return std::find(inputs.begin() + 1, inputs.end(), value) == inputs.end();
  }

  [[nodiscard]] int reads_from_group(ValueId value, uint32_t group) const {
    if (readers[value.index].size() > kMaxGroupNodes) return -1;
    int count = 0;
    for (NodeId reader : readers[value.index])
      if (group_of[reader.index] == group) count += static_cast<int>(std::ranges::count(graph[reader].inputs, value));
    return count;
  }

  // ---- explanation

  [[nodiscard]] std::string called(ValueId value) const {
    return graph[value].name.empty() ? fmt::format("value {}", value.index) : fmt::format("'{}'", graph[value].name);
  }
  [[nodiscard]] std::string called(NodeId node) const {
    return graph[node].name.empty() ? graph[node].op : fmt::format("{} '{}'", graph[node].op, graph[node].name);
  }

  // Why the group ends at its output.
  [[nodiscard]] std::string reason(const Group& group) const {
    const ValueId v = group.output;
    if (is_output[v.index]) return fmt::format("{} is an output of the graph", called(v));
    const std::vector<NodeId>& list = readers[v.index];
    for (NodeId reader : list) {
      switch (kind(reader)) {
        case OpKind::view: return fmt::format("{} is read through the view {}", called(v), called(reader));
        case OpKind::anchor:
          return fmt::format("{} is read by {}, a kernel of its own that reads it whole", called(v), called(reader));
        case OpKind::movement: return fmt::format("{} is read by {}, which moves elements", called(v), called(reader));
        case OpKind::elementwise: break;
      }
      if (!same_shape(out(reader), v))
        return fmt::format("{} is broadcast or laid out anew by {}", called(v), called(reader));
    }
    if (group.nodes.size() >= kMaxGroupNodes) return fmt::format("the limit of {} nodes in a kernel", kMaxGroupNodes);
    if (list.size() > 1)
      return fmt::format("{} is read by {} nodes with no common elementwise end, the first {}", called(v), list.size(),
                         called(list[0]));
    if (list.empty()) return fmt::format("{} is not read", called(v));
    return fmt::format("{} is read by {}, which another kernel has taken", called(v), called(list[0]));
  }

  // ---- the whole

  void prepare(Partition& result) {
    group_of.assign(graph.nodes.size(), kNone);
    is_output.assign(graph.values.size(), 0);
    for (ValueId output : graph.outputs) is_output[output.index] = 1;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      op.push_back(&traits(ops, node.op));
      if (node.outputs.size() != 1)
        internal_error("partition: node {} ({}) has {} outputs", n, node.op, node.outputs.size());
      if (kind(NodeId(n)) == OpKind::view) result.views.push_back(NodeId(n));
    }
  }

  Partition run() {
    Partition result;
    prepare(result);
    for (const OpKind first : {OpKind::anchor, OpKind::movement})
      for (size_t n = 0; n < graph.nodes.size(); ++n)
        if (kind(NodeId(n)) == first) start(NodeId(n), true);
    for (size_t g = groups.size(); g-- > 0;) absorb_producers(static_cast<uint32_t>(g));
    // What is left are elementwise nodes. From the last to the first, so that each group reaches back as far as it can.
    for (size_t n = graph.nodes.size(); n-- > 0;) {
      if (!free_elementwise(NodeId(n))) continue;
      start(NodeId(n), false);
      absorb_producers(static_cast<uint32_t>(groups.size() - 1));
    }
    for (Group& group : groups) {
      std::ranges::sort(group.nodes);
      group.inputs = canonical_inputs(graph, canonical_order(graph, group.nodes, group.output, ops), ops);
      group.reason = reason(group);
    }
    std::ranges::sort(groups, {}, [&](const Group& g) { return graph[g.output].producer; });
    result.groups = std::move(groups);
    return result;
  }
};

}  // namespace

Partition partition(const Graph& graph, const OpSet& ops) {
  return Partitioner{graph, ops}.run();
}

}  // namespace oc
