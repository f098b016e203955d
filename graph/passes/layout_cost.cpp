#include "graph/passes/layout_cost.h"

#include <algorithm>

namespace oc {
namespace {

// A relayout moves 11 bytes in a cycle, which has 16 multiply-adds: measured on Zen 4.
constexpr double kBytesPerMultiplyAdd = 0.7;
// Shares of the peak that the register tiles reach where they cover the tensor.
constexpr double kBlockedShare = 0.95;
constexpr double kPlainShare = 0.92;
constexpr double kPlainWindowShare = 0.15;  // vectors along rows that overlap, with padding at both ends

// Share of useful work when `extent` is covered by tiles of `tile`.
double coverage(int64_t extent, int64_t tile) {
  const int64_t tiles = (extent + tile - 1) / tile;
  return static_cast<double>(extent) / static_cast<double>(tiles * tile);
}

bool without_pads(const Node& node) {
  return std::ranges::all_of(node.attrs.integers("pads", Extents{0, 0, 0, 0}), [](int64_t pad) { return pad == 0; });
}

}  // namespace

bool is_pointwise(const Graph& graph, const Node& node) {
  const Shape& kernel = graph[node.inputs[1]].type.shape;
  return node.op == "conv" && node.attrs.integer("group", 1) == 1 && kernel[2] == Dim(1) && kernel[3] == Dim(1) &&
         without_pads(node);
}

bool plain_competes(const Graph& graph, const Node& node) {
  const Shape& kernel = graph[node.inputs[1]].type.shape;
  const Extents strides = node.attrs.integers("strides", Extents{1, 1});
  if (node.op == "conv_transpose")
    return kernel[2] == Dim(strides[0]) && kernel[3] == Dim(strides[1]) && without_pads(node);
  return is_pointwise(graph, node) && strides == Extents{1, 1};
}

double convolution_cost(const Graph& graph, const Node& node, const OpSet& ops, int lanes, ConvolutionForm form) {
  const Type &in = graph[node.inputs[0]].type, &out = graph[node.outputs[0]].type;
  const double work = kBytesPerMultiplyAdd * traits(ops, node.op).flops(view(graph, node)) / 2;
  if (form == ConvolutionForm::plain) {
    if (!plain_competes(graph, node)) return work / kPlainWindowShare;
    const int64_t pixels = out.shape[2].extent * out.shape[3].extent;
    return work / (kPlainShare * coverage(pixels, 2 * lanes));
  }
  const bool sums_padding = form == ConvolutionForm::blocked && node.attrs.integer("group", 1) == 1;
  const double summed = sums_padding ? coverage(in.shape[1].extent, lanes) : 1;
  return work / (kBlockedShare * coverage(out.shape[1].extent, lanes) * summed);
}

}  // namespace oc
