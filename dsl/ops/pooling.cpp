// max_pool and average_pool over two spatial dims of [n, c, h, w]: ONNX MaxPool, AveragePool. ceil_mode arrives as
// larger end pads; what it added is in `ceil_pads` (bottom, right) and is never counted by an average.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/window_rule.h"

namespace oc {
namespace {

enum Dim4 : size_t { kN, kC, kY, kX };

Window pool_window(const NodeView& node) {
  const std::vector<int64_t> kernel = node.attrs().integers("kernel");
  if (kernel.size() != 2) user_error("'kernel' has {} values, needs 2", kernel.size());
  return window_attrs(node, {Dim(kernel[0]), Dim(kernel[1])});
}

std::vector<Type> infer(const NodeView& node) {
  const Type& x = node.in(0);
  if (x.shape.size() != 4) user_error("pooling needs an input of rank 4, got {}", x.shape.size());
  const auto spatial = window_output(x.shape, pool_window(node));
  return {{x.dtype, {x.shape[kN], x.shape[kC], spatial[0], spatial[1]}, {}}};
}

std::vector<Axis> axes(const NodeView& node) {
  const Extents out = infer(node)[0].extents();
  const Window window = pool_window(node);
  return {
      {"n", Role::batch, out[kN]},   {"c", Role::channel, out[kC]},          {"y", Role::spatial, out[kY]},
      {"x", Role::spatial, out[kX]}, {"ky", Role::window, window.kernel[0]}, {"kx", Role::window, window.kernel[1]}};
}

double flops(const NodeView& node) {
  const Window window = pool_window(node);
  return static_cast<double>(element_count(infer(node)[0].extents())) *
         static_cast<double>(window.kernel[0] * window.kernel[1]);
}

Halide::Expr define_max(OpCall& call) {
  const Window window = pool_window({call.node, {}, {}});
  constexpr double kLowest = -std::numeric_limits<double>::infinity();
  const PaddedInput x = padded_input(call, window, kLowest);
  const Index& o = call.index;
  const auto value_at = [&](const Halide::Expr& ky, const Halide::Expr& kx) {
    return widened(x.at(o[kN], o[kC], o[kY], o[kX], ky, kx));
  };
  const Halide::Type type = value_at(0, 0).type();
  const Stage& acc =
      call.reduce("acc", call.vars, known_sizes(window.kernel), constant_of(type, kLowest),
                  [&](const Halide::Expr& self, const Index& r) -> Halide::Expr {
                    const Halide::Expr value = value_at(r[0], r[1]);
                    if (!type.is_float()) return Halide::max(self, value);
                    return Halide::strict_float(Halide::select(self > value || Halide::is_nan(self), self, value));
                  });
  return acc.at(o);
}

// How many positions of the window count along spatial axis i for output coordinate `o`.
Halide::Expr counted(const Window& window, size_t i, const Halide::Expr& o, const Halide::Expr& extent,
                     bool include_pad, int64_t ceil_pad) {
  const int stride = static_cast<int>(window.strides[i]), dilation = static_cast<int>(window.dilations[i]);
  const int kernel = static_cast<int>(window.kernel[i]), pad = static_cast<int>(window.pads[i]);
  const int low = include_pad ? -pad : 0;
  const Halide::Expr high = extent + static_cast<int>(include_pad ? window.pads[i + 2] - ceil_pad : 0);  // exclusive
  const Halide::Expr start = o * stride - pad;
  // Positions start + j·dilation within [low, high), 0 ≤ j < kernel.
  const Halide::Expr first = Halide::max(0, (low - start + dilation - 1) / dilation);
  const Halide::Expr last = Halide::min(kernel, (high - start + dilation - 1) / dilation);
  return Halide::max(1, last - first);
}

Halide::Expr define_average(OpCall& call) {
  const Window window = pool_window({call.node, {}, {}});
  const PaddedInput x = padded_input(call, window, 0);
  const Index& o = call.index;
  const auto value_at = [&](const Halide::Expr& ky, const Halide::Expr& kx) {
    return widened(x.at(o[kN], o[kC], o[kY], o[kX], ky, kx));
  };
  const Halide::Type type = value_at(0, 0).type();
  const Stage& acc = call.reduce("acc", call.vars, known_sizes(window.kernel), constant_of(type, 0),
                                 [&](const Halide::Expr& self, const Index& r) { return self + value_at(r[0], r[1]); });
  if (std::ranges::all_of(window.pads, [](int64_t pad) { return pad == 0; }))
    return acc.at(o) * constant_of(type, 1.0 / static_cast<double>(window.kernel[0] * window.kernel[1]));
  const bool include = call.attrs().integer("count_include_pad", 0) != 0;
  const std::vector<int64_t> ceil_pads = call.attrs().integers("ceil_pads", Extents{0, 0});
  const Operand& in = call.inputs[0];
  const Halide::Expr count = counted(window, 0, o[kY], in.size(kY), include, ceil_pads[0]) *
                             counted(window, 1, o[kX], in.size(kX), include, ceil_pads[1]);
  return acc.at(o) / Halide::cast(type, count);
}

OpInfo make_pool(std::string name, Halide::Expr (*define)(OpCall&)) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::anchor;
  op.layout = LayoutRule::same;
  op.attrs = window_attr_specs();
  op.attrs.push_back({"kernel", AttrSpec::Type::integers, true});
  op.infer = infer;
  op.flops = flops;
  op.family = Family::window;
  op.takes_sizes = true;
  op.define = define;
  op.axes = axes;
  for (const char* layout : {"", "aBcd8b"}) {
    for (int64_t n : {3, 7, 15, 17, 31, 33}) {
      OpCase c;
      c.inputs = {{.shape = {1, n, n, n + 1}, .layout = layout}};
      c.attrs = {{"kernel", Extents{3, 3}},
                 {"strides", Extents{2, 2}},
                 {"pads", Extents{1, 1, 1, 1}},
                 {"dilations", Extents{1, 1}}};
      c.out_layout = layout;
      op.cases.push_back(c);
      c.attrs["strides"] = Extents{1, 1};
      c.attrs["pads"] = Extents{0, 0, 0, 0};
      c.attrs["kernel"] = Extents{3, 2};
      op.cases.push_back(c);
    }
  }
  return op;
}

}  // namespace

const OpInfo& op_max_pool() {
  static const OpInfo info = make_pool("max_pool", define_max);
  return info;
}

const OpInfo& op_average_pool() {
  static const OpInfo info = [] {
    OpInfo op = make_pool("average_pool", define_average);
    op.infer = [](const NodeView& node) {
      require_float(node);
      return infer(node);
    };
    op.attrs.push_back({"count_include_pad", AttrSpec::Type::integer, false});
    op.attrs.push_back({"ceil_pads", AttrSpec::Type::integers, false});
    return op;
  }();
  return info;
}

}  // namespace oc
