// select(condition, then, otherwise): the whole of one of two tensors of one type (ONNX If). The condition has one
// element. A side may be absent: it is one that must not be chosen, and a library fails when it is; the kernel itself
// gives the other. The planner runs only what the chosen side needs (generators/branches.h).
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

constexpr size_t kThen = 1, kOtherwise = 2;

bool present(const NodeView& node, size_t side) {
  return node.inputs[side] != nullptr;
}

std::vector<Type> infer(const NodeView& node) {
  if (node.inputs.size() != 3)
    user_error("select: takes a condition and two sides, one of which may be absent; it has {} inputs",
               node.inputs.size());
  const Type& condition = node.in(0);
  if (condition.dtype != DType::boolean || !condition.shape.empty())
    user_error("select: the condition must be a scalar of type bool");
  if (!present(node, kThen) && !present(node, kOtherwise)) user_error("select: both sides are absent");
  if (present(node, kThen) && present(node, kOtherwise) && node.in(kThen) != node.in(kOtherwise))
    user_error("select: the sides are of different types");
  const Type& side = node.in(present(node, kThen) ? kThen : kOtherwise);
  return {{side.dtype, side.shape, {}}};
}

Halide::Expr define(OpCall& call) {
  if (!call.has(kThen)) return call.inputs[kOtherwise].at(call.index);
  if (!call.has(kOtherwise)) return call.inputs[kThen].at(call.index);
  return Halide::select(call.inputs[0].at({}), call.inputs[kThen].at(call.index),
                        call.inputs[kOtherwise].at(call.index));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const size_t chosen = node.constants[0]->bytes[0] != std::byte{0} ? kThen : kOtherwise;
  if (!present(node, chosen)) return {};
  return {*node.constants[chosen]};
}

}  // namespace

const OpInfo& op_select() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("select", 1, 3);
    op.reads_once = false;
    op.infer = infer;
    op.takes_sizes = true;
    op.define = define;
    op.evaluate = evaluate;
    for (int64_t n : {1, 3, 17, 33})
      op.cases.push_back({.inputs = {{.dtype = DType::boolean, .shape = {}, .low = 0, .high = 1},
                                     {.shape = {2, n}},
                                     {.shape = {2, n}}},
                          .attrs = {},
                          .out_layout = {}});
    return op;
  }();
  return info;
}

}  // namespace oc
