// transpose {perm}: output dim i is input dim perm[i] (ONNX Transpose).
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

Extents permutation(const NodeView& node) {
  Extents perm = node.attrs().integers("perm");
  const size_t rank = node.in(0).shape.size();
  std::vector<bool> seen(rank);
  if (perm.size() != rank) user_error("transpose: perm has {} entries for rank {}", perm.size(), rank);
  for (int64_t p : perm) {
    check_axis("transpose", p, rank);
    if (seen[static_cast<size_t>(p)]) user_error("transpose: perm names dim {} twice", p);
    seen[static_cast<size_t>(p)] = true;
  }
  return perm;
}

std::vector<Type> infer(const NodeView& node) {
  Type out{node.in(0).dtype, {}, {}};
  for (int64_t p : permutation(node)) out.shape.push_back(node.in(0).shape[static_cast<size_t>(p)]);
  return {out};
}

template <class T>
std::vector<T> to_input(const std::vector<T>& index, const std::vector<int64_t>& perm) {
  std::vector<T> at(index.size());
  for (size_t i = 0; i < index.size(); ++i) at[static_cast<size_t>(perm[i])] = index[i];
  return at;
}

}  // namespace

const OpInfo& op_transpose() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("transpose", 1, 1);
    op.attrs = {{"perm", AttrSpec::Type::integers, true}};
    op.infer = infer;
    op.define = [](OpCall& call) { return call.inputs[0].at(to_input(call.index, call.attrs().integers("perm"))); };
    op.evaluate = [](const NodeView& node) {
      const Extents perm = permutation(node);
      return evaluate_movement(node, infer(node)[0], [&](const Extents& index) {
        return row_major(to_input(index, perm), node.constants[0]->shape);
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
