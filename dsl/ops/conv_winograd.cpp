#include "dsl/ops/conv_winograd.h"

#include <cmath>

namespace oc {
namespace {

using Halide::Expr;
using Halide::Var;

enum Dim4 : size_t { kN, kC, kY, kX };
using Terms = std::function<Expr(int)>;

void add(Expr& sum, double factor, const Expr& x) {
  const Expr scaled = std::abs(factor) == 1 ? x : x * static_cast<float>(std::abs(factor));
  if (!sum.defined())
    sum = factor < 0 ? -scaled : scaled;
  else
    sum = factor < 0 ? sum - scaled : sum + scaled;
}

// Of the points p and −p: rows that differ in the sign of their odd powers only. Both come from one even and one odd
// part, which the compiler then finds in common.
Expr input_row(const std::vector<double>& row, int stride, const Terms& term) {
  Expr parts[2];
  double sign = 0;  // of the odd part's first factor
  for (int k = 0; k < static_cast<int>(row.size()); ++k) {
    const double factor = row[static_cast<size_t>(k)];
    const bool odd = k / stride % 2 != 0;
    if (factor == 0) continue;
    if (odd && sign == 0) sign = factor < 0 ? -1 : 1;
    add(parts[odd], odd ? factor * sign : factor, term(k));
  }
  if (!parts[0].defined()) return sign < 0 ? -parts[1] : parts[1];
  if (parts[1].defined()) add(parts[0], sign, parts[1]);
  return parts[0];
}

// Of the points p and −p: columns that differ in the sign of some rows only.
bool mirrored(const Matrix& matrix, size_t column) {
  bool differs = false;
  for (const std::vector<double>& row : matrix) {
    if (column + 1 >= row.size() || std::abs(row[column]) != std::abs(row[column + 1])) return false;
    differs |= row[column] != row[column + 1];
  }
  return differs;
}

// Products at p and −p are added or subtracted first, for all rows alike.
Expr output_row(const Matrix& matrix, size_t which, const Terms& term) {
  const std::vector<double>& row = matrix[which];
  Expr sum;
  for (size_t k = 0; k < row.size(); ++k) {
    const bool pair = mirrored(matrix, k);
    Expr x = term(static_cast<int>(k));
    const double factor = row[k];
    if (pair) {
      ++k;
      const Expr other = term(static_cast<int>(k));
      x = row[k] == factor ? x + other : x - other;
    }
    if (factor != 0) add(sum, factor, x);
  }
  return sum;
}

// The tiles along one axis.
struct Tiling {
  int m, outputs, dilation;
  Expr count;
  Tiling(const MinimalFilter& filter, int64_t dilation_, const Expr& extent)
      : m(filter.m), outputs(filter.outputs()), dilation(static_cast<int>(dilation_)) {
    const int group = outputs * dilation;
    count = Halide::Internal::simplify((extent + (group - 1)) / group * dilation);
  }
  [[nodiscard]] Expr tile(const Expr& output) const {
    return output / (outputs * dilation) * dilation + output % dilation;
  }
  [[nodiscard]] Expr within(const Expr& output) const { return output / dilation % outputs; }
  // Of each filter's outputs, the first one that the tile has.
  [[nodiscard]] Expr first(const Expr& tile) const { return tile / dilation * (m * dilation) + tile % dilation; }
};

}  // namespace

// Matrices are applied by mux, whose index the schedule unrolls, so that one of the rows remains.
Expr define_winograd(OpCall& call, const Window& window, const Winograd& form) {
  const Operand& w = call.inputs[1];
  const int in_block = static_cast<int>(call.inputs[0].type.layout.block(1));
  const int out_block = static_cast<int>(call.out.layout.block(1));
  const bool transposed = form.y.up > 1 || form.x.up > 1;
  // Extents of what is transposed do not vary.
  const std::array<Expr, 2> out = transposed ? std::array<Expr, 2>{static_cast<int>(call.out.shape[kY].extent),
                                                                   static_cast<int>(call.out.shape[kX].extent)}
                                             : window_output_size(call.inputs[0], window);
  const Tiling down(form.y, window.dilations[0], out[0]);
  const Tiling across(form.x, window.dilations[1], out[1]);
  const FilterMatrices y = filter_matrices(form.y), x = filter_matrices(form.x);
  const int n = form.x.products();
  const PaddedInput in = padded_input(call, window, 0, Reach::beyond_output);
  const auto input_rows = [](const Matrix& matrix, int stride, const Expr& which, const Terms& term) {
    std::vector<Expr> rows;
    for (const std::vector<double>& row : matrix) rows.push_back(input_row(row, stride, term));
    return Halide::mux(which, rows);
  };
  const auto output_rows = [](const Matrix& matrix, const Expr& which, const Terms& term) {
    std::vector<Expr> rows;
    for (size_t row = 0; row < matrix.size(); ++row) rows.push_back(output_row(matrix, row, term));
    return Halide::mux(which, rows);
  };

  const Var image("image"), f("f"), b("b"), t("t"), ty("ty"), tx("tx"), k("k"), a("a"), j("j"), i("i"), l("l");
  const Stage& rows = call.stage("rows", {image, b, t, k, a, l}, input_rows(y.input, form.y.stride, a, [&](int r) {
                                   return in.at(image, b * in_block + l, down.first(t / across.count),
                                                across.first(t % across.count), r, k);
                                 }));
  const Stage& input =
      call.stage("input", {image, f, b, t, l},
                 input_rows(x.input, form.x.stride, f % n, [&](int r) { return rows.at({image, b, t, r, f / n, l}); }));
  const int64_t blocks = call.inputs[0].padded_extent(kC) / in_block;
  const Stage& acc = call.reduce("acc", {image, f, b, t, l}, known_sizes({blocks, in_block}), 0.0f,
                                 [&](const Expr& self, const Index& r) {
                                   Expr from = r[0] * in_block + r[1], to = b * out_block + l;
                                   if (transposed) std::swap(from, to);
                                   return self + input.at({image, f, r[0], t, r[1]}) * w.at({to, from, f});
                                 });
  const Stage& product = call.stage("product", {image, f, b, t, l}, acc.at({image, f, b, t, l}));
  const Stage& columns = call.stage("columns", {image, b, ty, tx, k, j, l}, output_rows(y.output, j, [&](int r) {
                                      return product.at({image, r * n + k, b, ty * across.count + tx, l});
                                    }));
  const Stage& tile =
      call.stage("tile", {image, b, ty, tx, j, i, l},
                 output_rows(x.output, i, [&](int r) { return columns.at({image, b, ty, tx, r, j, l}); }));
  const Index& o = call.index;
  const Expr value = tile.at({o[kN], o[kC] / out_block, down.tile(o[kY]), across.tile(o[kX]), down.within(o[kY]),
                              across.within(o[kX]), o[kC] % out_block});
  return call.has(2) ? value + call.inputs[2].at({o[kC]}) : value;
}

}  // namespace oc
