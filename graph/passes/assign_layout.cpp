// Three steps: (1) every value and node gets a role, (2) each node that can run in either layout gets a label so that
// few bytes are converted, (3) the graph is rewritten to the labels.
//
//   x → conv → relu → reshape      x → conv → relu (aBcd16b) → relayout(abcd) → reshape
#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "base/error.h"
#include "graph/passes/layout_cost.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

constexpr int64_t kFewChannels = 4;
constexpr int kMaxSweeps = 8;

enum class Role : uint8_t {
  plain,  // plain operands, plain result
  flow,   // operands and result share the label of the node
  conv,   // reads either and writes blocked, unless there are few channels
};

enum class Label : uint8_t { plain, blocked };

// Rank 4, f32, static, several channels: what may be blocked.
bool blockable(const Type& type) {
  return type.shape.size() == 4 && type.dtype == DType::f32 && type.is_static() && type.shape[1].extent >= kFewChannels;
}

int64_t block_of(const Type& type, int lanes) {
  return std::min<int64_t>(lanes, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(type.shape[1].extent))));
}

// Does operand `in` of a node with result `out` lie in the result's channels (else it is broadcast along them)?
bool has_channels(const Type& in, const Type& out) {
  return in.shape.size() == 4 && in.shape[1] == out.shape[1];
}

// A lower-rank operand [c,1,1] of an elementwise node.
bool has_channels_implicitly(const Type& in) {
  return in.shape.size() == 3 && in.shape[0] != Dim(1);
}

bool selects_channels(const Node& node) {
  for (const auto& [name, attr] : node.attrs) {
    if (const auto* axis = std::get_if<int64_t>(&attr); name == "axis" && axis != nullptr && *axis == 1) return true;
    const auto* axes = std::get_if<std::vector<int64_t>>(&attr);
    if (axes == nullptr) continue;
    if (name == "axes" && std::ranges::find(*axes, 1) != axes->end()) return true;
    if (name == "steps" && axes->size() == 4 && (*axes)[1] != 1) return true;
  }
  return false;
}

struct Planner {
  const Graph& graph;
  const PassContext& context;
  int lanes;
  std::vector<Role> roles = std::vector<Role>(graph.nodes.size(), Role::plain);
  std::vector<std::vector<NodeId>> readers = consumers(graph);
  std::vector<char> is_output = std::vector<char>(graph.values.size(), 0);
  // How many readers of each value want which label, under the present labels.
  struct Demand {
    int plain = 0, blocked = 0;
  };
  std::vector<Demand> demands;
  std::vector<Label> labels;  // of flow nodes

  [[nodiscard]] const Type& out(const Node& node) const { return graph[node.outputs[0]].type; }

  // ---- roles

  [[nodiscard]] bool is_convolution(const Node& node) const { return node.op == "conv" || node.op == "conv_transpose"; }

  [[nodiscard]] bool is_dense(const Node& node) const {
    return is_convolution(node) && node.attrs.integer("group", 1) == 1;
  }

  [[nodiscard]] bool is_depthwise(const Node& node) const {
    const Type& in = graph[node.inputs[0]].type;
    return in.shape.size() == 4 && Dim(node.attrs.integer("group", 1)) == in.shape[1] &&
           in.shape[1] == out(node).shape[1];
  }

  [[nodiscard]] bool concat_flows(const Node& node) const {
    if (node.attrs.integer("axis") != 1) return true;
    const int64_t block = block_of(out(node), lanes);
    return std::ranges::all_of(node.inputs, [&](ValueId in) { return graph[in].type.shape[1].extent % block == 0; });
  }

  // A convolution may stay plain where that costs little.
  [[nodiscard]] Role dense_convolution_role(const Node& node) const {
    const bool both = blockable(graph[node.inputs[0]].type) && blockable(out(node));
    return both && plain_competes(graph, node) ? Role::flow : Role::conv;
  }

  [[nodiscard]] Role role(const Node& node) const {
    if (node.outputs.size() != 1 || node.inputs.empty()) return Role::plain;
    if (is_convolution(node)) {
      if (!graph[node.inputs[0]].type.is_static() || graph[node.inputs[0]].type.shape.size() != 4) return Role::plain;
      if (node.attrs.integer("group", 1) == 1) return dense_convolution_role(node);
      return is_depthwise(node) && blockable(out(node)) ? Role::flow : Role::plain;
    }
    const OpTraits& op = traits(context.ops, node.op);
    if (op.layout != LayoutRule::same || op.kind == OpKind::view || !blockable(out(node))) return Role::plain;
    if (op.kind == OpKind::elementwise) return elementwise_role(node);
    if (node.op == "concat") return concat_flows(node) ? Role::flow : Role::plain;
    const Type& in = graph[node.inputs[0]].type;
    return blockable(in) && has_channels(in, out(node)) && !selects_channels(node) ? Role::flow : Role::plain;
  }

  // f32 throughout: a bool mask with the result's channels would have to be blocked as well.
  [[nodiscard]] Role elementwise_role(const Node& node) const {
    for (ValueId input : node.inputs) {
      if (!input.valid()) continue;
      const Type& in = graph[input].type;
      if ((has_channels(in, out(node)) || has_channels_implicitly(in)) && in.dtype != DType::f32) return Role::plain;
    }
    return Role::flow;
  }

  // ---- labels and their cost

  [[nodiscard]] Label label_of(ValueId value) const {
    const NodeId producer = graph[value].producer;
    if (!producer.valid()) return Label::plain;
    switch (roles[producer.index]) {
      case Role::flow: return labels[producer.index];
      case Role::conv: return blockable(graph[value].type) ? Label::blocked : Label::plain;
      case Role::plain: break;
    }
    return Label::plain;
  }

  // With a blocked result, a convolution reads few channels or single elements where they lie.
  [[nodiscard]] bool conv_reads_anything(const Node& node) const {
    const Type& in = graph[node.inputs[0]].type;
    return !blockable(in) || in.shape[1].extent <= kFewChannels || is_pointwise(graph, node);
  }

  // Does operand i share the layout of a flow node's result?
  [[nodiscard]] bool follows(const Node& node, Role node_role, size_t i) const {
    if (node_role != Role::flow || !node.inputs[i].valid()) return false;
    if (is_convolution(node)) return i == 0;
    const Type& in = graph[node.inputs[i]].type;
    if (node.op == "concat" || has_channels(in, out(node))) return true;
    return traits(context.ops, node.op).kind == OpKind::elementwise && has_channels_implicitly(in);
  }

  // Calls visit(value, label) for each operand of the node for which the layout matters and that is no constant.
  template <class Visit>
  void each_demand(NodeId id, Label label, const Visit& visit) const {
    const Node& node = graph[id];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId value = node.inputs[i];
      if (!value.valid() || graph[value].kind == ValueKind::constant) continue;
      if (i == 0 && (roles[id.index] == Role::conv || (is_dense(node) && label == Label::blocked))) {
        if (!conv_reads_anything(node)) visit(value, Label::blocked);
      } else {
        visit(value, follows(node, roles[id.index], i) ? label : Label::plain);
      }
    }
  }

  void add_demand(ValueId value, Label label, int count) {
    (label == Label::blocked ? demands[value.index].blocked : demands[value.index].plain) += count;
  }

  // Bytes moved to serve the readers of `value` that want the other layout; nothing where both layouts are the same
  // bytes.
  [[nodiscard]] double conversion_cost(ValueId value, Label label) const {
    const Demand& d = demands[value.index];
    if ((label == Label::blocked ? d.plain : d.blocked) == 0) return 0;
    const Type& type = graph[value].type;
    if (!type.is_static() || same_bytes(type)) return 0;
    return static_cast<double>(type.bytes());
  }
  [[nodiscard]] bool same_bytes(const Type& type) const {
    return blockable(type) && type.shape[2] == Dim(1) && type.shape[3] == Dim(1) &&
           type.shape[1].extent % block_of(type, lanes) == 0;
  }

  [[nodiscard]] double preference(NodeId id, Label label) const {
    const Node& node = graph[id];
    if (!is_convolution(node)) return 0;
    const bool reads_plain = is_dense(node) && conv_reads_anything(node) && label_of(node.inputs[0]) == Label::plain;
    const ConvolutionForm form = label == Label::plain ? ConvolutionForm::plain
                                 : reads_plain         ? ConvolutionForm::plain_operand
                                                       : ConvolutionForm::blocked;
    return convolution_cost(graph, node, context.ops, lanes, form);
  }

  [[nodiscard]] double local_cost(NodeId id) {
    const ValueId result = graph[id].outputs[0];
    double cost = preference(id, labels[id.index]) + conversion_cost(result, labels[id.index]);
    for (NodeId reader : readers[result.index])  // what they read decides what they cost
      if (roles[reader.index] == Role::flow) cost += preference(reader, labels[reader.index]);
    ValueId previous;
    each_demand(id, labels[id.index], [&](ValueId value, Label) {
      if (value != previous) cost += conversion_cost(value, label_of(value));
      previous = value;
    });
    return cost;
  }

  void set_label(NodeId id, Label label) {
    each_demand(id, labels[id.index], [&](ValueId value, Label wanted) { add_demand(value, wanted, -1); });
    labels[id.index] = label;
    each_demand(id, label, [&](ValueId value, Label wanted) { add_demand(value, wanted, 1); });
  }

  void count_demands() {
    demands.assign(graph.values.size(), {});
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      each_demand(NodeId(n), labels[n], [&](ValueId value, Label wanted) { add_demand(value, wanted, 1); });
    for (ValueId output : graph.outputs) add_demand(output, Label::plain, 1);
  }

  // All flow nodes start at `start`; single nodes change while that lowers the cost.
  std::vector<Label> descend(Label start) {
    labels.assign(graph.nodes.size(), Label::plain);
    for (size_t n = 0; n < roles.size(); ++n)
      if (roles[n] == Role::flow) labels[n] = start;
    count_demands();
    bool changed = true;
    for (int i = 0; i < kMaxSweeps && changed; ++i) {
      changed = false;
      for (size_t k = 0; k < roles.size(); ++k) {
        const NodeId id(i % 2 == 0 ? k : roles.size() - 1 - k);
        if (roles[id.index] != Role::flow) continue;
        const Label before = labels[id.index];
        const double cost = local_cost(id);
        set_label(id, before == Label::plain ? Label::blocked : Label::plain);
        if (local_cost(id) < cost)
          changed = true;
        else
          set_label(id, before);
      }
    }
    return labels;
  }

  // ---- regions: flow nodes connected through their values

  struct Regions {
    std::vector<uint32_t> parent;
    uint32_t find(uint32_t i) {
      while (parent[i] != i) i = parent[i] = parent[parent[i]];
      return i;
    }
  };

  [[nodiscard]] Regions regions() const {
    Regions r{std::vector<uint32_t>(graph.nodes.size())};
    for (uint32_t n = 0; n < r.parent.size(); ++n) r.parent[n] = n;
    for (uint32_t n = 0; n < r.parent.size(); ++n) {
      if (roles[n] != Role::flow) continue;
      for (ValueId value : graph.nodes[n].inputs) {
        const NodeId producer = value.valid() ? graph[value].producer : NodeId();
        if (producer.valid() && roles[producer.index] == Role::flow) r.parent[r.find(n)] = r.find(producer.index);
      }
    }
    // Readers of one convolution's result share its conversion.
    for (const std::vector<NodeId>& list : readers) {
      uint32_t first = UINT32_MAX;
      for (NodeId reader : list) {
        if (roles[reader.index] != Role::flow) continue;
        if (first == UINT32_MAX)
          first = reader.index;
        else
          r.parent[r.find(reader.index)] = r.find(first);
      }
    }
    return r;
  }

  // The cheaper of two descents, region by region; plain where no convolution is near.
  void choose() {
    Regions region = regions();
    const size_t count = graph.nodes.size();
    std::vector<char> near_conv(count, 0);
    for (size_t n = 0; n < count; ++n) {
      if (roles[n] != Role::flow) continue;
      bool near = is_convolution(graph.nodes[n]);
      for (ValueId value : graph.nodes[n].inputs) {
        const NodeId producer = value.valid() ? graph[value].producer : NodeId();
        near |= producer.valid() && roles[producer.index] == Role::conv;
      }
      for (NodeId reader : readers[graph.nodes[n].outputs[0].index]) near |= roles[reader.index] == Role::conv;
      near_conv[region.find(static_cast<uint32_t>(n))] |= static_cast<char>(near);
    }
    const auto [blocked, blocked_cost] = labelled(Label::blocked, region);
    const auto [plain, plain_cost] = labelled(Label::plain, region);
    for (uint32_t n = 0; n < count; ++n) {
      const uint32_t r = region.find(n);
      if (!near_conv[r])
        labels[n] = Label::plain;
      else
        labels[n] = blocked_cost[r] <= plain_cost[r] ? blocked[n] : plain[n];
    }
    count_demands();
  }

  // Labels after a descent and the cost by region.
  std::pair<std::vector<Label>, std::vector<double>> labelled(Label start, Regions& region) {
    std::vector<Label> found = descend(start);
    std::vector<double> cost(graph.nodes.size(), 0);
    for (size_t i = 0; i < graph.values.size(); ++i) {
      // A value's conversion belongs to the region of its producer, else to that of its readers.
      const NodeId producer = graph.values[i].producer;
      NodeId owner = producer.valid() && roles[producer.index] == Role::flow ? producer : NodeId();
      for (size_t k = 0; k < readers[i].size() && !owner.valid(); ++k)
        if (roles[readers[i][k].index] == Role::flow) owner = readers[i][k];
      if (owner.valid()) cost[region.find(owner.index)] += conversion_cost(ValueId(i), label_of(ValueId(i)));
    }
    for (uint32_t n = 0; n < found.size(); ++n)
      if (roles[n] == Role::flow) cost[region.find(n)] += preference(NodeId(n), found[n]);
    return {std::move(found), std::move(cost)};
  }

  void run() {
    for (size_t n = 0; n < graph.nodes.size(); ++n) roles[n] = role(graph.nodes[n]);
    choose();
  }
};

// ---- rewriting

struct Rewriter {
  Graph& graph;
  const Planner& plan;
  const PassContext& context;
  std::map<std::pair<ValueId, int64_t>, ValueId> converted = {};  // (value, block) → the value in that layout
  std::map<ValueId, ValueId> rank4 = {};                          // [c,h,w] → [1,c,h,w]

  // `value`, whose channels are dim 1 (dim 0 of a bias vector), blocked by `block`; 1 gives plain.
  ValueId in_layout(ValueId value, int64_t block) {
    const size_t rank = graph[value].type.shape.size();
    const Layout layout =
        rank == 1 && block > 1 ? parse_layout(fmt::format("A{}a", block), 1) : channel_blocked(rank, block);
    if (graph[value].type.layout == layout) return value;
    const auto [found, fresh] = converted.try_emplace({value, block});
    if (!fresh) return found->second;
    ValueId result;
    if (graph[value].data != nullptr) {
      result =
          graph.add_constant(graph[value].name, std::make_shared<const Tensor>(relayout(*graph[value].data, layout)));
    } else {
      Type type = graph[value].type;
      type.layout = layout;
      result = graph.add_node("relayout", {value}, {{"to", layout_tag(layout, rank)}}, std::move(type));
    }
    return found->second = result;
  }

  ValueId as_rank4(ValueId value) {
    const auto [found, fresh] = rank4.try_emplace(value);
    if (!fresh) return found->second;
    Extents shape = graph[value].type.extents();
    shape.insert(shape.begin(), 1);
    if (graph[value].data != nullptr) {
      Tensor data = *graph[value].data;
      data.shape = shape;
      return found->second = graph.add_constant(graph[value].name, std::make_shared<const Tensor>(std::move(data)));
    }
    return found->second = add_op(graph, context.ops, "reshape", {value}, {{"shape", shape}});
  }

  void conv(Node& node) {
    const Type& out = graph[node.outputs[0]].type;
    const int64_t out_block = blockable(out) ? block_of(out, plan.lanes) : 1;
    read_convolved(node, Label::blocked);
    finish_convolution(node, out_block);
  }

  // What a convolution with a result of this label reads.
  void read_convolved(Node& node, Label label) {
    const ValueId x = node.inputs[0];
    if (label == Label::plain)
      node.inputs[0] = in_layout(x, 1);
    else if (!plan.is_dense(node) || !plan.conv_reads_anything(node))
      node.inputs[0] = in_layout(x, block_of(graph[x].type, plan.lanes));
  }

  // Bias and result.
  void finish_convolution(Node& node, int64_t out_block) {
    if (node.inputs.size() > 2 && node.inputs[2].valid()) node.inputs[2] = in_layout(node.inputs[2], out_block);
    graph[node.outputs[0]].type.layout = channel_blocked(4, out_block);
  }

  void flow(Node& node, Label label) {
    const Type out = graph[node.outputs[0]].type;
    const int64_t block = label == Label::blocked ? block_of(out, plan.lanes) : 1;
    if (plan.is_convolution(node)) {
      read_convolved(node, label);
      finish_convolution(node, block);
      return;
    }
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId input = node.inputs[i];
      const bool shares = plan.follows(node, Role::flow, i);
      if (shares && block > 1 && graph[input].type.shape.size() == 3) input = as_rank4(input);
      inputs.push_back(input.valid() ? in_layout(input, shares ? block : 1) : input);
    }
    node.inputs = std::move(inputs);
    graph[node.outputs[0]].type.layout = channel_blocked(4, block);
  }

  void run() {
    const size_t count = graph.nodes.size();
    for (size_t n = 0; n < count; ++n) {
      Node node = graph.nodes[n];
      if (plan.roles[n] == Role::conv)
        conv(node);
      else if (plan.roles[n] == Role::flow)
        flow(node, plan.labels[n]);
      else
        for (ValueId& input : node.inputs)
          if (input.valid()) input = in_layout(input, 1);
      graph.nodes[n] = std::move(node);
    }
    outputs();
  }

  // The caller sees plain tensors. The converted value takes over the output's name.
  void outputs() {
    for (ValueId& output : graph.outputs) {
      const ValueId plain = in_layout(output, 1);
      if (plain != output && !graph[output].name.empty()) graph[plain].name = std::exchange(graph[output].name, {});
      output = plain;
    }
  }
};

}  // namespace

Graph assign_layout(Graph graph, const PassContext& context) {
  const int lanes = context.target.lanes(4);
  const bool laid_out = std::ranges::any_of(graph.values, [](const Value& v) { return !v.type.layout.plain(); });
  if (lanes < 2 || laid_out || !context.ops.contains("relayout") || !context.ops.contains("reshape")) return graph;
  const Graph before = graph;
  Planner plan{before, context, lanes};
  plan.run();
  Rewriter{graph, plan, context}.run();
  return compact(graph);
}

}  // namespace oc
