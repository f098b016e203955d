#include "dsl/ops/conv_winograd.h"

namespace oc {
namespace {

using Halide::Expr;
using Halide::Var;

enum Dim4 : size_t { kN, kC, kY, kX };

// Σ row[k] · term(k), the zeros left out.
Expr combine(const std::vector<double>& row, const std::function<Expr(int)>& term) {
  Expr sum;
  for (size_t k = 0; k < row.size(); ++k) {
    if (row[k] == 0) continue;
    const Expr x = term(static_cast<int>(k));
    const auto factor = static_cast<float>(row[k]);
    if (!sum.defined())
      sum = factor == 1 ? x : x * factor;
    else if (factor == -1)
      sum -= x;
    else
      sum += factor == 1 ? x : x * factor;
  }
  return sum;
}

// matrix[which] applied to the terms; `which` is unrolled by the schedule, so that one of the rows remains.
Expr apply_matrix(const Winograd::Matrix& matrix, const Expr& which, const std::function<Expr(int)>& term) {
  std::vector<Expr> rows;
  for (const std::vector<double>& row : matrix) rows.push_back(combine(row, term));
  return Halide::mux(which, rows);
}

}  // namespace

Expr define_winograd(OpCall& call, const Window& window, const Winograd& form) {
  const Operand& w = call.inputs[1];
  const int in_block = static_cast<int>(call.inputs[0].type.layout.block(1));
  const int out_block = static_cast<int>(call.out.layout.block(1));
  const int m = form.m, n = form.n;
  const int across = static_cast<int>((call.out.shape[kX].extent + m - 1) / m);
  const PaddedInput x = padded_input(call, window, 0, Reach::beyond_output);

  const Var image("image"), f("f"), b("b"), t("t"), k("k"), a("a"), j("j"), i("i"), l("l");
  const Stage& rows = call.stage("rows", {image, b, t, k, a, l}, apply_matrix(form.input, a, [&](int r) {
                                   return x.at(image, b * in_block + l, t / across * m, t % across * m, r, k);
                                 }));
  const Stage& input =
      call.stage("input", {image, f, b, t, l},
                 apply_matrix(form.input, f % n, [&](int r) { return rows.at({image, b, t, r, f / n, l}); }));
  const int64_t blocks = call.inputs[0].padded_extent(kC) / in_block;
  const Stage& acc =
      call.reduce("acc", {image, f, b, t, l}, {blocks, in_block}, 0.0f, [&](const Expr& self, const Index& r) {
        return self + input.at({image, f, r[0], t, r[1]}) * w.at({b * out_block + l, r[0] * in_block + r[1], f});
      });
  const Stage& product = call.stage("product", {image, f, b, t, l}, acc.at({image, f, b, t, l}));
  const Stage& columns =
      call.stage("columns", {image, b, t, k, j, l},
                 apply_matrix(form.output, j, [&](int r) { return product.at({image, r * n + k, b, t, l}); }));
  const Stage& tile =
      call.stage("tile", {image, b, t, j, i, l},
                 apply_matrix(form.output, i, [&](int r) { return columns.at({image, b, t, r, j, l}); }));
  const Index& o = call.index;
  const Expr value =
      tile.at({o[kN], o[kC] / out_block, o[kY] / m * across + o[kX] / m, o[kY] % m, o[kX] % m, o[kC] % out_block});
  return call.has(2) ? value + call.inputs[2].at({o[kC]}) : value;
}

}  // namespace oc
