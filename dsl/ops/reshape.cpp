// reshape {shape}: the same elements in row-major order under another shape. A view: no kernel.
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

std::vector<Type> infer(const NodeView& node) {
  const Type out = make_type(node.in(0).dtype, node.attrs().integers("shape"));
  const int64_t count = element_count(out.extents());
  if (node.in(0).is_static() && element_count(node.in(0).extents()) != count)
    user_error("reshape: {} elements cannot become {}", element_count(node.in(0).extents()), count);
  return {out};
}

}  // namespace

const OpInfo& op_reshape() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("reshape", 1, 1);
    op.kind = OpKind::view;
    op.attrs = {{"shape", AttrSpec::Type::integers, true}};
    op.infer = infer;
    op.evaluate = [](const NodeView& node) {
      Tensor out = *node.constants[0];
      out.shape = infer(node)[0].extents();
      return std::vector<Tensor>{std::move(out)};
    };
    return op;
  }();
  return info;
}

}  // namespace oc
