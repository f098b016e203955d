// conv_transpose(x [n, c, h, w], weights [c, o/group, kh, kw], bias? [o]) → [n, o, oh, ow]: ONNX ConvTranspose, two
// spatial dims. Gathered per output: with u = oy + pad, row u receives x[(u − ky·dilation) / stride] for the ky that
// divide; without dilation these are ky = u mod stride + j·stride, so the loop runs over the ⌈kh/stride⌉ taps j only.
#include "base/error.h"
#include "dsl/ops/conv_winograd.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/window_rule.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

enum Dim4 : size_t { kN, kC, kY, kX };

std::vector<Type> infer(const NodeView& node) {
  const Type& x = node.in(0);
  const Type& w = node.in(1);
  if (x.shape.size() != 4 || w.shape.size() != 4)
    user_error("conv_transpose needs x and weights of rank 4, got {} and {}", x.shape.size(), w.shape.size());
  require_float(node);
  if (x.dtype != w.dtype)
    user_error("conv_transpose: x is {} and weights are {}", dtype_name(x.dtype), dtype_name(w.dtype));
  if (node.inputs.size() > 2 && node.inputs[2] != nullptr && node.in(2).dtype != x.dtype)
    user_error("conv_transpose: x is {} and the bias is {}", dtype_name(x.dtype), dtype_name(node.in(2).dtype));
  for (size_t d : {kC, kY, kX})
    if (x.shape[d] == Dim(0)) user_error("conv_transpose: x has no elements in dim {}", d);
  const int64_t group = node.attrs().integer("group", 1);
  if (group < 1) user_error("conv_transpose: group is {}", group);
  if (x.shape[kC].known() && w.shape[0].known() && x.shape[kC] != w.shape[0])
    user_error("conv_transpose: x has {} channels, the weights expect {}", x.shape[kC].extent, w.shape[0].extent);
  if (w.shape[0].known() && w.shape[0].extent % group != 0)
    user_error("conv_transpose: {} channels in {} groups", w.shape[0].extent, group);
  const Window window = window_attrs(node, {w.shape[2], w.shape[3]});
  const std::vector<int64_t> extra = node.attrs().integers("output_padding", Extents{0, 0});
  if (extra.size() != 2) user_error("conv_transpose: output_padding has {} values, needs 2", extra.size());
  Type out{x.dtype, x.shape, {}};
  out.shape[kC] = w.shape[1].known() ? Dim(w.shape[1].extent * group) : Dim();
  for (size_t i = 0; i < 2; ++i) {
    Dim& dim = out.shape[kY + i];
    if (!dim.known()) continue;
    const int64_t reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
    dim = Dim(window.strides[i] * (dim.extent - 1) + extra[i] + reach - window.pads[i] - window.pads[i + 2]);
    if (dim.extent < 0) user_error("conv_transpose: pads are larger than the output");
  }
  return {out};
}

// Taps along spatial axis i that can reach one output.
int64_t taps(const Window& window, size_t i) {
  return window.dilations[i] == 1 ? (window.kernel[i] + window.strides[i] - 1) / window.strides[i] : window.kernel[i];
}

std::vector<Axis> axes(const NodeView& node) {
  const Extents out = infer(node)[0].extents();
  const Extents w = node.in(1).extents();
  const Window window = window_attrs(node, {node.in(1).shape[2], node.in(1).shape[3]});
  return {{"n", Role::batch, out[kN]},
          {"c", Role::channel, out[kC]},
          {"y", Role::spatial, out[kY]},
          {"x", Role::spatial, out[kX]},
          {"ci", Role::k, w[0] / node.attrs().integer("group", 1)},
          {"ky", Role::window, taps(window, 0)},
          {"kx", Role::window, taps(window, 1)}};
}

double flops(const NodeView& node) {
  const Extents x = node.in(0).extents(), w = node.in(1).extents();
  return 2.0 * static_cast<double>(element_count(x)) * static_cast<double>(w[1] * w[2] * w[3]);
}

// What tap `tap` reads for output coordinate `o`: the input coordinate, the weight coordinate, and whether both exist.
struct Tap {
  Halide::Expr input, weight, valid;
};

Tap tap_at(const Window& window, size_t i, const Halide::Expr& o, const Halide::Expr& tap, int64_t input_extent,
           int64_t output_padding) {
  const int stride = static_cast<int>(window.strides[i]), kernel = static_cast<int>(window.kernel[i]);
  const int dilation = static_cast<int>(window.dilations[i]);
  const Halide::Expr u = o + static_cast<int>(window.pads[i]);
  Tap t;
  if (dilation == 1) {
    t.weight = u % stride + tap * stride;
    t.input = u / stride - tap;
    t.valid = Halide::Internal::const_true();
    if (kernel % stride != 0) t.valid = t.weight < kernel;
  } else {
    t.weight = tap;
    t.input = (u - tap * dilation) / stride;
    t.valid = (u - tap * dilation) % stride == 0;
  }
  const bool inside = dilation == 1 && kernel <= stride && window.pads[i] == 0 && output_padding == 0;
  if (!inside) t.valid = t.valid && t.input >= 0 && t.input < static_cast<int>(input_extent);
  t.input = Halide::clamp(t.input, 0, static_cast<int>(input_extent) - 1);
  if (kernel % stride != 0 || dilation != 1) t.weight = Halide::clamp(t.weight, 0, kernel - 1);
  return t;
}

// The filters between two inputs read them as a convolution of stride 1 does. It may begin inside the input (a negative
// pad); how many outputs it has is the transposed convolution's affair, so no pads follow the input.
Window between_inputs(const Window& window) {
  Window between{{}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
  for (size_t i = 0; i < 2; ++i) {
    between.kernel.push_back(taps(window, i));
    between.pads[i] = between.kernel[i] - 1 - window.pads[i] / window.strides[i];
  }
  return between;
}

Halide::Expr define(OpCall& call) {
  if (const std::optional<Winograd> form = find_winograd(call.inputs[1].transform))
    return define_winograd(call, between_inputs(window_attrs({call.node, {}, {}}, {form->y.r, form->x.r})), *form);
  const Operand &x = call.inputs[0], &w = call.inputs[1];
  const Window window = window_attrs({call.node, {}, {}}, {w.type.shape[2], w.type.shape[3]});
  const auto group = static_cast<int>(call.attrs().integer("group", 1));
  const int out_per_group = static_cast<int>(w.extent(1));
  const int in_per_group = static_cast<int>(w.extent(0)) / group;
  const int64_t padded = x.padded_extent(kC);
  const int64_t ci = group == 1 && w.padded_extent(0) >= padded ? padded : in_per_group;
  const Index& o = call.index;
  const Halide::Expr init = call.has(2) ? widened(call.inputs[2].at({o[kC]}))
                                        : constant_of(widened(w.at(Index(4, Halide::Expr(0)))).type(), 0);
  const std::vector<int64_t> extra = call.attrs().integers("output_padding", Extents{0, 0});
  const SummedChannels summed = summed_channels(x, ci);
  std::vector<int64_t> extents = summed.extents;
  extents.insert(extents.end(), {taps(window, 0), taps(window, 1)});
  const Stage& acc =
      call.reduce("acc", call.vars, known_sizes(extents), init, [&](const Halide::Expr& self, const Index& r) {
        const Halide::Expr g = group == 1 ? Halide::Expr(0) : o[kC] / out_per_group;
        const Halide::Expr channel = group == 1 ? summed.at(r) : g * in_per_group + summed.at(r);
        const Tap y = tap_at(window, 0, o[kY], r[r.size() - 2], x.extent(kY), extra[0]),
                  col = tap_at(window, 1, o[kX], r[r.size() - 1], x.extent(kX), extra[1]);
        const Halide::Expr product =
            widened(x.at({o[kN], channel, y.input, col.input})) *
            widened(w.at({channel, group == 1 ? o[kC] : o[kC] % out_per_group, y.weight, col.weight}));
        return self + Halide::select(y.valid && col.valid, product, Halide::Internal::make_zero(product.type()));
      });
  return acc.at(o);
}

OpCase make_case(Extents x, Extents w, int64_t stride, int64_t pad, int64_t group, std::string in, std::string out,
                 std::string bias) {
  OpCase c;
  const int64_t channels = w[1] * group;
  c.inputs = {{.shape = std::move(x), .layout = std::move(in)},
              {.shape = std::move(w), .weight = true},
              {.shape = {channels}, .weight = true, .layout = std::move(bias)}};
  c.attrs = {{"strides", Extents{stride, stride}},
             {"pads", Extents{pad, pad, pad, pad}},
             {"dilations", Extents{1, 1}},
             {"group", group},
             {"output_padding", Extents{0, 0}}};
  c.out_layout = std::move(out);
  return c;
}

}  // namespace

const OpInfo& op_conv_transpose() {
  static const OpInfo info = [] {
    OpInfo op;
    op.name = "conv_transpose";
    op.kind = OpKind::anchor;
    op.layout = LayoutRule::converts;
    op.min_inputs = 2;
    op.max_inputs = 3;
    op.attrs = window_attr_specs();
    op.attrs.push_back({"group", AttrSpec::Type::integer, false});
    op.attrs.push_back({"output_padding", AttrSpec::Type::integers, false});
    op.infer = infer;
    op.flops = flops;
    op.family = Family::window;
    op.define = define;
    op.axes = axes;
    op.cases = {make_case({1, 24, 9, 7}, {24, 24, 2, 2}, 2, 0, 1, "aBcd8b", "aBcd8b", "A8a"),
                make_case({1, 17, 5, 6}, {17, 1, 2, 2}, 2, 0, 1, "aBcd16b", "", ""),
                make_case({1, 3, 7, 7}, {3, 16, 3, 3}, 2, 1, 1, "", "aBcd16b", "A16a"),
                make_case({2, 8, 5, 5}, {8, 3, 4, 4}, 2, 1, 2, "", "", ""),
                make_case({1, 4, 3, 3}, {4, 2, 2, 2}, 2, 0, 1, "", "", "")};
    op.cases.back().attrs["output_padding"] = Extents{1, 1};
    return op;
  }();
  return info;
}

}  // namespace oc
