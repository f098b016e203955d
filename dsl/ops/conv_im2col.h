// Convolution as one matrix product for each block of output channels.
#pragma once

#include "dsl/ops/window_rule.h"
#include "opencompiler/dsl.h"

namespace oc {

// Value of the output at call.index, bias included. Input and output are channel-blocked, groups 1. Stages, with t a
// point of the image and f a copy (dsl/im2col.h), dims outermost first:
//   pad      [n, c, y, x]
//   input    [n, f, b, t, l]  the element that copy f has for point t: channel block b, lane l in it
//   acc      [n, 0, b, t, l]  Σ over columns of the window, its rows, input channel blocks and channels in them
//   product  [n, 0, b, t, l]  acc, as a place in memory
[[nodiscard]] Halide::Expr define_im2col(OpCall& call, const Window& window);

}  // namespace oc
