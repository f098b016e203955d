// The other algorithm of convolutions and transposed ones, whose weights arrive transformed (dsl/winograd.h).
#pragma once

#include "dsl/ops/window_rule.h"
#include "dsl/winograd.h"
#include "opencompiler/dsl.h"

namespace oc {

// Value of the output at call.index, bias included. `window`: how inputs are read, of a transposed convolution by each
// of the filters between two inputs. Input and output are channel-blocked, groups 1; an axis is strided
// or dilated, not both. The outputs of a tile lie as far apart as the window's taps: with dilation d, tiles are
// interleaved in groups of d that cover d·m outputs. Stages, with t = ty · tiles along x + tx, ty and tx a tile's place
// along each axis, f = frequency, b = channel block, l = lane in it, dims outermost first:
//   pad      [n, c, y, x]
//   rows     [n, b, t, k, a, l]  Bᵀ d, column k
//   input    [n, f, b, t, l]     Bᵀ d B
//   acc      [n, f, b, t, l]     Σ over input channels: per f a matrix product
//   product  [n, f, b, t, l]     acc, as a place in memory
//   columns  [n, b, ty, tx, k, j, l]  Aᵀ product, column k
//   tile     [n, b, ty, tx, j, i, l]  Aᵀ product A
[[nodiscard]] Halide::Expr define_winograd(OpCall& call, const Window& window, const Winograd& form);

}  // namespace oc
