#include "distance.h"

namespace {

std::vector<oc::Type> infer(const oc::NodeView& node) {
  const oc::Shape &a = node.in(0).shape, &b = node.in(1).shape;
  if (a.size() != 2 || b.size() != 2 || a[1] != b[0]) throw oc::UserError("distance needs shapes m×k and k×n");
  return {{node.in(0).dtype, {a[0], b[1]}, {}}};
}

std::vector<oc::Axis> axes(const oc::NodeView& node) {
  const oc::Shape &a = node.in(0).shape, &b = node.in(1).shape;
  return {{"m", oc::Role::m, a[0].extent}, {"n", oc::Role::n, b[1].extent}, {"k", oc::Role::k, a[1].extent}};
}

Halide::Expr define(oc::OpCall& call) {
  const oc::Operand &a = call.inputs[0], &b = call.inputs[1];
  const oc::Stage& acc =
      call.reduce("acc", call.vars, {a.size(1)}, 0.0f, [&](const Halide::Expr& self, const oc::Index& r) {
        const Halide::Expr difference = a.at({call.index[0], r[0]}) - b.at({r[0], call.index[1]});
        return self + difference * difference;
      });
  return acc.at(call.index);
}

}  // namespace

const oc::OpInfo& op_distance() {
  static const oc::OpInfo info = [] {
    oc::OpInfo op;
    op.name = "distance";
    op.kind = oc::OpKind::anchor;
    op.layout = oc::LayoutRule::plain;
    op.min_inputs = op.max_inputs = 2;
    op.infer = infer;
    op.family = oc::Family::contraction;
    op.axes = axes;
    op.define = define;
    return op;
  }();
  return info;
}
