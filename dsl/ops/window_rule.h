// What convolutions and poolings share: the attributes of a sliding window, its output extents, the padded input.
#pragma once

#include <array>
#include <vector>

#include "graph/op_set.h"
#include "opencompiler/dsl.h"

namespace oc {

// Two spatial dims, y first. pads: top, left, bottom, right.
struct Window {
  Extents kernel, strides, pads, dilations;
};

// strides, pads, dilations (kernel comes from the weights or an attribute of its own).
[[nodiscard]] std::vector<AttrSpec> window_attr_specs();
// UserError when lengths are wrong, strides or dilations below 1, the kernel's extents below 1.
[[nodiscard]] Window window_attrs(const NodeView& node, const std::vector<Dim>& kernel);
// ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1 for y and x; unknown stays unknown; UserError when the window
// is larger than the padded input.
[[nodiscard]] std::array<Dim, 2> window_output(const Shape& x, const Window& window);

// The same of an operand whose extents may vary.
[[nodiscard]] std::array<Halide::Expr, 2> window_output_size(const Operand& x, const Window& window);

// Operand 0 of a window op, extended by `fill` (of integers the nearest value there is) beyond its borders: a stage
// "pad" unless no window leaves the input.
struct PaddedInput {
  Window window;
  Operand source;
  const Stage* stage = nullptr;
  // The element that window position (ky, kx) of output (oy, ox) reads.
  [[nodiscard]] Halide::Expr at(const Halide::Expr& n, const Halide::Expr& c, const Halide::Expr& oy,
                                const Halide::Expr& ox, const Halide::Expr& ky, const Halide::Expr& kx) const;
};
// The input channels that a convolution sums: whole blocks of a blocked input by two reduced axes, block and channel in
// the block; else by one.
struct SummedChannels {
  std::vector<int64_t> extents;  // of the reduced axes
  // The channel at the first of the reduced axes `r`.
  [[nodiscard]] Halide::Expr at(const Index& r) const;
};
[[nodiscard]] SummedChannels summed_channels(const Operand& x, int64_t channels);

// Which outputs are asked for: those there are, or some past the last (tiles that do not divide the output).
enum class Reach : uint8_t { output, beyond_output };
[[nodiscard]] PaddedInput padded_input(OpCall& call, const Window& window, double fill, Reach reach = Reach::output);

}  // namespace oc
