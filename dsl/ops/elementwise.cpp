#include "dsl/ops/elementwise.h"

namespace oc {

std::vector<Tensor> evaluate_elementwise(const NodeView& node, const Type& out,
                                         const std::function<Scalar(const std::vector<Scalar>&)>& f) {
  Tensor result = make_tensor(out.dtype, out.extents());
  std::vector<Scalar> arguments(node.constants.size());
  for_each_index(result.shape, [&](const Extents& index, int64_t linear) {
    for (size_t i = 0; i < arguments.size(); ++i)
      arguments[i] = load_scalar(*node.constants[i], broadcast_offset(index, node.constants[i]->shape));
    store_scalar(result, linear, f(arguments));
  });
  return {std::move(result)};
}

OpInfo elementwise_op(std::string name, int inputs) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::elementwise;
  op.layout = LayoutRule::same;
  op.min_inputs = op.max_inputs = inputs;
  op.family = Family::elementwise;
  return op;
}

std::vector<OpCase> elementwise_cases(int inputs, double low, double high, DType dtype) {
  std::vector<OpCase> cases;
  for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127}) {
    OpCase c;
    for (int i = 0; i < inputs; ++i) c.inputs.push_back({.dtype = dtype, .shape = {n, n}, .low = low, .high = high});
    cases.push_back(c);
    if (inputs < 2) continue;
    c.inputs[1].shape = {n};
    cases.push_back(c);
  }
  OpCase blocked;
  for (int i = 0; i < inputs; ++i)
    blocked.inputs.push_back({.dtype = dtype, .shape = {1, 21, 5, 7}, .low = low, .high = high, .layout = "aBcd8b"});
  blocked.out_layout = "aBcd8b";
  cases.push_back(blocked);
  return cases;
}

}  // namespace oc
