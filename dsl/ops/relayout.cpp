// relayout {to}: the same logical tensor in another memory layout. Its output's type carries the layout.
//
// Between plain and channel-blocked [n, c, y, x], tiles of a channel block × some columns can be transposed in
// registers. An element's address in its tile has log2(block) bits for the channel and log2(columns) for the column;
// interleaving the tile's two halves rotates the bits by one, so after as many steps as the outer index has bits the
// two indices have changed places. A step costs two shuffles for two vectors.
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

using Halide::Expr;
using Halide::Var;

constexpr std::string_view kColumns = "transpose.columns";  // of a tile; 0: element by element

enum Dim4 : size_t { kN, kC, kY, kX };

// Stages "tile" [n, c block, y, x tile, address] as read, "turn1" … [n, c block, y, x tile, address / 2, address % 2].
Expr transposed(OpCall& call) {
  const bool to_blocked = call.inputs[0].type.layout.plain();
  const Type& blocked = to_blocked ? call.out : call.inputs[0].type;
  const int block = static_cast<int>(blocked.layout.block(kC)), columns = static_cast<int>(call.knob(kColumns));
  const int rows = to_blocked ? block : columns, size = block * columns;
  const Tiles tiles = call.tiles.emplace_back(Tiles{kX, columns, call.inputs[0].size(kX)});
  const Var n("n"), c("c"), y("y"), x("x"), a("a"), half("half"), parity("parity");
  const Expr channel = to_blocked ? a / columns : a % block, column = to_blocked ? a % columns : a / block;
  const Operand& in = call.inputs[0];
  // Where tasks are made for other extents, the last may run past the end, where it writes nothing and reads again.
  const auto is_known = [&](size_t dim) { return Halide::Internal::is_const(in.size(dim)); };
  const bool known = is_known(kN) && is_known(kY) && is_known(kX);
  const auto inside = [&](const Var& index, size_t dim) { return known ? Expr(index) : min(index, in.size(dim) - 1); };
  const Stage* last = &call.stage("tile", {n, c, y, x, a},
                                  in.at({inside(n, kN), c * block + channel, inside(y, kY), tiles.start(x) + column}));
  std::function<Expr(const Index&, const Expr&)> at = [last](const Index& tile, const Expr& address) {
    return last->at({tile[kN], tile[kC], tile[kY], tile[kX], address});
  };
  for (int step = 1; 1 << step <= rows; ++step) {
    const Stage& turned = call.stage(fmt::format("turn{}", step), {n, c, y, x, half, parity},
                                     at({n, c, y, x}, half + parity * (size / 2)));
    at = [&turned](const Index& tile, const Expr& address) {
      return turned.at({tile[kN], tile[kC], tile[kY], tile[kX], address / 2, address % 2});
    };
  }
  const Index& o = call.index;
  const Expr c_in = o[kC] % block, x_in = o[kX] % columns;
  return at({o[kN], o[kC] / block, o[kY], o[kX] / columns}, to_blocked ? x_in * block + c_in : c_in * columns + x_in);
}

}  // namespace

const OpInfo& op_relayout() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("relayout", 1, 1);
    op.layout = LayoutRule::converts;
    op.attrs = {{"to", AttrSpec::Type::text, true}};
    op.infer = [](const NodeView& node) -> std::vector<Type> {
      static_cast<void>(parse_layout(node.attrs().text("to"), node.in(0).shape.size()));
      return {{node.in(0).dtype, node.in(0).shape, {}}};
    };
    op.takes_sizes = true;
    op.define = [](OpCall& call) { return call.knob(kColumns) > 0 ? transposed(call) : call.in(0); };
    op.collapsible = [](const NodeView&, size_t) { return true; };  // the layouts say which dims lie side by side
    for (int64_t n : {1, 3, 7, 16, 17, 33}) {
      for (const char* layout : {"aBcd4b", "aBcd8b", "aBcd16b"}) {
        op.cases.push_back(
            {.inputs = {{.shape = {2, n, 4, 12}}}, .attrs = {{"to", std::string(layout)}}, .out_layout = layout});
        op.cases.push_back({.inputs = {{.shape = {2, n, 4, 12}, .layout = layout}},
                            .attrs = {{"to", std::string("abcd")}},
                            .out_layout = {}});
      }
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
