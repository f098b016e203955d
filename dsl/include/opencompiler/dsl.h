// How an operation is written. One file exports one OpInfo: what the graph must know (OpTraits), the Halide algorithm,
// and test cases. No schedule stands here: schedules are data (schedules/).
//
//   Halide::Expr define_relu(OpCall& call) { return Halide::max(call.in(0), 0.0f); }
//
//   Halide::Expr define_matmul(OpCall& call) {                         // [m, k] × [k, n]
//     const Operand &a = call.inputs[0], &b = call.inputs[1];
//     const auto combine = [&](const Halide::Expr& self, const Index& r) {
//       return self + a.at({call.index[0], r[0]}) * b.at({r[0], call.index[1]});
//     };
//     return call.reduce("acc", call.vars, {a.size(1)}, 0.0f, combine).at(call.index);
//   }
//
// Conventions: an Index is in the order of the shape (ONNX order, outermost first), never in Halide's. Operands are
// addressed by logical index; where the bytes lie (blocked, packed, padded) is not the op's business.
#pragma once

#include <Halide.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "dsl/axis.h"
#include "graph/op_set.h"

namespace oc {

using Index = std::vector<Halide::Expr>;

// A tensor an op reads: an input of the kernel or the result of a fused producer.
struct Operand {
  Type type;                                     // static
  std::function<Halide::Expr(const Index&)> at;  // logical index, rank of `type`, must be in range (see padded_extent)
  std::string transform = {};  // what the schedule's packing made of a constant; `type` is the result's
  // Elements that exist in memory along `dim`: the extent rounded up to the layout's block. Those past the extent are
  // zero.
  [[nodiscard]] int64_t padded_extent(size_t dim) const;
  [[nodiscard]] int64_t extent(size_t dim) const { return type.shape[dim].extent; }
  // Where the kernel's extents vary: by dim, what the extent is when it runs. Empty: as the type says.
  std::vector<Halide::Expr> sizes = {};
  [[nodiscard]] Halide::Expr size(size_t dim) const {
    return sizes.empty() ? Halide::Expr(static_cast<int>(extent(dim))) : sizes[dim];
  }
  [[nodiscard]] size_t rank() const { return type.shape.size(); }
};

// A Func with a place of its own in the schedule.
struct Stage {
  std::string name;  // "acc", "pad", "max", "sum" …: what schedules call it
  Halide::Func func;
  std::vector<Halide::Var> vars;  // of the func, in shape order
  Halide::RDom domain;            // of the update; undefined for a stage without one
  [[nodiscard]] Halide::Expr at(const Index& index) const;
  // The i-th reduced axis, in the order given to OpCall::reduce (outermost first).
  [[nodiscard]] Halide::RVar reduced(size_t i) const;
};

// Tiles of `size` ≤ `extent` positions along dim `dim` of the output. Where they do not divide it, the last one is
// shifted inwards and makes some positions once more.
struct Tiles {
  size_t dim = 0;
  int size = 1;
  Halide::Expr extent;  // of the dim, no less than the size
  [[nodiscard]] Halide::Expr count() const { return (extent + (size - 1)) / size; }
  [[nodiscard]] Halide::Expr start(const Halide::Expr& tile) const;
};

// Extents that are known, for OpCall::reduce.
[[nodiscard]] std::vector<Halide::Expr> known_sizes(const Extents& extents);

struct OpCall {
  const Node& node;
  std::vector<Operand> inputs;    // absent optional inputs have no `at`
  Type out;                       // static
  std::vector<Halide::Var> vars;  // of the output, in shape order
  Index index;                    // the same as expressions
  std::deque<Stage>& stages;      // appended to, producers first; references to elements stay valid
  const KnobValues& knobs;        // of the schedule
  // Of the kernel's output, from an op whose algorithm is one by tiles: along their dims `index` is then
  // tile · size + position in the tile, for this op and those that follow it.
  std::vector<Tiles>& tiles;

  [[nodiscard]] const Attrs& attrs() const { return node.attrs; }
  [[nodiscard]] bool has(size_t i) const { return i < inputs.size() && inputs[i].at != nullptr; }
  // For an op with several algorithms: what the schedule chose, 0 when it says nothing.
  [[nodiscard]] int64_t knob(std::string_view name) const;
  // Input i at the output's index by numpy broadcasting: for elementwise ops.
  [[nodiscard]] Halide::Expr in(size_t i) const;

  // stage(vars) = value(vars): a stage that may be stored (padding, packing, a normalised row).
  const Stage& stage(std::string name, std::vector<Halide::Var> vars, const Halide::Expr& value);
  // stage(vars) = init; stage(vars) = combine(stage(vars), r) over the box `extents` (reduced axes, outermost first).
  const Stage& reduce(std::string name, std::vector<Halide::Var> vars, const std::vector<Halide::Expr>& extents,
                      const Halide::Expr& init,
                      const std::function<Halide::Expr(const Halide::Expr& self, const Index& r)>& combine);
};

// A case for tests and benchmarks: float inputs are filled from a seed within [low, high].
struct OpCase {
  struct In {
    DType dtype = DType::f32;
    Extents shape;
    bool weight = false;        // a constant, so that schedules may pack it
    double low = -1, high = 1;  // inclusive range of values; integers for index inputs
    std::string layout;         // tag, "" = plain
  };
  std::vector<In> inputs;
  Attrs attrs;
  std::string out_layout;
};

struct OpInfo : OpTraits {
  Family family = Family::elementwise;
  // The value of the output at call.index.
  std::function<Halide::Expr(OpCall&)> define;
  // Loops of an anchor or movement op; null: one axis d<i> per output dim.
  std::function<std::vector<Axis>(const NodeView&)> axes;
  // Does `define` ask Operand::size for the extents of activations, so that a kernel may be built before they are
  // known?
  bool takes_sizes = false;
  // Of such an op, whether a kernel for node `a` computes node `b`, whose extents differ and perhaps attributes that
  // follow from them. Null: if attributes are equal.
  std::function<bool(const NodeView& a, const NodeView& b)> alike;
  std::vector<OpCase> cases;
};

// The project's ops (dsl/ops.inc). Add your own to a copy and pass that on.
[[nodiscard]] const OpTable& builtin_ops();
[[nodiscard]] OpSet op_set(const OpTable& ops);
[[nodiscard]] const OpInfo& op_info(const OpTable& ops, std::string_view op);

}  // namespace oc
