// Memory layouts in oneDNN's tag notation. Letters name logical dims (a = dim 0, outermost in the shape), outermost in
// memory first; a dim written in upper case is blocked, its inner blocks follow as <size><letter>:
//   abcd       plain NCHW            acdb   NHWC
//   aBcd16b    NCHW with 16 channels innermost
//   ABcd16b16a convolution weights OIHW, 16 inputs × 16 outputs innermost
// Blocked extents are rounded up; elements in the padding are zero, always: every producer stores zeros there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oc {

using Extents = std::vector<int64_t>;

struct Layout {
  struct Block {
    int dim = 0;
    int64_t size = 1;
    bool operator==(const Block&) const = default;
  };
  std::vector<int> order;     // permutation of 0..rank-1, outermost first; empty = plain of any rank
  std::vector<Block> blocks;  // outermost first, all inside `order`

  bool operator==(const Layout&) const = default;
  [[nodiscard]] bool plain() const;
  // The product of the block sizes of `dim` (1 = not blocked).
  [[nodiscard]] int64_t block(int dim) const;
};

// "" and "abcd" both mean plain and compare equal after parsing. UserError on a malformed tag or rank mismatch.
[[nodiscard]] Layout parse_layout(std::string_view tag, size_t rank);
[[nodiscard]] std::string layout_tag(const Layout& layout, size_t rank);
// NCHWc: channel dim 1 blocked by `block` (1 gives plain).
[[nodiscard]] Layout channel_blocked(size_t rank, int64_t block);
// Extents of the physical, row-major array, outermost first: first `order`, then `blocks`.
[[nodiscard]] Extents physical_extents(const Layout& layout, std::span<const int64_t> shape);
// Elements of the physical array, padding included. UserError when the product overflows.
[[nodiscard]] int64_t physical_size(const Layout& layout, std::span<const int64_t> shape);
// Product of the extents; UserError when it overflows or a dim is negative.
[[nodiscard]] int64_t element_count(std::span<const int64_t> shape);

}  // namespace oc
