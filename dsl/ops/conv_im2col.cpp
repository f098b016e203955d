#include "dsl/ops/conv_im2col.h"

#include "dsl/im2col.h"

namespace oc {
namespace {

enum Dim4 : size_t { kN, kC, kY, kX };

}  // namespace

Halide::Expr define_im2col(OpCall& call, const Window& window) {
  using Halide::Expr;
  const Operand& w = call.inputs[1];
  const int in_block = static_cast<int>(call.inputs[0].type.layout.block(1));
  const int out_block = static_cast<int>(call.out.layout.block(1));
  const int64_t out_rows = call.out.shape[kY].extent;
  const Expr width = window_output_size(call.inputs[0], window)[1];
  const Im2col form = im2col(window.kernel[0], window.kernel[1], window.strides[0], window.dilations[0], out_rows);
  const int phases = static_cast<int>(form.phases), stride = static_cast<int>(form.stride);
  Window copied = window;  // whose rows are phases
  copied.dilations[0] = form.row_step;
  const PaddedInput in = padded_input(call, copied, 0, Reach::beyond_output);

  const Halide::Var image("image"), f("f"), b("b"), t("t"), l("l");
  const Expr y = out_rows == 1 ? Expr(0) : t / width, x = out_rows == 1 ? Expr(t) : t % width;
  const Stage& input =
      call.stage("input", {image, f, b, t, l}, in.at(image, b * in_block + l, y, x, f % phases, f / phases));
  const int64_t blocks = call.inputs[0].padded_extent(kC) / in_block;
  const Stage& acc = call.reduce("acc", {image, f, b, t, l}, known_sizes({form.kx, form.ky, blocks, in_block}), 0.0f,
                                 [&](const Expr& self, const Index& r) {
                                   const Expr &kx = r[0], &ky = r[1], row = ky * static_cast<int>(form.dilation);
                                   const Expr phase = form.one_each ? ky : row % stride,
                                              lag = form.one_each ? Expr(0) : row / stride;
                                   return self + input.at({image, kx * phases + phase, r[2], t + lag * width, r[3]}) *
                                                     w.at({b * out_block + l, r[2] * in_block + r[3], ky, kx});
                                 });
  const Stage& product = call.stage("product", {image, f, b, t, l}, acc.at({image, f, b, t, l}));
  const Index& o = call.index;
  const Expr value = product.at({o[kN], 0, o[kC] / out_block, o[kY] * width + o[kX], o[kC] % out_block});
  return call.has(2) ? value + call.inputs[2].at({o[kC]}) : value;
}

}  // namespace oc
