// Winograd's convolution as forms of the window family. The directives mean: tile x=, c=: points (tiles of the image) ×
// channel blocks of the register tile of the matrix product; band y=: rows of tiles that pass through all stages
// together; prefetch w: input channels by which weights are asked for ahead; parallel y: over bands, parallel c: over
// frequencies and channels inside each stage.
#pragma once

#include <string>

#include "schedules/families/common.h"

namespace oc {

inline constexpr int64_t kPrefetched = 64;  // input channels of prefetch.w: 4 KB of weights, about 1000 cycles ahead

enum WindowForm : int64_t { kDirect, kWinograd2, kWinograd4 };  // words of algorithm.form, in their order
enum WindowInner : int64_t { kInnerX, kInnerC };
enum WindowPadAt : int64_t { kPadBand, kPadRoot, kPadInline };
enum WindowParallelAxis : int64_t { kParallelY, kParallelC, kParallelX };

// "direct", "winograd2", "winograd4": all that the family speaks.
[[nodiscard]] const std::vector<std::string>& window_forms();

// The tiles of one image.
struct WinogradGrid {
  int64_t m;              // outputs along a side of a tile
  int64_t rows, columns;  // of tiles
  int64_t in_blocks, out_blocks;
};
// Empty if the kernel can be computed this way: 3×3, stride 1, no dilation, one group, blocked on both sides, constant
// weights.
[[nodiscard]] std::string why_no_winograd(const Kernel& kernel);
[[nodiscard]] WinogradGrid winograd_grid(const Kernel& kernel, int64_t form);
// `form` is not kDirect.
[[nodiscard]] std::string winograd_reject(const Kernel& kernel, const Schedule& schedule);
[[nodiscard]] Schedule winograd_fallback(const Kernel& kernel, const Target& target, int threads, int64_t form);
// Iterations of the loops that become tasks.
[[nodiscard]] std::vector<int64_t> winograd_loops(const Kernel& kernel, const Schedule& schedule);
[[nodiscard]] Packings winograd_packings(const Kernel& kernel, int64_t form);

// Of the matrix products of the form with the fewest; the transforms are left out.
[[nodiscard]] double winograd_least_flops(const Kernel& kernel);

// Cycles on so many threads by a roofline of arithmetic and memory, to choose between forms only.
[[nodiscard]] double window_cycles(const Kernel& kernel, const Target& target, int threads, const Schedule& schedule);

}  // namespace oc
