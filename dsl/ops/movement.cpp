#include "dsl/ops/movement.h"

namespace oc {

OpInfo movement_op(std::string name, int min_inputs, int max_inputs) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::movement;
  op.layout = LayoutRule::plain;
  op.reads_once = true;
  op.min_inputs = min_inputs;
  op.max_inputs = max_inputs;
  op.family = Family::movement;
  return op;
}

std::vector<Tensor> evaluate_movement(const NodeView& node, const Type& out,
                                      const std::function<int64_t(const Extents& index)>& source) {
  Tensor result = make_tensor(out.dtype, out.extents());
  for_each_index(result.shape, [&](const Extents& index, int64_t linear) {
    copy_element(*node.constants[0], source(index), result, linear);
  });
  return {std::move(result)};
}

int64_t row_major(std::span<const int64_t> index, std::span<const int64_t> shape) {
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) offset = offset * shape[d] + index[d];
  return offset;
}

}  // namespace oc
