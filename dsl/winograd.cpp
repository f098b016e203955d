#include "dsl/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/error.h"

namespace oc {
namespace {

// In this order they keep the errors of the first few small; their powers and differences are exact.
constexpr std::array<double, kMostPoints - 1> kPoints = {0, 1, -1, 2, -2, 0.5, -0.5};

// p(x) · (x − root), coefficients from x⁰ on.
std::vector<double> times_root(const std::vector<double>& p, double root) {
  std::vector<double> product(p.size() + 1, 0);
  for (size_t i = 0; i < p.size(); ++i) {
    product[i] -= root * p[i];
    product[i + 1] += p[i];
  }
  return product;
}

Matrix zeros(size_t rows, size_t columns) {
  return Matrix(rows, std::vector<double>(columns, 0));
}

// F(m, r) of stride 1: the transposed Toom-Cook multiplication of polynomials at m + r − 2 points and infinity.
FilterMatrices toom_cook(size_t m, size_t r) {
  const size_t n = m + r - 1;
  FilterMatrices f{zeros(n, n), zeros(n, r), zeros(m, n)};
  std::vector<double> all{1};  // Π (x − point)
  for (size_t i = 0; i + 1 < n; ++i) {
    std::vector<double> others{1};
    double scale = 1;
    for (size_t k = 0; k + 1 < n; ++k) {
      if (k == i) continue;
      others = times_root(others, kPoints[k]);
      scale *= kPoints[i] - kPoints[k];
    }
    std::ranges::copy(others, f.input[i].begin());
    double power = 1;  // of the point
    for (size_t k = 0; k < std::max(m, r); ++k, power *= kPoints[i]) {
      if (k < r) f.weights[i][k] = power / scale;
      if (k < m) f.output[k][i] = power;
    }
    all = times_root(all, kPoints[i]);
  }
  f.input[n - 1] = all;
  f.weights[n - 1][r - 1] = f.output[m - 1][n - 1] = 1;
  return f;
}

// One tap: each output is a product.
FilterMatrices single_tap(size_t m) {
  FilterMatrices f{zeros(m, m), Matrix(m, {1}), zeros(m, m)};
  for (size_t i = 0; i < m; ++i) f.input[i][i] = f.output[i][i] = 1;
  return f;
}

// Of the filter over every stride-th tap from `phase` on.
int phase_taps(const MinimalFilter& filter, int phase) {
  return (filter.r - phase + filter.stride - 1) / filter.stride;
}

int phases(const MinimalFilter& filter) {
  return std::min(filter.stride, filter.r);
}

}  // namespace

int MinimalFilter::products() const {
  int sum = 0;
  for (int phase = 0; phase < phases(*this); ++phase) sum += m + phase_taps(*this, phase) - 1;
  return sum;
}

int MinimalFilter::points() const {
  return phase_taps(*this, 0) == 1 ? 1 : m + phase_taps(*this, 0) - 1;
}

FilterMatrices filter_matrices(const MinimalFilter& filter) {
  if (filter.points() > kMostPoints) internal_error("a filter of {} points", filter.points());
  const auto stride = static_cast<size_t>(filter.stride);
  FilterMatrices all{{}, {}, Matrix(static_cast<size_t>(filter.m))};
  for (int phase = 0; phase < phases(filter); ++phase) {
    const auto taps = static_cast<size_t>(phase_taps(filter, phase)), m = static_cast<size_t>(filter.m);
    const FilterMatrices part = taps == 1 ? single_tap(m) : toom_cook(m, taps);
    const auto spread = [&](const Matrix& from, Matrix& to, int columns) {
      for (const std::vector<double>& row : from) {
        std::vector<double>& wide = to.emplace_back(static_cast<size_t>(columns), 0);
        for (size_t k = 0; k < row.size(); ++k) wide[k * stride + static_cast<size_t>(phase)] = row[k];
      }
    };
    spread(part.input, all.input, filter.inputs());
    spread(part.weights, all.weights, filter.r);
    for (size_t j = 0; j < m; ++j)
      all.output[j].insert(all.output[j].end(), part.output[j].begin(), part.output[j].end());
  }
  return all;
}

std::string Winograd::name() const {
  return fmt::format("F({},{}/{})xF({},{}/{})", y.m, y.r, y.stride, x.m, x.r, x.stride);
}

std::optional<Winograd> find_winograd(std::string_view name) {
  Winograd form;
  const std::string text(name);
  std::sscanf(text.c_str(), "F(%d,%d/%d)xF(%d,%d/%d)", &form.y.m, &form.y.r, &form.y.stride, &form.x.m, &form.x.r,
              &form.x.stride);
  if (form.name() != name) return std::nullopt;
  return form;
}

Tensor transform_weights(const Tensor& weights, const Winograd& form) {
  if (weights.dtype != DType::f32 || !weights.layout.plain() || weights.shape.size() != 4 ||
      weights.shape[2] != form.y.r || weights.shape[3] != form.x.r)
    internal_error("only plain f32 weights of its windows can be transformed for {}", form.name());
  const Matrix rows = filter_matrices(form.y).weights, columns = filter_matrices(form.x).weights;
  const auto height = static_cast<size_t>(form.y.r), width = static_cast<size_t>(form.x.r);
  Tensor result = make_tensor(DType::f32, {weights.shape[0], weights.shape[1], form.frequencies()});
  const auto from = weights.as<float>();
  float* to = result.as<float>().data();
  std::vector<double> row(width);  // (G g)[a]
  for (size_t at = 0; at < from.size(); at += height * width) {
    for (const std::vector<double>& a : rows) {
      std::ranges::fill(row, 0);
      for (size_t y = 0; y < height; ++y)
        for (size_t x = 0; x < width; ++x) row[x] += a[y] * static_cast<double>(from[at + y * width + x]);
      for (const std::vector<double>& b : columns) {
        double sum = 0;
        for (size_t x = 0; x < width; ++x) sum += row[x] * b[x];
        *to++ = static_cast<float>(sum);
      }
    }
  }
  return result;
}

}  // namespace oc
