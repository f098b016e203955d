#include <span>

#include "graph/passes/affine.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

struct Folder {
  Graph& graph;
  std::vector<int> uses;

  [[nodiscard]] const Node* foldable_producer(ValueId value) const {
    if (!value.valid() || !graph[value].producer.valid() || uses[value.index] != 1) return nullptr;
    const Node& node = graph[graph[value].producer];
    if (node.op != "conv" && node.op != "conv_transpose" && node.op != "matmul") return nullptr;
    if (!has_known_weights(graph, node) || !graph[value].type.is_static()) return nullptr;
    if (node.op != "matmul") return &node;
    return graph[node.inputs[1]].data->shape.size() == 2 && node.attrs.empty() ? &node : nullptr;
  }

  [[nodiscard]] Tensor scaled_weights(const Node& node, const std::vector<double>& factor) const {
    Tensor weights = *graph[node.inputs[1]].data;
    const std::span<float> elements = weights.as<float>();
    const auto channels = factor.size();
    if (node.op == "matmul") {
      for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<float>(elements[i] * factor[i % channels]);
    } else if (node.op == "conv") {
      const size_t each = channels == 0 ? 0 : elements.size() / channels;
      for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<float>(elements[i] * factor[i / each]);
    } else {  // [c, o/group, kh, kw]: input channel c belongs to a group, and that to its outputs
      const auto inputs = static_cast<size_t>(weights.shape[0]), per_group = static_cast<size_t>(weights.shape[1]);
      const auto window = static_cast<size_t>(weights.shape[2] * weights.shape[3]);
      const size_t inputs_per_group = inputs / static_cast<size_t>(node.attrs.integer("group", 1));
      for (size_t i = 0; i < elements.size(); ++i) {
        const size_t input = i / (per_group * window), output = i / window % per_group;
        elements[i] = static_cast<float>(elements[i] * factor[input / inputs_per_group * per_group + output]);
      }
    }
    return weights;
  }

  [[nodiscard]] Tensor new_bias(const Node& node, const Affine& a) const {
    const bool present = node.inputs.size() > 2 && node.inputs[2].valid();
    Tensor bias = make_tensor(DType::f32, {static_cast<int64_t>(a.factor.size())});
    const std::span<float> elements = bias.as<float>();
    for (size_t i = 0; i < elements.size(); ++i) {
      const double before = present ? graph[node.inputs[2]].data->as<float>()[i] : 0.0;
      elements[i] = static_cast<float>(before * a.factor[i] + a.offset[i]);
    }
    return bias;
  }

  // Folds `node` into the producer of its operand `side`; that operand then has the value of the node's output.
  bool fold(const Node& node, size_t side) {
    const ValueId v = node.inputs[side];
    const Node* producer = foldable_producer(v);
    if (producer == nullptr) return false;
    const Type& type = graph[v].type;
    const bool matmul = producer->op == "matmul";
    const auto a = affine_of(graph, node, side, matmul ? type.shape.size() - 1 : 1);
    if (!a) return false;
    if (matmul && a->shifts()) return false;  // no bias operand to take it
    const bool biased = producer->inputs.size() > 2 && producer->inputs[2].valid();
    std::optional<Tensor> weights, bias;
    if (a->scales()) weights = scaled_weights(*producer, a->factor);
    if (a->shifts() || (a->scales() && biased)) bias = new_bias(*producer, *a);
    if ((weights && !is_finite(*weights)) || (bias && !is_finite(*bias))) return false;
    const NodeId id = graph[v].producer;
    if (weights) replace_operand(graph, id, 1, std::move(*weights));
    if (bias) replace_operand(graph, id, 2, std::move(*bias));
    return true;
  }
};

}  // namespace

Graph fold_scale(Graph graph, const PassContext& /*context*/) {
  Redirects redirects(graph);
  Folder folder{graph, use_counts(graph)};
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    redirects.resolve(graph.nodes[i]);
    const Node node = graph.nodes[i];
    if (!is_affine(node)) continue;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const ValueId v = node.inputs[side], out = node.outputs[0];
      if (!folder.fold(node, side)) continue;
      // `v` has no other use, so it is no output and can always stand for `out`.
      static_cast<void>(redirects.redirect(graph, out, v));
      graph[v].name = graph[out].name;
      folder.uses[v.index] = folder.uses[out.index];
      break;
    }
  }
  redirects.finish(graph);
  return compact(graph);
}

}  // namespace oc
