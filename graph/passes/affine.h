// What passes share that move factors and offsets into the weights of convolutions.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"

namespace oc {

// v · factor + offset, one of each per channel.
struct Affine {
  std::vector<double> factor, offset;

  [[nodiscard]] bool scales() const;
  [[nodiscard]] bool shifts() const;
};

// Whether the node may be an Affine of one of its operands: mul, add, sub, div.
[[nodiscard]] bool is_affine(const Node& node);
// What the binary node does to its operand `side`; nullopt unless the other one is known, plain, finite and constant
// along all dims but `channel_dim`, and the output has the operand's (static) type.
[[nodiscard]] std::optional<Affine> affine_of(const Graph& graph, const Node& node, size_t side, size_t channel_dim);

// Numbers that leave the range of f32 would give infinities, or NaN, where the node gives none.
[[nodiscard]] bool is_finite(const Tensor& tensor);
// Operand `operand` of the node becomes a constant, under the name of the one that stood there.
void replace_operand(Graph& graph, NodeId id, size_t operand, Tensor tensor);
// Whether the node's operands 1 and 2 are known, plain f32 weights and (or none) a known, plain bias.
[[nodiscard]] bool has_known_weights(const Graph& graph, const Node& node);

}  // namespace oc
