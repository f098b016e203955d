// Search strategies on tables of times (table.h): no clock, no compiler, the same on every machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iostream>
#include <unordered_map>

#include "autotune/strategy.h"
#include "base/files.h"
#include "tests/autotune/table.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {
namespace {

constexpr uint64_t kSeeds = 20;
constexpr size_t kBudget = 64;        // trials
constexpr double kGoodEnough = 0.95;  // of the speed of the table's best
constexpr size_t kWorthASearch = 64;  // schedules: a table of fewer is soon looked through, whatever the strategy

struct Landscape {
  std::string name;
  Table table;
  Kernel kernel;
  Space space;
  std::vector<Schedule> starts;
  std::unordered_map<std::string, double> times;  // of what works, by text
  double best = 0;
};

std::vector<Landscape> landscapes() {
  std::vector<Landscape> result;
  for (const auto& entry : std::filesystem::directory_iterator(OC_TABLES)) {
    if (entry.path().extension() != ".tsv") continue;
    Landscape l{.name = entry.path().stem().string(), .table = read_table(entry.path())};
    l.kernel = kernel_of(l.table.workload);
    l.space = table_space(l.table, l.kernel, parse_target(l.table.target));
    for (const Values& start : l.table.starts) l.starts.push_back(l.table.schedule(start));
    for (const TableRow& row : l.table.rows) {
      if (row.status != TrialStatus::ok) continue;
      const auto time = static_cast<double>(row.nanoseconds);
      l.times[print_schedule(l.table.schedule(row.values))] = time;
      l.best = l.best == 0 ? time : std::min(l.best, time);
    }
    result.push_back(std::move(l));
  }
  std::ranges::sort(result, {}, &Landscape::name);
  return result;
}

// After each trial the share of the table's best speed that was reached. Run as tune() does it on one thread: while one
// schedule is timed the next is asked for, to be built.
using Curve = std::vector<double>;

Curve replay(const Landscape& l, const std::string& strategy, const std::vector<Schedule>& starts, uint64_t seed) {
  const auto search = make_strategy(strategy, {l.space, starts, seed});
  std::deque<Schedule> ahead;
  const auto look_ahead = [&] {
    if (!ahead.empty()) return;
    for (Schedule& schedule : search->ask(1)) ahead.push_back(std::move(schedule));
  };
  Curve curve;
  double share = 0;
  for (look_ahead(); !ahead.empty() && (share < 1 || curve.size() < kBudget); look_ahead()) {
    const Schedule schedule = std::move(ahead.front());
    ahead.pop_front();
    look_ahead();
    const auto time = l.times.find(print_schedule(schedule));
    const bool works = time != l.times.end();
    search->tell(schedule, works ? std::optional(time->second) : std::nullopt);
    if (works) share = std::max(share, l.best / time->second);
    curve.push_back(share);
  }
  return curve;
}

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
  [[nodiscard]] double share(size_t trials) const {
    std::vector<double> shares;
    for (const Curve& curve : curves) shares.push_back(curve[std::min(trials, curve.size()) - 1]);
    return median(std::move(shares));
  }
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
  double log_ratios = 0;
  int searched = 0;
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
    if (l.table.rows.size() <= kWorthASearch) continue;
    ++searched;
    log_ratios += std::log(static_cast<double>(random_trials) / static_cast<double>(trials));
  }
  const double ratio = std::exp(log_ratios / searched);
  std::cout << figures
            << fmt::format(
                   "{} seeds; trials of random search for the same share: {:.2f} of evolution's, geomean of {} "
                   "tables of more than {} schedules\n",
                   kSeeds, ratio, searched, kWorthASearch);
  EXPECT_GE(ratio, GetParam() ? 2 : 1.5);
}

}  // namespace
}  // namespace oc::testing
