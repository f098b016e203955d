// What a convolution costs plain and channel-blocked, in bytes of a relayout that takes as long.
#pragma once

#include <cstdint>

#include "graph/op_set.h"

namespace oc {

// Do the plain and the blocked form of this convolution compete? So where every input element meets each tap at most
// once (1×1, transposed with kernel = stride): the plain form then runs along all pixels as a matrix product does.
// Other windows are far faster blocked. Its types are static and of rank 4.
[[nodiscard]] bool plain_competes(const Graph& graph, const Node& node);

// Is this a convolution with windows of one element? Its register tiles multiply vectors of weights by single elements,
// which it reads as well from a plain operand as from a blocked one.
[[nodiscard]] bool is_pointwise(const Graph& graph, const Node& node);

enum class ConvolutionForm : uint8_t {
  plain,          // operand and result
  blocked,        // both, by at most `lanes` channels; it computes the padding of either
  plain_operand,  // with a blocked result
};
// Bytes that a relayout moves in the time that `node`, a conv or conv_transpose [n, c, y, x] of static types, takes in
// this form on one thread: multiply-adds over the share of the peak that its tiles reach, at the rates measured in
// layout_cost.cpp. `lanes`: channels in a block, vectors along pixels. Conversions of its operands are not counted. For
// comparing forms only.
[[nodiscard]] double convolution_cost(const Graph& graph, const Node& node, const OpSet& ops, int lanes,
                                      ConvolutionForm form);

}  // namespace oc
