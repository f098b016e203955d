// conv(x [n, c, h, w], weights [o, c/group, kh, kw], bias? [o]) → [n, o, oh, ow]: ONNX Conv on two spatial dims.
#include "base/error.h"
#include "dsl/ops/conv_im2col.h"
#include "dsl/ops/conv_winograd.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/window_rule.h"
#include "dsl/window_form.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

enum Dim4 : size_t { kN, kC, kY, kX };

std::vector<Type> infer(const NodeView& node) {
  const Type& x = node.in(0);
  const Type& w = node.in(1);
  if (x.shape.size() != 4 || w.shape.size() != 4)
    user_error("conv needs x and weights of rank 4, got {} and {}", x.shape.size(), w.shape.size());
  if (x.dtype != w.dtype) user_error("conv: x is {} and weights are {}", dtype_name(x.dtype), dtype_name(w.dtype));
  require_float(node);
  if (x.shape[kC] == Dim(0)) user_error("conv: x has no channels");
  const int64_t group = node.attrs().integer("group", 1);
  const Dim &out = w.shape[0], &per_group = w.shape[1];
  if (group < 1) user_error("conv: group is {}", group);
  if (out.known() && out.extent % group != 0) user_error("conv: {} output channels in {} groups", out.extent, group);
  if (x.shape[kC].known() && per_group.known() && x.shape[kC].extent != per_group.extent * group)
    user_error("conv: x has {} channels, the weights expect {} × {} groups", x.shape[kC].extent, per_group.extent,
               group);
  if (node.inputs.size() > 2 && node.inputs[2] != nullptr) {
    const Shape& bias = node.in(2).shape;
    if (node.in(2).dtype != x.dtype)
      user_error("conv: x is {} and the bias is {}", dtype_name(x.dtype), dtype_name(node.in(2).dtype));
    if (bias.size() != 1 || (bias[0].known() && out.known() && bias[0] != out))
      user_error("conv: the bias must be of shape [{}]", out.extent);
  }
  const Window window = window_attrs(node, {w.shape[2], w.shape[3]});
  const auto spatial = window_output(x.shape, window);
  return {{x.dtype, {x.shape[kN], out, spatial[0], spatial[1]}, {}}};
}

std::vector<Axis> axes(const NodeView& node) {
  const Extents out = infer(node)[0].extents();
  const Extents w = node.in(1).extents();
  return {{"n", Role::batch, out[kN]},   {"c", Role::channel, out[kC]}, {"y", Role::spatial, out[kY]},
          {"x", Role::spatial, out[kX]}, {"ci", Role::k, w[1]},         {"ky", Role::window, w[2]},
          {"kx", Role::window, w[3]}};
}

double flops(const NodeView& node) {
  const Extents w = node.in(1).extents();
  return 2.0 * static_cast<double>(element_count(infer(node)[0].extents())) * static_cast<double>(w[1] * w[2] * w[3]);
}

// A 1×1 convolution does not tell rows from columns.
bool collapsible(const NodeView& node, size_t dim) {
  const Window window = window_attrs(node, {node.in(1).shape[2], node.in(1).shape[3]});
  return dim == kY && window.kernel == Extents{1, 1} && window.strides == Extents{1, 1} &&
         window.pads == Extents{0, 0, 0, 0};
}

Halide::Expr define(OpCall& call) {
  const Operand& w = call.inputs[1];
  if (const std::optional<Winograd> form = find_winograd(w.transform))
    return define_winograd(call, window_attrs({call.node, {}, {}}, {form->y.r, form->x.r}), *form);
  const Window window = window_attrs({call.node, {}, {}}, {w.type.shape[2], w.type.shape[3]});
  if (call.knob(kWindowForm) == kIm2col) return define_im2col(call, window);
  const auto group = static_cast<int>(call.attrs().integer("group", 1));
  const int out_per_group = static_cast<int>(call.out.shape[kC].extent) / group;
  const int in_per_group = static_cast<int>(w.extent(1));
  const PaddedInput x = padded_input(call, window, 0);
  // Blocked input channels are summed padding included where the packed weights hold zeros for it.
  const int64_t padded = call.inputs[0].padded_extent(kC);
  const int64_t ci = group == 1 && w.padded_extent(1) >= padded ? padded : in_per_group;
  const Index& o = call.index;
  const auto weight = [&](const Index& at) { return widened(w.at(at)); };
  const Halide::Expr init =
      call.has(2) ? widened(call.inputs[2].at({o[kC]})) : constant_of(weight(Index(4, Halide::Expr(0))).type(), 0);
  const SummedChannels summed = summed_channels(call.inputs[0], ci);
  std::vector<int64_t> extents = summed.extents;
  extents.insert(extents.end(), window.kernel.begin(), window.kernel.end());
  const Stage& acc =
      call.reduce("acc", call.vars, known_sizes(extents), init, [&](const Halide::Expr& self, const Index& r) {
        const Halide::Expr in_group = in_per_group == 1 ? Halide::Expr(0) : summed.at(r);
        const Halide::Expr channel = group == 1 ? in_group : o[kC] / out_per_group * in_per_group + in_group;
        const Halide::Expr &ky = r[r.size() - 2], &kx = r[r.size() - 1];
        return self + widened(x.at(o[kN], channel, o[kY], o[kX], ky, kx)) * weight({o[kC], in_group, ky, kx});
      });
  return acc.at(o);
}

OpCase make_case(Extents x, Extents w, Attrs attrs, std::string in_layout = {}, std::string out_layout = {}) {
  const int64_t out = w[0];
  OpCase c;
  c.inputs = {{.shape = std::move(x), .layout = std::move(in_layout)},
              {.shape = std::move(w), .weight = true},
              {.shape = {out}, .weight = true}};
  if (const size_t block = out_layout.find('B'); block != std::string::npos)
    c.inputs[2].layout = "A" + out_layout.substr(4, out_layout.size() - 5) + "a";
  c.attrs = std::move(attrs);
  c.out_layout = std::move(out_layout);
  return c;
}

Attrs conv_attrs(int64_t stride, int64_t pad, int64_t dilation = 1, int64_t group = 1) {
  return {{"strides", Extents{stride, stride}},
          {"pads", Extents{pad, pad, pad, pad}},
          {"dilations", Extents{dilation, dilation}},
          {"group", group}};
}

std::vector<OpCase> cases() {
  std::vector<OpCase> list;
  for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33}) {
    list.push_back(make_case({1, n, n, n}, {n, n, 3, 3}, conv_attrs(1, 1), "aBcd8b", "aBcd8b"));
    list.push_back(make_case({1, n, 9, n}, {2 * n, n, 1, 1}, conv_attrs(1, 0), "aBcd16b", "aBcd16b"));
  }
  list.push_back(make_case({1, 32, 3, 17}, {48, 32, 1, 1}, conv_attrs(1, 0), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({2, 16, 7, 33}, {31, 16, 1, 1}, conv_attrs(2, 0), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 3, 33, 31}, {16, 3, 3, 3}, conv_attrs(2, 1), "", "aBcd16b"));
  list.push_back(make_case({2, 3, 17, 17}, {24, 3, 5, 5}, conv_attrs(2, 2), "", "aBcd8b"));
  list.push_back(make_case({1, 24, 13, 15}, {24, 1, 3, 3}, conv_attrs(1, 1, 1, 24), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 40, 15, 13}, {40, 1, 5, 5}, conv_attrs(2, 2, 1, 40), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 17, 7, 33}, {17, 1, 3, 3}, conv_attrs(2, 1, 1, 17), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({2, 8, 3, 31}, {8, 1, 5, 5}, conv_attrs(1, 2, 1, 8), "aBcd8b", "aBcd8b"));
  list.push_back(make_case({1, 16, 9, 127}, {16, 1, 7, 7}, conv_attrs(2, 3, 1, 16), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 16, 14, 14}, {16, 16, 3, 3}, conv_attrs(1, 2, 2), "aBcd8b", "aBcd8b"));
  list.push_back(make_case({1, 12, 10, 10}, {1, 12, 3, 3}, conv_attrs(1, 1), "aBcd8b", ""));
  list.push_back(make_case({1, 8, 9, 9}, {6, 4, 3, 3}, conv_attrs(1, 1, 1, 2)));
  list.push_back(make_case({1, 127, 1, 1}, {31, 127, 1, 1}, conv_attrs(1, 0), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 33, 17, 15}, {33, 1, 3, 3}, conv_attrs(1, 2, 2, 33), "aBcd16b", "aBcd16b"));
  list.push_back(make_case({1, 16, 31, 33}, {16, 1, 5, 5}, conv_attrs(2, 6, 3, 16), "aBcd8b", "aBcd8b"));
  // Weights and bias that the caller gives: nothing pads them as the output is padded.
  for (const int64_t out : {5, 17, 24}) {
    for (const int64_t group : {int64_t{1}, out}) {
      const int64_t in = group == 1 ? 40 : out;
      OpCase c = make_case({1, in, 7, 9}, {out, in / group, 3, 3}, conv_attrs(1, 1, 1, group), "aBcd16b", "aBcd16b");
      c.inputs[1].weight = c.inputs[2].weight = false;
      c.inputs[2].layout = "";
      list.push_back(std::move(c));
    }
  }
  return list;
}

}  // namespace

const OpInfo& op_conv() {
  static const OpInfo info = [] {
    OpInfo op;
    op.name = "conv";
    op.kind = OpKind::anchor;
    op.layout = LayoutRule::converts;
    op.min_inputs = 2;
    op.max_inputs = 3;
    op.attrs = window_attr_specs();
    op.attrs.push_back({"group", AttrSpec::Type::integer, false});
    op.infer = infer;
    op.collapsible = collapsible;
    op.flops = flops;
    op.family = Family::window;
    op.takes_sizes = true;
    op.define = define;
    op.axes = axes;
    op.cases = cases();
    return op;
  }();
  return info;
}

}  // namespace oc
