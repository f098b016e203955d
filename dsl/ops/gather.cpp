// gather(x, indices) {axis} (ONNX Gather): negative indices count from the end; an index out of range is clamped, so
// that no run-time value reads outside x.
#include <algorithm>

#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

std::vector<Type> infer(const NodeView& node) {
  const int64_t axis = node.attrs().integer("axis", 0);
  const Shape &x = node.in(0).shape, &indices = node.in(1).shape;
  check_axis("gather", axis, x.size());
  if (node.in(1).dtype != DType::i64 && node.in(1).dtype != DType::i32)
    user_error("gather: indices are {}, must be i32 or i64", dtype_name(node.in(1).dtype));
  const auto present = [](const Dim& dim) { return dim.known() && dim.extent > 0; };
  if (x[static_cast<size_t>(axis)] == Dim(0) && std::ranges::all_of(indices, present))
    user_error("gather: indices into dim {}, which has no elements", axis);
  Type out{node.in(0).dtype, {}, {}};
  out.shape.insert(out.shape.end(), x.begin(), x.begin() + axis);
  out.shape.insert(out.shape.end(), indices.begin(), indices.end());
  out.shape.insert(out.shape.end(), x.begin() + axis + 1, x.end());
  return {out};
}

Halide::Expr define(OpCall& call) {
  const Operand &x = call.inputs[0], &indices = call.inputs[1];
  const auto axis = static_cast<std::ptrdiff_t>(call.attrs().integer("axis", 0));
  const auto rank = static_cast<std::ptrdiff_t>(indices.rank());
  const Halide::Expr extent = x.size(static_cast<size_t>(axis));
  const auto begin = call.index.begin();
  const Halide::Expr raw = indices.at(Index(begin + axis, begin + axis + rank));
  const Halide::Expr wrapped = Halide::select(raw < 0, raw + Halide::cast(raw.type(), extent), raw);
  const Halide::Expr zero = Halide::Internal::make_zero(raw.type());
  const Halide::Expr last = Halide::cast(raw.type(), extent - 1);
  Index at(begin, begin + axis);
  at.push_back(Halide::unsafe_promise_clamped(Halide::cast<int>(Halide::clamp(wrapped, zero, last)), 0, extent - 1));
  at.insert(at.end(), begin + axis + rank, call.index.end());
  return x.at(at);
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Type type = infer(node)[0];
  const Tensor& x = *node.constants[0];
  const std::vector<int64_t> indices = to_int64(*node.constants[1]);
  const auto axis = static_cast<std::ptrdiff_t>(node.attrs().integer("axis", 0));
  const auto rank = static_cast<std::ptrdiff_t>(node.constants[1]->shape.size());
  const int64_t extent = x.shape[static_cast<size_t>(axis)];
  return evaluate_movement(node, type, [&](const Extents& index) {
    const Extents which(index.begin() + axis, index.begin() + axis + rank);
    int64_t i = indices[static_cast<size_t>(row_major(which, node.constants[1]->shape))];
    if (i < -extent || i >= extent) user_error("gather: index {} of a dim of {}", i, extent);
    if (i < 0) i += extent;
    Extents at(index.begin(), index.begin() + axis);
    at.push_back(i);
    at.insert(at.end(), index.begin() + axis + rank, index.end());
    return row_major(at, x.shape);
  });
}

}  // namespace

const OpInfo& op_gather() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("gather", 2, 2);
    op.attrs = {{"axis", AttrSpec::Type::integer, false}};
    op.infer = infer;
    op.takes_sizes = true;
    op.define = define;
    op.evaluate = evaluate;
    for (int64_t n : {1, 3, 17, 33}) {
      op.cases.push_back(
          {.inputs = {{.shape = {11, n}}, {.dtype = DType::i64, .shape = {2, 5}, .low = -11, .high = 10}},
           .attrs = {{"axis", int64_t{0}}},
           .out_layout = {}});
      op.cases.push_back({.inputs = {{.shape = {n, 11}}, {.dtype = DType::i32, .shape = {4}, .low = -11, .high = 10}},
                          .attrs = {{"axis", int64_t{1}}},
                          .out_layout = {}});
    }
    return op;
  }();
  return info;
}

}  // namespace oc
