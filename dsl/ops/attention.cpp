// attention(q, k, v, mask?) {q_perm, k_perm, v_perm, out_perm, scale, nan_as_zero}:
//   transpose(softmax(Q·Kᵀ·scale + mask)·V, out_perm)  with  Q = transpose(q, q_perm) [.., m, d],
//   K = transpose(k, k_perm) [.., n, d], V = transpose(v, v_perm) [.., n, e], the softmax along n.
// Leading extents of K and V are those of Q or 1; mask broadcasts to [.., m, n]. nan_as_zero = 1: where the softmax is
// NaN, as in a row masked by −∞ throughout, it counts as 0 (scaled_dot_product_attention as torch exports it).
#include <limits>

#include "base/error.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/permutation.h"
#include "dsl/ops/transcendental.h"

namespace oc {
namespace {

using Halide::Expr;
using Halide::Var;

constexpr std::array kPerms{"q_perm", "k_perm", "v_perm"};

// Q, K, V [batch …, rows, columns].
std::array<Shape, 3> logical_shapes(const NodeView& node) {
  std::array<Shape, 3> shapes;
  for (size_t i = 0; i < 3; ++i) {
    const Shape& shape = node.in(i).shape;
    shapes[i] = permuted(shape, permutation("attention", node.attrs().integers(kPerms[i]), shape.size()));
  }
  return shapes;
}

bool differ(const Dim& a, const Dim& b) {
  return a.known() && b.known() && a != b;
}

void check_operands(const NodeView& node, const std::array<Shape, 3>& shapes) {
  require_float(node);
  const auto& [q, k, v] = shapes;
  const size_t rank = q.size();
  if (rank < 2 || k.size() != rank || v.size() != rank)
    user_error("attention: q, k and v have ranks {}, {} and {}; must be equal, 2 or more", rank, k.size(), v.size());
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (node.inputs[i] != nullptr && node.in(i).dtype != node.in(0).dtype)
      user_error("attention: operands of dtypes {} and {}", dtype_name(node.in(0).dtype), dtype_name(node.in(i).dtype));
  if (differ(q[rank - 1], k[rank - 1])) user_error("attention: q and k differ in their last extent");
  if (differ(k[rank - 2], v[rank - 2])) user_error("attention: k and v differ in their number of rows");
  for (size_t d = 0; d + 2 < rank; ++d)
    for (const Shape* shape : {&k, &v})
      if ((*shape)[d] != Dim(1) && differ((*shape)[d], q[d]))
        user_error("attention: leading extents of k and v must be those of q or 1");
}

std::vector<Type> infer(const NodeView& node) {
  const std::array<Shape, 3> shapes = logical_shapes(node);
  check_operands(node, shapes);
  const auto& [q, k, v] = shapes;
  Shape out = q, scores = q;
  out.back() = v.back();
  scores.back() = k[k.size() - 2];
  if (node.inputs.size() > 3 && node.inputs[3] != nullptr && broadcast_shapes(scores, node.in(3).shape) != scores)
    user_error("attention: the mask must broadcast to the scores");
  const Extents perm = permutation("attention", node.attrs().integers("out_perm"), out.size());
  return {{node.in(0).dtype, permuted(out, perm), {}}};
}

// Output dims in their order: "b0" …, "m", "e"; reduced: "n", "d".
std::vector<Axis> axes(const NodeView& node) {
  const auto [q, k, v] = logical_shapes(node);
  const size_t rank = q.size();
  std::vector<Axis> result;
  for (int64_t p : node.attrs().integers("out_perm")) {
    const auto dim = static_cast<size_t>(p);
    if (dim + 1 == rank)
      result.push_back({"e", Role::n, v[dim].extent});
    else if (dim + 2 == rank)
      result.push_back({"m", Role::m, q[dim].extent});
    else
      result.push_back({fmt::format("b{}", dim), Role::batch, q[dim].extent});
  }
  result.push_back({"n", Role::k, k[rank - 2].extent});
  result.push_back({"d", Role::k, k[rank - 1].extent});
  return result;
}

double flops(const NodeView& node) {
  constexpr double kSoftmax = 8;
  const auto [q, k, v] = logical_shapes(node);
  double scores = static_cast<double>(k[k.size() - 2].extent);
  for (size_t d = 0; d + 1 < q.size(); ++d) scores *= static_cast<double>(q[d].extent);
  return scores * (2.0 * static_cast<double>(q.back().extent + v.back().extent) + kSoftmax);
}

struct Attention {
  OpCall& call;
  size_t rank = call.out.shape.size();

  // Operand i at the index of its transposed form; dims of extent 1 broadcast.
  [[nodiscard]] Expr operand(size_t i, const Index& index) const {
    const Operand& operand = call.inputs[i];
    const Extents perm = call.attrs().integers(kPerms[i]);
    Index at = unpermuted(index, perm);
    for (size_t d = 0; d < rank; ++d)
      if (operand.extent(d) == 1) at[d] = 0;
    return widened(operand.at(at));
  }

  // The mask at the index of a score.
  [[nodiscard]] Expr mask(const Index& index) const {
    const Operand& operand = call.inputs[3];
    Index at(operand.rank());
    for (size_t d = 0; d < at.size(); ++d) at[d] = operand.extent(d) == 1 ? Expr(0) : index[rank - operand.rank() + d];
    return widened(operand.at(at));
  }

  // Extent of dim d of the transposed operand.
  [[nodiscard]] Expr size(size_t i, size_t d) const {
    return call.inputs[i].size(static_cast<size_t>(call.attrs().integers(kPerms[i])[d]));
  }

  Expr define();
};

// `batch` with two more.
template <class T, class U, class V>
std::vector<T> with(const std::vector<T>& batch, const U& row, const V& column) {
  std::vector<T> result = batch;
  result.emplace_back(row);
  result.emplace_back(column);
  return result;
}

// Schedules may compute rows past the last, in whole vectors: what comes from memory is read within bounds.
Expr Attention::define() {
  std::vector<Var> batch;
  for (size_t d = 0; d + 2 < rank; ++d) batch.emplace_back(fmt::format("b{}", d));
  const Index at_batch(batch.begin(), batch.end());
  const Var m("m"), n("n"), d("d"), e("e");
  const Expr row = Halide::clamp(m, 0, size(0, rank - 2) - 1);
  const Expr q = operand(0, with(at_batch, row, d));
  const Halide::Type type = q.type();
  const auto number = [&](double value) { return Halide::Internal::make_const(type, value); };
  const Stage& query = call.stage("query", with(batch, m, d), q * number(call.attrs().number("scale", 1)));
  const Stage& product = call.reduce(
      "product", with(batch, m, n), std::vector{size(0, rank - 1)}, number(0), [&](const Expr& self, const Index& r) {
        return self + query.at(with(at_batch, m, r[0])) * operand(1, with(at_batch, n, r[0]));
      });
  Expr score = product.at(with(at_batch, m, n));
  if (call.has(3)) score = score + mask(with(at_batch, row, n));
  const Stage& scores = call.stage("scores", with(batch, m, n), score);
  const std::vector<Expr> keys{size(1, rank - 2)};
  std::vector<Var> row_vars = batch;
  row_vars.push_back(m);
  const Index at_row(row_vars.begin(), row_vars.end());
  // The maximum need not keep NaN: the sum does.
  const Stage& max = call.reduce(
      "max", row_vars, keys, number(-std::numeric_limits<double>::infinity()),
      [&](const Expr& self, const Index& r) { return Halide::max(self, scores.at(with(at_batch, m, r[0]))); });
  const Stage& exp =
      call.stage("exp", with(batch, m, n), exp_of_nonpositive(scores.at(with(at_batch, m, n)) - max.at(at_row)));
  const Stage& sum = call.reduce("sum", row_vars, keys, number(0), [&](const Expr& self, const Index& r) {
    return self + exp.at(with(at_batch, m, r[0]));
  });
  const Stage& acc = call.reduce("acc", with(batch, m, e), keys, number(0), [&](const Expr& self, const Index& r) {
    return self + exp.at(with(at_batch, m, r[0])) * operand(2, with(at_batch, r[0], e));
  });
  const Index at = unpermuted(call.index, call.attrs().integers("out_perm"));  // before the output's transposition
  const Expr total = sum.at(Index(at.begin(), at.end() - 1));
  const Expr value = acc.at(at) / total;
  if (call.attrs().integer("nan_as_zero", 0) == 0) return value;
  return Halide::select(nan_test(total), number(0), value);
}

// Queries, keys and values [.., heads, rows, columns], or with the perm {0, 2, 1, 3} of all four [.., rows, heads,
// columns].
OpCase make_case(Extents q, Extents k, Extents v, Extents mask, const Extents& perm, double range = 1) {
  OpCase c;
  for (Extents* shape : {&q, &k, &v}) c.inputs.push_back({.shape = std::move(*shape), .low = -range, .high = range});
  if (!mask.empty()) c.inputs.push_back({.shape = std::move(mask), .low = -2, .high = 2});
  c.attrs = {{"q_perm", perm}, {"k_perm", perm}, {"v_perm", perm}, {"out_perm", perm}, {"scale", 0.25}};
  return c;
}

}  // namespace

const OpInfo& op_attention() {
  static const OpInfo info = [] {
    OpInfo op;
    op.name = "attention";
    op.kind = OpKind::anchor;
    op.layout = LayoutRule::plain;
    op.min_inputs = 3;
    op.max_inputs = 4;
    op.attrs = {{"scale", AttrSpec::Type::number, false}, {"nan_as_zero", AttrSpec::Type::integer, false}};
    for (const char* name : {"q_perm", "k_perm", "v_perm", "out_perm"})
      op.attrs.push_back({name, AttrSpec::Type::integers, true});
    op.infer = infer;
    op.axes = axes;
    op.flops = flops;
    op.family = Family::attention;
    op.takes_sizes = true;
    op.define = [](OpCall& call) { return Attention{call}.define(); };
    const Extents as_is{0, 1, 2, 3}, heads_inside{0, 2, 1, 3};
    for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127})
      op.cases.push_back(make_case({1, 2, n, n}, {1, 2, n + 1, n}, {1, 2, n + 1, n}, {n, n + 1}, as_is));
    for (int64_t m : {1, 5, 40})
      op.cases.push_back(make_case({2, m, 3, 20}, {2, 37, 3, 20}, {2, 37, 3, 24}, {2, 1, 1, 37}, heads_inside));
    op.cases.push_back(make_case({1, 2, 50, 32}, {1, 1, 70, 32}, {1, 1, 70, 48}, {}, as_is, 3));
    // Values so wide that keys are taken block by block.
    for (int64_t n : {130, 160}) op.cases.push_back(make_case({24, 8}, {n, 8}, {n, 256}, {}, {0, 1}));
    op.cases.push_back(make_case({6, 9}, {10, 9}, {10, 11}, {}, {0, 1}));
    OpCase transposed_keys = make_case({1, 2, 24, 16}, {1, 2, 16, 40}, {1, 2, 40, 16}, {1, 1, 24, 40}, as_is);
    transposed_keys.attrs["k_perm"] = Extents{0, 1, 3, 2};
    op.cases.push_back(transposed_keys);
    return op;
  }();
  return info;
}

}  // namespace oc
