// pad {pads: begin of every dim, then end; mode constant | edge | reflect; value} (ONNX Pad). Negative pads crop. The
// value is finite: an infinity that stands in the code is none to LLVM (graph/workload.cpp).
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "dsl/ops/host_scalar.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

Extents pads_of(const NodeView& node) {
  const Extents pads = node.attrs().integers("pads");
  const Shape& shape = node.in(0).shape;
  if (pads.size() != 2 * shape.size()) user_error("pad: {} pads for rank {}", pads.size(), shape.size());
  const std::string mode = node.attrs().text("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect") user_error("pad: unknown mode '{}'", mode);
  if (!std::isfinite(node.attrs().number("value", 0.0)))
    user_error("pad: the value must be finite; concat takes others");
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t begin = pads[d], end = pads[d + shape.size()];
    if (begin < -kMaxTensorBytes || begin > kMaxTensorBytes || end < -kMaxTensorBytes || end > kMaxTensorBytes)
      user_error("pad: pads of {} and {}", begin, end);
    if (mode == "reflect" && shape[d].known() && (begin >= shape[d].extent || end >= shape[d].extent))
      user_error("pad: reflecting {} and {} over {} elements", begin, end, shape[d].extent);
    if (mode == "edge" && shape[d].extent == 0 && begin + end > 0) user_error("pad: no edge in an empty dim");
  }
  return pads;
}

std::vector<Type> infer(const NodeView& node) {
  const Extents pads = pads_of(node);
  Type out{node.in(0).dtype, node.in(0).shape, {}};
  for (size_t d = 0; d < out.shape.size(); ++d) {
    if (!out.shape[d].known()) continue;
    out.shape[d] = Dim(out.shape[d].extent + pads[d] + pads[d + out.shape.size()]);
    if (out.shape[d].extent < 0) user_error("pad: dim {} would have a negative extent", d);
  }
  return {out};
}

// A dim of one element is not reflected into more.
Halide::Expr reflect(const Halide::Expr& i, const Halide::Expr& extent) {
  const Halide::Expr a = Halide::abs(i);
  return Halide::cast<int>(Halide::min(a, Halide::abs(2 * (extent - 1) - Halide::cast<int>(a))));
}

Halide::Expr define(OpCall& call) {
  const Operand& x = call.inputs[0];
  const auto pads = call.attrs().integers("pads");
  const std::string mode = call.attrs().text("mode", "constant");
  Index at;
  Halide::Expr inside = Halide::Internal::const_true();
  for (size_t d = 0; d < x.rank(); ++d) {
    const Halide::Expr extent = x.size(d);
    Halide::Expr i = call.index[d] - static_cast<int>(pads[d]);
    const bool leaves = pads[d] > 0 || pads[d + x.rank()] > 0;
    if (mode == "reflect" && leaves) i = reflect(i, extent);
    if (mode == "constant" && leaves) inside = inside && i >= 0 && i < extent;
    at.push_back(leaves ? Halide::clamp(i, 0, extent - 1) : i);
  }
  const Halide::Expr value = x.at(at);
  if (mode != "constant") return value;
  const double fill = call.attrs().number("value", 0.0);
  const Halide::Type type = value.type();
  const Halide::Expr filled =
      type.is_bool() ? Halide::Internal::make_bool(fill != 0) : Halide::Internal::make_const(type, fill);
  return Halide::select(inside, value, filled);
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Extents pads = pads_of(node);
  const Type type = infer(node)[0];
  const std::string mode = node.attrs().text("mode", "constant");
  const Tensor& in = *node.constants[0];
  Tensor out = make_tensor(type.dtype, type.extents());
  for_each_index(out.shape, [&](const Extents& index, int64_t linear) {
    Extents at = index;
    bool inside = true;
    for (size_t d = 0; d < at.size(); ++d) {
      at[d] -= pads[d];
      inside &= at[d] >= 0 && at[d] < in.shape[d];
      if (mode == "edge") at[d] = std::clamp<int64_t>(at[d], 0, in.shape[d] - 1);
      if (mode == "reflect" && at[d] < 0) at[d] = -at[d];
      if (mode == "reflect" && at[d] >= in.shape[d]) at[d] = 2 * (in.shape[d] - 1) - at[d];
    }
    if (inside || mode != "constant") {
      copy_element(in, row_major(at, in.shape), out, linear);
    } else {
      store_scalar(out, linear, {true, 0, node.attrs().number("value", 0.0)});
    }
  });
  return {std::move(out)};
}

}  // namespace

const OpInfo& op_pad() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("pad", 1, 1);
    op.attrs = {{"pads", AttrSpec::Type::integers, true},
                {"mode", AttrSpec::Type::text, false},
                {"value", AttrSpec::Type::number, false}};
    op.infer = infer;
    op.takes_sizes = true;
    op.define = define;
    op.evaluate = evaluate;
    for (const char* mode : {"constant", "edge", "reflect"})
      for (int64_t n : {3, 7, 15, 33})
        op.cases.push_back({.inputs = {{.shape = {n, n + 1}}},
                            .attrs = {{"pads", Extents{1, 2, 0, 2}}, {"mode", std::string(mode)}, {"value", 0.5}},
                            .out_layout = {}});
    return op;
  }();
  return info;
}

}  // namespace oc
