// relayout {to}: the same logical tensor in another memory layout. Its output's type carries the layout.
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {

const OpInfo& op_relayout() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("relayout", 1, 1);
    op.layout = LayoutRule::converts;
    op.attrs = {{"to", AttrSpec::Type::text, true}};
    op.infer = [](const NodeView& node) -> std::vector<Type> {
      static_cast<void>(parse_layout(node.attrs().text("to"), node.in(0).shape.size()));
      return {{node.in(0).dtype, node.in(0).shape, {}}};
    };
    op.define = [](OpCall& call) { return call.in(0); };
    for (int64_t n : {1, 3, 7, 16, 17, 33}) {
      op.cases.push_back(
          {.inputs = {{.shape = {1, n, 5, 9}}}, .attrs = {{"to", std::string("aBcd16b")}}, .out_layout = "aBcd16b"});
      op.cases.push_back({.inputs = {{.shape = {1, n, 5, 9}, .layout = "aBcd8b"}},
                          .attrs = {{"to", std::string("abcd")}},
                          .out_layout = {}});
      op.cases.push_back({.inputs = {{.shape = {1, n, 5, 9}, .layout = "aBcd8b"}},
                          .attrs = {{"to", std::string("aBcd16b")}},
                          .out_layout = "aBcd16b"});
    }
    return op;
  }();
  return info;
}

}  // namespace oc
