#include <algorithm>
#include <cmath>
#include <span>

#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

// v · factor + offset, one of each per output channel.
struct Affine {
  std::vector<double> factor, offset;
};

struct Folder {
  Graph& graph;
  std::vector<int> uses;

  [[nodiscard]] const Node* foldable_producer(ValueId value) const {
    if (!value.valid() || !graph[value].producer.valid() || uses[value.index] != 1) return nullptr;
    const Node& node = graph[graph[value].producer];
    if (node.op != "conv" && node.op != "conv_transpose" && node.op != "matmul") return nullptr;
    const Tensor* weights = plain_data(graph, node.inputs[1]);
    if (weights == nullptr || weights->dtype != DType::f32 || !graph[value].type.is_static()) return nullptr;
    if (node.op == "matmul") return weights->shape.size() == 2 && node.attrs.empty() ? &node : nullptr;
    const bool bias = node.inputs.size() > 2 && node.inputs[2].valid();
    return !bias || plain_data(graph, node.inputs[2]) != nullptr ? &node : nullptr;
  }

  // The constant as one number per channel of `type`; nullopt if it varies along anything else or is not known.
  [[nodiscard]] std::optional<std::vector<double>> per_channel(ValueId constant, const Type& type,
                                                               size_t channel_dim) const {
    const Tensor* tensor = plain_data(graph, constant);
    if (tensor == nullptr || tensor->dtype != DType::f32 || tensor->shape.size() > type.shape.size())
      return std::nullopt;
    const auto channels = static_cast<size_t>(type.shape[channel_dim].extent);
    const size_t lead = type.shape.size() - tensor->shape.size();
    for (size_t d = 0; d < tensor->shape.size(); ++d)
      if (tensor->shape[d] != 1 && (d + lead != channel_dim || tensor->shape[d] != type.shape[channel_dim].extent))
        return std::nullopt;
    const auto elements = tensor->as<float>();
    std::vector<double> result(channels, elements.empty() ? 0.0 : elements[0]);
    if (elements.size() == channels) result.assign(elements.begin(), elements.end());
    return result;
  }

  // What the binary node does to its operand `side`, per channel.
  [[nodiscard]] std::optional<Affine> affine(const Node& node, size_t side, const Type& type,
                                             size_t channel_dim) const {
    auto c = per_channel(node.inputs[1 - side], type, channel_dim);
    if (!c || graph[node.outputs[0]].type != type) return std::nullopt;
    Affine result{std::vector<double>(c->size(), 1), std::vector<double>(c->size(), 0)};
    for (size_t i = 0; i < c->size(); ++i) {
      const double value = (*c)[i];
      if (node.op == "mul")
        result.factor[i] = value;
      else if (node.op == "div")
        result.factor[i] = 1 / value;
      else
        result.offset[i] = node.op == "sub" && side == 0 ? -value : value;
      if (node.op == "sub" && side == 1) result.factor[i] = -1;
      // A factor that overflows or is NaN would spread into weights that are zero.
      if (!std::isfinite(result.factor[i]) || !std::isfinite(result.offset[i])) return std::nullopt;
    }
    if (node.op == "div" && side == 1) return std::nullopt;
    return result;
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

  // Numbers that leave the range of f32 would give infinities, or NaN, where the node gives none.
  [[nodiscard]] static bool is_finite(const Tensor& tensor) {
    return std::ranges::all_of(tensor.as<float>(), [](float e) { return std::isfinite(e); });
  }

  // Operand `operand` of the node becomes a constant, under the name of the one that stood there.
  void replace_operand(NodeId id, size_t operand, Tensor tensor) {
    if (graph[id].inputs.size() <= operand) graph[id].inputs.resize(operand + 1);
    const ValueId old = graph[id].inputs[operand];
    graph[id].inputs[operand] =
        graph.add_constant(old.valid() ? graph[old].name : "", std::make_shared<const Tensor>(std::move(tensor)));
  }

  // Folds `node` into the producer of its operand `side`; that operand then has the value of the node's output.
  bool fold(const Node& node, size_t side) {
    const ValueId v = node.inputs[side];
    const Node* producer = foldable_producer(v);
    if (producer == nullptr) return false;
    const Type& type = graph[v].type;
    const bool matmul = producer->op == "matmul";
    const auto a = affine(node, side, type, matmul ? type.shape.size() - 1 : 1);
    if (!a) return false;
    const bool shifts = std::ranges::any_of(a->offset, [](double o) { return o != 0; });
    if (matmul && shifts) return false;  // no bias operand to take it
    const bool scales = std::ranges::any_of(a->factor, [](double f) { return f != 1; });
    const bool biased = producer->inputs.size() > 2 && producer->inputs[2].valid();
    std::optional<Tensor> weights, bias;
    if (scales) weights = scaled_weights(*producer, a->factor);
    if (shifts || (scales && biased)) bias = new_bias(*producer, *a);
    if ((weights && !is_finite(*weights)) || (bias && !is_finite(*bias))) return false;
    const NodeId id = graph[v].producer;
    if (weights) replace_operand(id, 1, std::move(*weights));
    if (bias) replace_operand(id, 2, std::move(*bias));
    return true;
  }
};

bool is_affine(const Node& node) {
  return node.op == "mul" || node.op == "add" || node.op == "sub" || node.op == "div";
}

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
      folder.uses[v.index] = folder.uses[out.index];
      break;
    }
  }
  redirects.finish(graph);
  return compact(graph);
}

}  // namespace oc
