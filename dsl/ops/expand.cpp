// expand {shape} (ONNX Expand with the result's full shape): numpy broadcasting.
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

std::vector<Type> infer(const NodeView& node) {
  const Extents shape = node.attrs().integers("shape");
  for (int64_t extent : shape)
    if (extent < 0) user_error("expand: extent {}", extent);
  const Type out = make_type(node.in(0).dtype, shape);
  if (broadcast_shapes(node.in(0).shape, out.shape) != out.shape)
    user_error("expand: the input does not broadcast to the shape");
  return {out};
}

}  // namespace

const OpInfo& op_expand() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("expand", 1, 1);
    op.reads_once = false;
    op.attrs = {{"shape", AttrSpec::Type::integers, true}};
    op.infer = infer;
    op.takes_sizes = true;
    op.alike = [](const NodeView&, const NodeView&) { return true; };  // the shape is the output's
    op.define = [](OpCall& call) { return call.in(0); };
    op.evaluate = [](const NodeView& node) {
      return evaluate_movement(node, infer(node)[0],
                               [&](const Extents& index) { return broadcast_offset(index, node.constants[0]->shape); });
    };
    op.cases.push_back({.inputs = {{.shape = {3, 1}}}, .attrs = {{"shape", Extents{2, 3, 17}}}, .out_layout = {}});
    op.cases.push_back({.inputs = {{.shape = {1, 33}}}, .attrs = {{"shape", Extents{7, 33}}}, .out_layout = {}});
    return op;
  }();
  return info;
}

}  // namespace oc
