// Search strategies on tables of times.
#include "tests/autotune/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/files.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {
namespace {

constexpr uint64_t kSeeds = 20;
constexpr size_t kWorthASearch = 64;  // schedules: a table of fewer is soon looked through, whatever the strategy

struct Replays {
  std::vector<Curve> curves;  // one a seed

  // Trials until a share is reached, the mean over the seeds.
  [[nodiscard]] double mean_trials(double share) const {
    double sum = 0;
    for (const Curve& curve : curves)
      sum += static_cast<double>(std::ranges::lower_bound(curve, share) - curve.begin() + 1);
    return sum / static_cast<double>(curves.size());
  }
  // The median over the seeds.
  [[nodiscard]] double share(size_t trials) const { return share_at(curves, trials); }
  // Until the median is there.
  [[nodiscard]] size_t trials_of_median(double wanted) const {
    size_t trials = 1;
    while (share(trials) < wanted) ++trials;
    return trials;
  }
};

Replays replays(const Landscape& l, const std::string& strategy, const std::vector<Schedule>& starts) {
  Replays result;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) result.curves.push_back(replay(l, strategy, starts, seed));
  return result;
}

TEST(Replay, TablesAreCompleteAndHoldTheirStarts) {
  size_t bytes = 0, workloads = 0;
  for (const auto& entry : std::filesystem::directory_iterator(OC_TABLES)) {
    bytes += entry.file_size();
    if (entry.path().extension() != ".workload") continue;
    ++workloads;
    std::filesystem::path path = entry.path();
    const Table table = read_table(path.replace_extension(".tsv"));
    EXPECT_EQ(table.workload, read_file(entry.path())) << path;
    EXPECT_FALSE(table.retimed.empty()) << path;
    EXPECT_LE(table.rows.size(), 800U) << path;
    EXPECT_EQ(kernel_of(table.workload).family, table.family) << path;
    for (const Values& start : table.starts)
      EXPECT_NE(std::ranges::find(table.rows, start, &TableRow::values), table.rows.end()) << path;
  }
  EXPECT_EQ(workloads, 12U);
  EXPECT_LT(bytes, 1U << 20);
}

// With the formulas' schedules first, as tune() proposes them, and without, as where a formula is of no use: much of
// the budget then goes into finding the basin, in which random draws are as good.
class Search : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Starts, Search, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "FromTheFormulas" : "FromNowhere"; });

TEST_P(Search, EvolutionFindsTheBestSoonAndRandomNeedsManyMoreTrials) {
  double log_ratios = 0, log_ratios_of_all = 0;
  int searched = 0, all = 0;
  std::string figures = fmt::format("{:24} {:>6} {:>8} {:>7} {:>15} {:>15} {:>7} {:>11}\n", "", "of", "formula's",
                                    "within", "trials to 5 %", "to 1 %", "share", "trials to");
  figures += fmt::format("{:24} {:>6} {:>8} {:>7} {:>15} {:>15} {:>7} {:>11}\n", "random / evolution", "", "share",
                         "5 %", "mean", "mean", fmt::format("at {}", kBudget), "that share");
  for (const Landscape& l : landscapes()) {
    const std::vector<Schedule> starts = GetParam() ? l.starts : std::vector<Schedule>();
    const Replays random = replays(l, "random", starts), evolution = replays(l, "evolution", starts);
    const double share = evolution.share(kBudget);
    const size_t random_trials = random.trials_of_median(share), trials = evolution.trials_of_median(share);
    const auto good =
        std::ranges::count_if(l.times, [&](const auto& entry) { return l.best / entry.second >= kGoodEnough; });
    figures += fmt::format("{:24} {:>6} {:>8.3f} {:>7} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.3f} {:>5} {:>5}\n",
                           l.name, l.table.rows.size(), l.best / l.times.at(print_schedule(l.starts.front())), good,
                           random.mean_trials(kGoodEnough), evolution.mean_trials(kGoodEnough),
                           random.mean_trials(0.99), evolution.mean_trials(0.99), share, random_trials, trials);
    EXPECT_GE(share, kGoodEnough) << l.name;
    const double log_ratio = std::log(static_cast<double>(random_trials) / static_cast<double>(trials));
    ++all;
    log_ratios_of_all += log_ratio;
    if (l.table.rows.size() <= kWorthASearch) continue;
    ++searched;
    log_ratios += log_ratio;
  }
  const double ratio = std::exp(log_ratios / searched);
  std::cout << figures
            << fmt::format(
                   "{} seeds; trials of random search for the same share: {:.2f} of evolution's, geomean of {} "
                   "tables of more than {} schedules; {:.2f} of all {}\n",
                   kSeeds, ratio, searched, kWorthASearch, std::exp(log_ratios_of_all / all), all);
  EXPECT_GE(ratio, GetParam() ? 2 : 1.5);
}

}  // namespace
}  // namespace oc::testing
