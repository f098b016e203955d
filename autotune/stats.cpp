#include "autotune/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace oc {
namespace {

constexpr size_t kMinRounds = 5;
constexpr double kMinGain = 0.03;
constexpr double kErrors = 4;  // a search fights hundreds of duels
// The standard error of a median of n normal values is, for many of them, this many MAD / √n: √(π/2) · 1.4826.
constexpr double kErrorOfMedian = 1.858;

// Of equal values the mean of their ranks.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> result(values.size());
  for (size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (size_t i = first; i < last; ++i) result[order[i]] = static_cast<double>(first + last - 1) / 2;
  }
  return result;
}

// a / b, round by round.
std::vector<double> ratios(std::span<const int64_t> a, std::span<const int64_t> b) {
  std::vector<double> result;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    result.push_back(static_cast<double>(a[i]) / static_cast<double>(std::max<int64_t>(1, b[i])));
  return result;
}

// A median and its standard error.
struct MedianError {
  double median = 0, error = 0;
};

MedianError median_error(const std::vector<double>& values) {
  if (values.empty()) return {};
  return {median(values), kErrorOfMedian * mad(values) / std::sqrt(static_cast<double>(values.size()))};
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double median(std::span<const int64_t> values) {
  return median(std::vector<double>(values.begin(), values.end()));
}

double mad(const std::vector<double>& values) {
  const double center = median(values);
  std::vector<double> deviations;
  for (const double value : values) deviations.push_back(std::abs(value - center));
  return median(std::move(deviations));
}

std::optional<double> spearman(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double middle = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  if (xx <= 0 || yy <= 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

Speedup speedup(const Duel& duel) {
  const MedianError ratio = median_error(ratios(duel.incumbent_ns, duel.candidate_ns));
  return {ratio.median, ratio.median - kErrors * ratio.error, ratio.median + kErrors * ratio.error};
}

bool promotes(const Duel& duel) {
  const std::vector<double> rounds = ratios(duel.candidate_ns, duel.incumbent_ns);
  if (rounds.size() < kMinRounds) return false;
  const MedianError ratio = median_error(rounds);
  return 1 - ratio.median > std::max(kMinGain, kErrors * ratio.error);
}

}  // namespace oc
