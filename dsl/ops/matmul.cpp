// matmul(a [.., m, k], b [.., k, n]) → [.., m, n], numpy broadcasting over the leading dims (ONNX MatMul; operands of
// rank 1 are reshaped by the importer). {a_perm}, {b_perm}: the operand is read as if transposed, dim i of what is
// multiplied is dim perm[i] of the tensor.
#include <numeric>

#include "base/error.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/permutation.h"
#include "dsl/ops/shape_rules.h"

namespace oc {
namespace {

// Which dim of operand i stands where in the product.
Extents operand_dims(const NodeView& node, size_t i) {
  const size_t rank = node.in(i).shape.size();
  const std::string_view name = i == 0 ? "a_perm" : "b_perm";
  if (node.attrs().contains(name)) return permutation("matmul", node.attrs().integers(name), rank);
  Extents same(rank);
  std::iota(same.begin(), same.end(), 0);
  return same;
}

Shape operand_shape(const NodeView& node, size_t i) {
  return permuted(node.in(i).shape, operand_dims(node, i));
}

std::vector<Type> infer(const NodeView& node) {
  const Shape a = operand_shape(node, 0), b = operand_shape(node, 1);
  if (a.size() < 2 || b.size() < 2)
    user_error("matmul needs operands of rank 2 or more, got {} and {}", a.size(), b.size());
  const Dim& ka = a[a.size() - 1];
  const Dim& kb = b[b.size() - 2];
  if (ka.known() && kb.known() && ka != kb) user_error("matmul: inner extents differ, {} and {}", ka.extent, kb.extent);
  if (node.in(0).dtype != node.in(1).dtype)
    user_error("matmul: operands of dtypes {} and {}", dtype_name(node.in(0).dtype), dtype_name(node.in(1).dtype));
  if (node.in(0).dtype == DType::boolean) user_error("matmul of bool: needs numbers");
  Shape out = broadcast_shapes({a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  out.push_back(a[a.size() - 2]);
  out.push_back(b[b.size() - 1]);
  return {{node.in(0).dtype, out, {}}};
}

std::vector<Axis> axes(const NodeView& node) {
  const Extents out = infer(node)[0].extents();
  std::vector<Axis> result;
  for (size_t i = 0; i + 2 < out.size(); ++i) result.push_back({fmt::format("b{}", i), Role::batch, out[i]});
  result.push_back({"m", Role::m, out[out.size() - 2]});
  result.push_back({"n", Role::n, out[out.size() - 1]});
  result.push_back({"k", Role::k, operand_shape(node, 0).back().extent});
  return result;
}

double flops(const NodeView& node) {
  return 2.0 * static_cast<double>(element_count(infer(node)[0].extents())) *
         static_cast<double>(operand_shape(node, 0).back().extent);
}

// Rows of all batches are one long m when every batch multiplies by the same b.
bool collapsible(const NodeView& node, size_t dim) {
  return node.in(1).shape.size() == 2 && dim + 2 < node.in(0).shape.size() && !node.attrs().contains("a_perm");
}

Index operand_index(const Operand& operand, const Index& out, Halide::Expr row, Halide::Expr column) {
  const size_t rank = operand.rank();
  Index at(rank);
  for (size_t i = 0; i + 2 < rank; ++i) at[i] = operand.extent(i) == 1 ? Halide::Expr(0) : out[out.size() - rank + i];
  at[rank - 2] = std::move(row);
  at[rank - 1] = std::move(column);
  return at;
}

// Operand i in the dims of the product.
Operand operand_of(const OpCall& call, size_t i, const Extents& dims) {
  Type type = call.inputs[i].type;
  type.shape = permuted(type.shape, dims);
  Operand operand{type, [at = call.inputs[i].at, dims](const Index& index) { return at(unpermuted(index, dims)); }};
  for (const int64_t dim : dims) operand.sizes.push_back(call.inputs[i].size(static_cast<size_t>(dim)));
  return operand;
}

// b as a stage, which a schedule may store: a copy of what a tile reads, contiguous.
Operand staged(OpCall& call, const Operand& b) {
  std::vector<Halide::Var> vars;
  for (size_t d = 0; d < b.rank(); ++d) vars.emplace_back(fmt::format("b{}", d));
  const Stage stage = call.stage("b", vars, b.at(Index(vars.begin(), vars.end())));
  return {b.type, [stage](const Index& index) { return stage.at(index); }};
}

// Stages: "b", the operand, and "acc", the sum over k.
Halide::Expr define(OpCall& call) {
  const NodeView node{call.node, {&call.inputs[0].type, &call.inputs[1].type}, {}};
  const Operand a = operand_of(call, 0, operand_dims(node, 0));
  const Operand b = staged(call, operand_of(call, 1, operand_dims(node, 1)));
  const size_t rank = call.index.size();
  const Halide::Expr zero = Halide::Internal::make_zero(widened(a.at(operand_index(a, call.index, 0, 0))).type());
  const Stage& acc = call.reduce(
      "acc", call.vars, std::vector{a.size(a.rank() - 1)}, zero, [&](const Halide::Expr& self, const Index& r) {
        return self + widened(a.at(operand_index(a, call.index, call.index[rank - 2], r[0]))) *
                          widened(b.at(operand_index(b, call.index, r[0], call.index[rank - 1])));
      });
  return acc.at(call.index);
}

OpCase product(Extents a, Extents b, bool weight, Attrs attrs = {}) {
  return {.inputs = {{.shape = std::move(a)}, {.shape = std::move(b), .weight = weight}},
          .attrs = std::move(attrs),
          .out_layout = {}};
}

}  // namespace

const OpInfo& op_matmul() {
  static const OpInfo info = [] {
    OpInfo op;
    op.name = "matmul";
    op.kind = OpKind::anchor;
    op.layout = LayoutRule::plain;
    op.min_inputs = op.max_inputs = 2;
    op.attrs = {{"a_perm", AttrSpec::Type::integers, false}, {"b_perm", AttrSpec::Type::integers, false}};
    op.infer = infer;
    op.collapsible = collapsible;
    op.flops = flops;
    op.family = Family::contraction;
    op.takes_sizes = true;
    op.define = define;
    op.axes = axes;
    for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127}) op.cases.push_back(product({n, n}, {n, n}, n % 2 == 1));
    op.cases.push_back(product({1, 40}, {40, 70}, true));
    op.cases.push_back(product({128, 96}, {96, 64}, true));
    op.cases.push_back(product({3, 17, 20}, {3, 20, 33}, false));
    op.cases.push_back(product({2, 1, 5, 8}, {3, 8, 16}, false));
    op.cases.push_back(product({2, 7, 24}, {24, 48}, true));
    for (int64_t n : {1, 3, 17, 33}) {
      const Extents swapped{1, 0};
      op.cases.push_back(product({n, n}, {n, n}, n % 2 == 0, Attrs{{"b_perm", swapped}}));
      op.cases.push_back(product({100, n}, {100, 33}, n % 2 == 1, Attrs{{"a_perm", swapped}}));
      op.cases.push_back(product({n, 600}, {600, 1}, n % 2 == 1));                      // dot products
      op.cases.push_back(product({1, 30 + n}, {30 + n, 1}, n % 2 == 1));                // … one of a few vectors
      op.cases.push_back(product({n, 600}, {600, 3}, true));                            // … with columns of a constant
      op.cases.push_back(product({std::min<int64_t>(n, 4), 70}, {70, 40 + n}, false));  // a few rows
      op.cases.push_back(product({48 + n, 300}, {300, 64 + n}, false));                 // blocks
    }
    // attention: the heads' rows stand side by side
    op.cases.push_back(product({2, 9, 3, 20}, {2, 33, 3, 20}, false,
                               Attrs{{"a_perm", Extents{0, 2, 1, 3}}, {"b_perm", Extents{0, 2, 3, 1}}}));
    return op;
  }();
  return info;
}

}  // namespace oc
