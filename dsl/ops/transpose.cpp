// transpose {perm}: output dim i is input dim perm[i] (ONNX Transpose).
#include "dsl/ops/movement.h"
#include "dsl/ops/permutation.h"

namespace oc {
namespace {

Extents perm_of(const NodeView& node) {
  return permutation("transpose", node.attrs().integers("perm"), node.in(0).shape.size());
}

std::vector<Type> infer(const NodeView& node) {
  return {{node.in(0).dtype, permuted(node.in(0).shape, perm_of(node)), {}}};
}

}  // namespace

const OpInfo& op_transpose() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("transpose", 1, 1);
    op.attrs = {{"perm", AttrSpec::Type::integers, true}};
    op.infer = infer;
    op.takes_sizes = true;
    op.define = [](OpCall& call) { return call.inputs[0].at(unpermuted(call.index, call.attrs().integers("perm"))); };
    op.evaluate = [](const NodeView& node) {
      const Extents perm = perm_of(node);
      return evaluate_movement(node, infer(node)[0], [&](const Extents& index) {
        return row_major(unpermuted(index, perm), node.constants[0]->shape);
      });
    };
    for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127})
      op.cases.push_back({.inputs = {{.shape = {n, n + 2}}}, .attrs = {{"perm", Extents{1, 0}}}, .out_layout = {}});
    op.cases.push_back(
        {.inputs = {{.shape = {2, 9, 3, 20}}}, .attrs = {{"perm", Extents{0, 2, 1, 3}}}, .out_layout = {}});
    op.cases.push_back(
        {.inputs = {{.shape = {2, 9, 3, 20}}}, .attrs = {{"perm", Extents{0, 2, 3, 1}}}, .out_layout = {}});
    return op;
  }();
  return info;
}

}  // namespace oc
