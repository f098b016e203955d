#include <algorithm>
#include <cmath>
#include <span>

#include "graph/passes/affine.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

constexpr size_t kChannelDim = 1;
// Smaller ones, multiplied by small weights, leave f32's normal numbers, and with them goes an offset divided by them.
constexpr double kLeastFactor = 1e-6;

struct Operands {
  Tensor weights;
  std::optional<Tensor> bias;
};

// The convolution's operands when it reads x where it read a(x). Weights are [o, i/group, kh, kw].
Operands taken_in(const Graph& graph, const Node& conv, const Affine& a) {
  Operands result{*graph[conv.inputs[1]].data, std::nullopt};
  const std::span<float> weights = result.weights.as<float>();
  const auto outputs = static_cast<size_t>(result.weights.shape[0]);
  const auto per_group = static_cast<size_t>(result.weights.shape[1]);
  const auto window = static_cast<size_t>(result.weights.shape[2] * result.weights.shape[3]);
  const size_t outputs_per_group = outputs / static_cast<size_t>(conv.attrs.integer("group", 1));
  std::vector<double> shift(outputs, 0.0);
  for (size_t i = 0; i < weights.size(); ++i) {
    const size_t output = i / (per_group * window);
    const size_t channel = output / outputs_per_group * per_group + i / window % per_group;
    shift[output] += weights[i] * a.offset[channel];
    weights[i] = static_cast<float>(weights[i] * a.factor[channel]);
  }
  if (!a.shifts()) return result;
  const bool present = conv.inputs.size() > 2 && conv.inputs[2].valid();
  result.bias = make_tensor(DType::f32, {static_cast<int64_t>(outputs)});
  const std::span<float> bias = result.bias->as<float>();
  for (size_t o = 0; o < outputs; ++o)
    bias[o] = static_cast<float>(shift[o] + (present ? graph[conv.inputs[2]].data->as<float>()[o] : 0.0));
  return result;
}

bool is_padded(const Node& conv) {
  return std::ranges::any_of(conv.attrs.integers("pads", {}), [](int64_t pad) { return pad > 0; });
}

Tensor channel_tensor(const std::vector<double>& values) {
  const bool uniform = std::ranges::all_of(values, [&](double v) { return v == values[0]; });
  Tensor result =
      uniform ? make_tensor(DType::f32, {1}) : make_tensor(DType::f32, {static_cast<int64_t>(values.size()), 1, 1});
  const std::span<float> elements = result.as<float>();
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<float>(values[i]);
  return result;
}

struct Sinker {
  Graph& graph;
  std::vector<int> uses;
  std::vector<std::vector<NodeId>> readers;

  // Whether convolutions with known weights read the value, and nothing else does.
  [[nodiscard]] bool feeds_convolutions(ValueId value) const {
    const std::vector<NodeId>& all = readers[value.index];
    return !all.empty() && static_cast<size_t>(uses[value.index]) == all.size() &&
           std::ranges::all_of(all, [&](NodeId id) {
             const Node& node = graph[id];
             return node.op == "conv" && node.inputs[0] == value && has_known_weights(graph, node);
           });
  }

  // The convolutions that read `value` take in `a`; false, and nothing happens, if a number would leave f32's range.
  bool sink(ValueId value, const Affine& a) {
    std::vector<Operands> operands;
    for (const NodeId id : readers[value.index]) {
      operands.push_back(taken_in(graph, graph[id], a));
      const Operands& last = operands.back();
      if (!is_finite(last.weights) || (last.bias && !is_finite(*last.bias))) return false;
    }
    for (size_t i = 0; i < operands.size(); ++i) {
      const NodeId id = readers[value.index][i];
      replace_operand(graph, id, 1, std::move(operands[i].weights));
      if (operands[i].bias) replace_operand(graph, id, 2, std::move(*operands[i].bias));
    }
    return true;
  }

  // What `from` read of `value` is read by `to` in its place.
  void replace_reader(ValueId value, NodeId from, const std::vector<NodeId>& to) {
    std::vector<NodeId>& all = readers[value.index];
    std::erase(all, from);
    all.insert(all.end(), to.begin(), to.end());
    uses[value.index] += static_cast<int>(to.size()) - 1;
  }

  // conv(x·f + o) → conv'(x)
  void vanish(NodeId id, size_t side) {
    const ValueId x = graph[id].inputs[side], out = graph[id].outputs[0];
    const std::vector<NodeId> convolutions = std::move(readers[out.index]);
    for (const NodeId conv : convolutions) graph[conv].inputs[0] = x;
    replace_reader(x, id, convolutions);
  }

  // conv(x·f + o) → conv'(x + o/f), where padding, which stays zero, forbids the offset to go further; again for what
  // scales x.
  bool pass_factor(NodeId id, size_t side, const Affine& shift) {
    const ValueId scaled = graph[id].inputs[side];
    const NodeId inner = graph[scaled].producer;
    if (shift.scales() || !inner.valid() || !is_affine(graph[inner]) || uses[scaled.index] != 1) return false;
    for (const size_t inner_side : {size_t{0}, size_t{1}}) {
      const auto scale = affine_of(graph, graph[inner], inner_side, kChannelDim);
      if (!scale || scale->shifts()) continue;
      if (std::ranges::any_of(scale->factor, [](double f) { return std::abs(f) < kLeastFactor; })) return false;
      std::vector<double> offset;
      for (size_t c = 0; c < scale->factor.size(); ++c) offset.push_back(shift.offset[c] / scale->factor[c]);
      Tensor constant = channel_tensor(offset);
      if (!is_finite(constant) || !sink(graph[id].outputs[0], *scale)) return false;
      const ValueId x = graph[inner].inputs[inner_side];
      const ValueId added = graph.add_constant("", std::make_shared<const Tensor>(std::move(constant)));
      graph[id].op = "add";
      graph[id].inputs = {x, added};
      graph[graph[id].outputs[0]].name.clear();  // the model has no such value
      replace_reader(x, inner, {id});
      return true;
    }
    return false;
  }

  void visit(NodeId id) {
    const ValueId out = graph[id].outputs[0];
    if (!is_affine(graph[id]) || !feeds_convolutions(out)) return;
    for (size_t side : {size_t{0}, size_t{1}}) {
      auto a = affine_of(graph, graph[id], side, kChannelDim);
      if (!a) continue;
      const bool padded = std::ranges::any_of(readers[out.index], [&](NodeId conv) { return is_padded(graph[conv]); });
      if (!padded || !a->shifts()) {
        if (sink(out, *a)) vanish(id, side);
        return;
      }
      while (a && pass_factor(id, side, *a)) {
        side = 0;
        a = affine_of(graph, graph[id], side, kChannelDim);
      }
      return;
    }
  }
};

}  // namespace

Graph sink_scale(Graph graph, const PassContext& /*context*/) {
  Sinker sinker{graph, use_counts(graph), consumers(graph)};
  // From the convolutions upwards: a chain sinks link by link.
  for (size_t i = graph.nodes.size(); i-- > 0;) sinker.visit(NodeId(i));
  return compact(graph);
}

}  // namespace oc
