#include "dsl/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iterator>

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

// F(m, r) of stride 1.
FilterMatrices simple_filter(int m, int r) {
  const auto outputs = static_cast<size_t>(m), taps = static_cast<size_t>(r);
  return r == 1 ? single_tap(outputs) : toom_cook(outputs, taps);
}

// Filters over every step-th tap.
int phases(const MinimalFilter& filter) {
  return filter.up > 1 ? filter.up : std::min(filter.stride, filter.r);
}

// Of the phase with the given first tap; those of a transposed convolution have as many as the longest, some of them 0.
int phase_taps(const MinimalFilter& filter, int first) {
  return filter.up > 1 ? (filter.r + filter.up - 1) / filter.up
                       : (filter.r - first + filter.stride - 1) / filter.stride;
}

// Appends rows whose column k is column `place(k)` of the wide matrix, where there is one.
void append_rows(const Matrix& from, Matrix& to, int columns, const std::function<int(int)>& place) {
  for (const std::vector<double>& row : from) {
    std::vector<double>& wide = to.emplace_back(static_cast<size_t>(columns), 0);
    for (size_t k = 0; k < row.size(); ++k)
      if (const int at = place(static_cast<int>(k)); at < columns) wide[static_cast<size_t>(at)] = row[k];
  }
}

// The phases' products are summed.
FilterMatrices strided(const MinimalFilter& filter) {
  FilterMatrices all{{}, {}, Matrix(static_cast<size_t>(filter.m))};
  for (int phase = 0; phase < phases(filter); ++phase) {
    const FilterMatrices part = simple_filter(filter.m, phase_taps(filter, phase));
    const auto place = [&](int k) { return k * filter.stride + phase; };
    append_rows(part.input, all.input, filter.inputs(), place);
    append_rows(part.weights, all.weights, filter.r, place);
    for (size_t j = 0; j < all.output.size(); ++j) std::ranges::copy(part.output[j], std::back_inserter(all.output[j]));
  }
  return all;
}

// Output up·q + phase is Σ w[first + up·k] · x[q + later − k], with first and later the remainder and quotient of
// phase + shift by `up`: the phases' products are kept apart, and their taps run backwards.
FilterMatrices transposed(const MinimalFilter& filter) {
  const int taps = phase_taps(filter, 0), up = filter.up;
  const FilterMatrices part = simple_filter(filter.m, taps);
  FilterMatrices all{{}, {}, zeros(static_cast<size_t>(filter.outputs()), static_cast<size_t>(filter.products()))};
  for (int phase = 0; phase < up; ++phase) {
    const int first = (phase + filter.shift) % up, later = (phase + filter.shift) / up;
    for (size_t q = 0; q < part.output.size(); ++q)
      std::ranges::copy(part.output[q], all.output[q * static_cast<size_t>(up) + static_cast<size_t>(phase)].begin() +
                                            static_cast<std::ptrdiff_t>(all.input.size()));
    append_rows(part.input, all.input, filter.inputs(), [&](int k) { return k + later; });
    append_rows(part.weights, all.weights, filter.r, [&](int k) { return first + up * (taps - 1 - k); });
  }
  return all;
}

std::optional<MinimalFilter> find_filter(const std::string& name) {
  MinimalFilter f;
  if (std::sscanf(name.c_str(), "F(%d,%d*%d+%d)", &f.m, &f.r, &f.up, &f.shift) != 4) {
    f = {};
    if (std::sscanf(name.c_str(), "F(%d,%d/%d)", &f.m, &f.r, &f.stride) != 3) return std::nullopt;
  }
  const bool sound = std::min({f.m, f.r, f.stride, f.up}) >= 1 && f.shift >= 0;
  if (!sound || f.name() != name) return std::nullopt;
  return f;
}

}  // namespace

int MinimalFilter::inputs() const {
  return up > 1 ? m + phase_taps(*this, 0) - 1 + (shift + up - 1) / up : stride * (m - 1) + r;
}

int MinimalFilter::products() const {
  int sum = 0;
  for (int phase = 0; phase < phases(*this); ++phase) sum += m + phase_taps(*this, phase) - 1;
  return sum;
}

int MinimalFilter::points() const {
  return phase_taps(*this, 0) == 1 ? 1 : m + phase_taps(*this, 0) - 1;
}

std::string MinimalFilter::name() const {
  return up > 1 ? fmt::format("F({},{}*{}+{})", m, r, up, shift) : fmt::format("F({},{}/{})", m, r, stride);
}

FilterMatrices filter_matrices(const MinimalFilter& filter) {
  if (filter.points() > kMostPoints) internal_error("a filter of {} points", filter.points());
  return filter.up > 1 ? transposed(filter) : strided(filter);
}

std::optional<Winograd> find_winograd(std::string_view name) {
  const size_t y_ends = name.find('x');
  if (y_ends == std::string_view::npos) return std::nullopt;
  const auto y = find_filter(std::string(name.substr(0, y_ends)));
  const auto x = find_filter(std::string(name.substr(y_ends + 1)));
  if (!y || !x) return std::nullopt;
  return Winograd{*y, *x};
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
