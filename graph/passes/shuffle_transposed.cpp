#include <algorithm>

#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

using Pair = std::vector<int64_t>;

// Are the windows of a transposed convolution side by side, each output read from one input?
bool tiles_output(const Node& node, const Extents& weights) {
  const Pair strides = node.attrs.integers("strides"), none(4, 0);
  return strides == Pair{weights[2], weights[3]} && node.attrs.integers("dilations", Pair{1, 1}) == Pair{1, 1} &&
         node.attrs.integers("pads", none) == none && node.attrs.integers("output_padding", Pair{0, 0}) == Pair{0, 0} &&
         node.attrs.integer("group", 1) == 1;
}

// [c, o, kh, kw] → [o · kh · kw, c, 1, 1]
Tensor as_point_weights(const Tensor& weights) {
  const auto c = static_cast<size_t>(weights.shape[0]);
  const size_t each = weights.shape[0] == 0 ? 0 : weights.as<float>().size() / c;
  Tensor result = make_tensor(weights.dtype, {static_cast<int64_t>(each), weights.shape[0], 1, 1});
  for (size_t i = 0; i < each; ++i)
    for (size_t k = 0; k < c; ++k) result.as<float>()[i * c + k] = weights.as<float>()[k * each + i];
  return result;
}

Tensor repeated(const Tensor& bias, int64_t times) {
  Tensor result = make_tensor(bias.dtype, {bias.shape[0] * times});
  for (size_t i = 0; i < result.as<float>().size(); ++i)
    result.as<float>()[i] = bias.as<float>()[i / static_cast<size_t>(times)];
  return result;
}

ValueId shuffled(Graph& graph, const PassContext& context, const Node& node) {
  const Tensor* weights = plain_data(graph, node.inputs[1]);
  const bool biased = node.inputs.size() > 2 && node.inputs[2].valid();
  const Tensor* bias = biased ? plain_data(graph, node.inputs[2]) : nullptr;
  const Type& x = graph[node.inputs[0]].type;
  if (weights == nullptr || (biased && bias == nullptr) || weights->dtype != DType::f32 || !x.is_static()) return {};
  const Extents taps = weights->shape, in = x.extents();
  // With as many output channels as lanes they fill vectors as they are.
  if (!tiles_output(node, taps) || taps[2] * taps[3] == 1 || taps[1] >= context.target.lanes(4)) return {};
  std::vector<ValueId> inputs{node.inputs[0],
                              graph.add_constant("", std::make_shared<const Tensor>(as_point_weights(*weights)))};
  if (bias != nullptr)
    inputs.push_back(graph.add_constant("", std::make_shared<const Tensor>(repeated(*bias, taps[2] * taps[3]))));
  const Attrs point{{"dilations", Pair{1, 1}}, {"group", int64_t{1}}, {"pads", Pair(4, 0)}, {"strides", Pair{1, 1}}};
  const ValueId made = add_op(graph, context.ops, "conv", std::move(inputs), point, node.name);
  const ValueId apart = add_op(graph, context.ops, "reshape", {made},
                               {{"shape", Extents{in[0], taps[1], taps[2], taps[3], in[2], in[3]}}});
  const ValueId turned =
      add_op(graph, context.ops, "transpose", {apart}, {{"perm", std::vector<int64_t>{0, 1, 4, 2, 5, 3}}}, node.name);
  return add_op(graph, context.ops, "reshape", {turned}, {{"shape", graph[node.outputs[0]].type.extents()}});
}

}  // namespace

Graph shuffle_transposed(Graph graph, const PassContext& context) {
  if (!context.ops.contains("conv") || !context.ops.contains("transpose")) return graph;
  return replace_nodes(std::move(graph), {"conv_transpose"}, [&](Graph& g, const Node& node) {
    const ValueId replacement = shuffled(g, context, node);
    if (replacement.valid()) g[replacement].name = g[node.outputs[0]].name;
    return replacement;
  });
}

}  // namespace oc
