// concat {axis} of n inputs (ONNX Concat).
#include <algorithm>

#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

std::vector<Type> infer(const NodeView& node) {
  const int64_t axis = node.attrs().integer("axis");
  Type out{node.in(0).dtype, node.in(0).shape, {}};
  check_axis("concat", axis, out.shape.size());
  Dim& total = out.shape[static_cast<size_t>(axis)];
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const Type& in = node.in(i);
    if (in.dtype != out.dtype || in.shape.size() != out.shape.size())
      user_error("concat: input {} differs from the first in dtype or rank", i);
    for (size_t d = 0; d < in.shape.size(); ++d)
      if (static_cast<int64_t>(d) != axis && in.shape[d].known() && out.shape[d].known() && in.shape[d] != out.shape[d])
        user_error("concat: input {} has extent {} in dim {}, the first has {}", i, in.shape[d].extent, d,
                   out.shape[d].extent);
    const Dim& part = in.shape[static_cast<size_t>(axis)];
    total = total.known() && part.known() ? Dim(total.extent + part.extent) : Dim();
  }
  return {out};
}

Halide::Expr define(OpCall& call) {
  const auto axis = static_cast<size_t>(call.attrs().integer("axis"));
  std::vector<Halide::Expr> begins{0};
  for (const Operand& input : call.inputs)
    begins.push_back(Halide::Internal::simplify(begins.back() + input.size(axis)));
  Halide::Expr value;
  for (size_t i = call.inputs.size(); i-- > 0;) {
    const Operand& input = call.inputs[i];
    if (input.extent(axis) == 0) continue;
    Index at = call.index;
    // Not taken branches are computed too: keep them inside their tensor.
    at[axis] = Halide::clamp(at[axis] - begins[i], 0, input.size(axis) - 1);
    const Halide::Expr part = input.at(at);
    value = value.defined() ? Halide::select(call.index[axis] >= begins[i + 1], value, part) : part;
  }
  return value;
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Type type = infer(node)[0];
  const auto axis = static_cast<size_t>(node.attrs().integer("axis"));
  Tensor out = make_tensor(type.dtype, type.extents());
  int64_t begin = 0;
  for (const Tensor* part : node.constants) {
    for_each_index(part->shape, [&](const Extents& index, int64_t linear) {
      Extents at = index;
      at[axis] += begin;
      copy_element(*part, linear, out, row_major(at, out.shape));
    });
    begin += part->shape[axis];
  }
  return {std::move(out)};
}

}  // namespace

const OpInfo& op_concat() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("concat", 1, -1);
    op.layout =
        LayoutRule::same;  // on channels only where every part is a multiple of the block; the layout pass sees to it
    op.attrs = {{"axis", AttrSpec::Type::integer, true}};
    op.infer = infer;
    op.takes_sizes = true;
    op.define = define;
    op.evaluate = evaluate;
    op.cases.push_back({.inputs = {{.shape = {3, 5}}, {.shape = {3, 17}}, {.shape = {3, 1}}},
                        .attrs = {{"axis", int64_t{1}}},
                        .out_layout = {}});
    op.cases.push_back(
        {.inputs = {{.shape = {2, 33}}, {.shape = {7, 33}}}, .attrs = {{"axis", int64_t{0}}}, .out_layout = {}});
    op.cases.push_back(
        {.inputs = {{.shape = {1, 16, 5, 7}, .layout = "aBcd8b"}, {.shape = {1, 8, 5, 7}, .layout = "aBcd8b"}},
         .attrs = {{"axis", int64_t{1}}},
         .out_layout = "aBcd8b"});
    return op;
  }();
  return info;
}

}  // namespace oc
