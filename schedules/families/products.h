// The forms of the window family that multiply matrices, Winograd's and im2col, and what direct convolution shares with
// them. The directives mean: tile x=, c=: points (tiles of the image; of im2col outputs) × channel blocks of the
// register tile of the matrix product; band y=: rows of points (of images of one row: columns) that pass through all
// stages together, where extents vary there may be more than the example has; prefetch w: input channels by which
// weights are asked for ahead; parallel y: over bands, parallel c: over frequencies and channels inside each stage, of
// im2col over tiles of output channels.
#pragma once

#include <optional>
#include <string>

#include "dsl/window_form.h"
#include "dsl/winograd.h"
#include "schedules/families/common.h"

namespace oc {

inline constexpr int64_t kMostTall = 28;  // points of a tile of one channel block: they leave registers to the rest

inline constexpr double kClearlyFaster = 0.92;  // of the cycles of another form or way to share

enum WindowInner : int64_t { kInnerX, kInnerC };
enum WindowPadAt : int64_t { kPadBand, kPadRoot, kPadInline };
enum WindowParallelAxis : int64_t { kParallelY, kParallelC, kParallelX };

[[nodiscard]] const std::vector<std::string>& window_forms();

// Of the weights, which it must have: a transposed convolution's loops see only some of the taps.
[[nodiscard]] bool has_one_tap(const Kernel& kernel);
// Whether the weights of an output's channel block lie in whole lines of cache and in the order in which the form reads
// them, so that they can be asked for ahead; a direct convolution's if its window has one tap.
[[nodiscard]] bool weights_stream(const Kernel& kernel, int64_t form);
// A register tile over so many points: where a block of weights is a line of cache, one channel block beside many
// points, which reads each weight once. With few points, or where they vary and the first level of cache holds the
// weights, what shares operands best. `taps`: that are summed with the input's channels.
[[nodiscard]] RegisterTile streaming_tile(const Kernel& kernel, const Target& target, int64_t points,
                                          int64_t out_blocks, int64_t taps);
// Empty unless the schedule asks for weights ahead that it cannot.
[[nodiscard]] std::string prefetch_reject(const Kernel& kernel, const Schedule& schedule);

// Input channels by which weights are asked for ahead: about 3200 cycles of a tall tile.
[[nodiscard]] int64_t prefetch_distance(const Target& target);

[[nodiscard]] bool is_transposed(const Kernel& kernel);

// The transform of one of Winograd's forms for the kernel's window.
[[nodiscard]] Winograd winograd_of(const Kernel& kernel, int64_t form);

// The points of one image, in rows; in columns where it has one row of outputs. Of Winograd they are tiles: those of a
// dilated window interleave, and as many as the dilation make a row together. Of im2col they are outputs.
struct ProductGrid {
  bool im2col;
  Winograd form;        // of im2col: one output of one tap
  Extents dilations;    // of the tiles
  int64_t frequencies;  // matrix products
  int64_t copies;       // numbers that a product reads for a point and an input channel; copies of im2col
  int64_t taps;         // that are summed with the channels
  bool by_columns;
  int64_t rows, points;  // points: in a row
  int64_t in_blocks, out_blocks;
};
[[nodiscard]] ProductGrid product_grid(const Kernel& kernel, int64_t form);

// Winograd's forms by which the kernel can be computed: with fewer multiplications and errors that pass.
[[nodiscard]] std::vector<int64_t> winograd_forms(const Kernel& kernel);
// All by which it can be computed, kDirect left out; those with fewer outputs at once first.
[[nodiscard]] std::vector<int64_t> product_forms(const Kernel& kernel);
// `form` is not kDirect.
[[nodiscard]] std::string product_reject(const Kernel& kernel, const Schedule& schedule);
[[nodiscard]] Schedule product_fallback(const Kernel& kernel, const Target& target, int threads, int64_t form);
// Iterations of the loops that become tasks.
[[nodiscard]] std::vector<int64_t> product_loops(const Kernel& kernel, const Schedule& schedule);
[[nodiscard]] Packings product_packings(const Kernel& kernel, int64_t form);

// The matrix products, the transforms or copies beside them.
[[nodiscard]] Nest product_nest(const Kernel& kernel, const Target& target, const Schedule& schedule);

// Of the matrix products of Winograd's form with the fewest, the transforms left out; of none, the kernel's.
[[nodiscard]] double winograd_least_flops(const Kernel& kernel);

// Of the weights in the form, of which Winograd's has more than the kernel; padding to whole blocks is left out.
[[nodiscard]] double weight_bytes(const Kernel& kernel, int64_t form);

// Cycles on so many threads by a roofline of arithmetic and memory, to choose between forms only.
[[nodiscard]] double window_cycles(const Kernel& kernel, const Target& target, int threads, const Schedule& schedule);

}  // namespace oc
