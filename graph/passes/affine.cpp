#include "graph/passes/affine.h"

#include <algorithm>
#include <cmath>

#include "graph/passes/rewrite.h"

namespace oc {
namespace {

// The constant as one number per channel of `type`; nullopt if it varies along anything else or is not known.
std::optional<std::vector<double>> per_channel(const Graph& graph, ValueId constant, const Type& type,
                                               size_t channel_dim) {
  const Tensor* tensor = plain_data(graph, constant);
  if (tensor == nullptr || tensor->dtype != DType::f32 || tensor->shape.size() > type.shape.size()) return std::nullopt;
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

}  // namespace

bool Affine::scales() const {
  return std::ranges::any_of(factor, [](double f) { return f != 1; });
}

bool Affine::shifts() const {
  return std::ranges::any_of(offset, [](double o) { return o != 0; });
}

bool is_affine(const Node& node) {
  return node.op == "mul" || node.op == "add" || node.op == "sub" || node.op == "div";
}

std::optional<Affine> affine_of(const Graph& graph, const Node& node, size_t side, size_t channel_dim) {
  const Type& type = graph[node.inputs[side]].type;
  if (!type.is_static() || graph[node.outputs[0]].type != type) return std::nullopt;
  auto c = per_channel(graph, node.inputs[1 - side], type, channel_dim);
  if (!c || (node.op == "div" && side == 1)) return std::nullopt;
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
  return result;
}

bool is_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.as<float>(), [](float e) { return std::isfinite(e); });
}

void replace_operand(Graph& graph, NodeId id, size_t operand, Tensor tensor) {
  if (graph[id].inputs.size() <= operand) graph[id].inputs.resize(operand + 1);
  const ValueId old = graph[id].inputs[operand];
  const ValueId constant =
      graph.add_constant(old.valid() ? graph[old].name : "", std::make_shared<const Tensor>(std::move(tensor)));
  graph[id].inputs[operand] = constant;
}

bool has_known_weights(const Graph& graph, const Node& node) {
  const Tensor* weights = plain_data(graph, node.inputs[1]);
  if (weights == nullptr || weights->dtype != DType::f32) return false;
  const bool bias = node.inputs.size() > 2 && node.inputs[2].valid();
  return !bias || plain_data(graph, node.inputs[2]) != nullptr;
}

}  // namespace oc
