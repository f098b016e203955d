// What convolutions and pooling share: windows of one to three spatial dims, given per ONNX, brought to the 2-D form of
// our ops (attributes of 2, pads as top, left, bottom, right). A 1-D window becomes a 2-D one of height 1; one of three
// dims keeps them, and its op says how it is made of others.
#pragma once

#include <cstdint>
#include <vector>

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

struct WindowAttrs {
  std::vector<int64_t> kernel, strides, dilations;  // 2 or 3 each
  std::vector<int64_t> pads;                        // before each dim, then behind each: top, left, bottom, right
  std::vector<int64_t> in;                          // spatial extents of the input
  enum class Auto : uint8_t { explicit_pads, same_upper, same_lower, valid } mode = Auto::explicit_pads;

  [[nodiscard]] int64_t reach(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};

// Reads strides, dilations, pads and auto_pad of a node over `x` [n, c, spatial…]; `kernel` are the window's extents.
// UserError on a wrong length or value, and unless x has one to three spatial dims. auto_pad is not applied yet.
[[nodiscard]] WindowAttrs window_attrs(Call& n, ValueId x, const std::vector<int64_t>& kernel);
// Pads for auto_pad SAME_*: `total[i]` elements shared out along axis i, the odd one at the end (upper) or the start.
void share_pads(WindowAttrs& window, const std::vector<int64_t>& total);
// Resolves auto_pad of a convolution or pooling: SAME gives ⌈in / stride⌉ outputs.
void apply_auto_pad(WindowAttrs& window);

// [n, c, l] → [n, c, 1, l], and back again; rank 4 stays.
[[nodiscard]] ValueId to_2d(Call& n, ValueId x);
[[nodiscard]] ValueId from_2d(Call& n, ValueId result, int64_t rank);

}  // namespace oc::from_onnx
