// Robust statistics of timings, and the rule by which a candidate replaces the incumbent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace oc {

[[nodiscard]] double median(std::vector<double> values);       // 0 when empty
[[nodiscard]] double median(std::span<const int64_t> values);  // 0 when empty
// Median absolute deviation from the median.
[[nodiscard]] double mad(const std::vector<double>& values);

// Spearman's rank correlation of two equally long lists, equal values sharing their mean rank: 1 when they rank alike,
// -1 when one is the other's reverse. nullopt when one of them has fewer than two different values.
[[nodiscard]] std::optional<double> spearman(std::span<const double> a, std::span<const double> b);

// Rounds of an interleaved run: in each, candidate and incumbent were timed next to each other.
struct Duel {
  std::vector<int64_t> candidate_ns, incumbent_ns;  // per round, of one call
};

// How many times as fast as the incumbent the candidate is: the median of the rounds' ratios and four standard errors
// of it to either side, 1.858·MAD/√rounds each. All 0 without rounds.
struct Speedup {
  double median = 0, low = 0, high = 0;
};
[[nodiscard]] Speedup speedup(const Duel& duel);

// A candidate is promoted when, over the rounds' ratios r = candidate / incumbent, it is faster by more than both 3 %
// and four standard errors of the median, 1.858·MAD(r)/√rounds (docs/decisions/0005-promotion.md). Too few rounds (< 5)
// promote nobody.
[[nodiscard]] bool promotes(const Duel& duel);

}  // namespace oc
