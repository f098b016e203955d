// Cost models tried on the tables: how they rank workloads they were not taught, and what they save a search.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "autotune/cost_models/quality.h"
#include "tests/autotune/replay.h"

namespace oc::testing {
namespace {

constexpr double kWantedSpearman = 0.75;
constexpr double kNoise = 0.01;  // of a share of the best speed, mean over the tables
constexpr uint64_t kSeeds = 5;
constexpr size_t kTaught = 300;  // rows of each other table

Experience experience_of(const Landscape& l) {
  Experience result{l.kernel, l.target, l.table.threads, l.table.machine, {}};
  for (const TableRow& row : l.table.rows)
    result.trials.emplace_back(l.table.schedule(row.values),
                               row.status == TrialStatus::ok ? std::optional<double>(row.nanoseconds) : std::nullopt);
  return result;
}

TEST(TablesAndCostModels, AModelRanksWorkloadsThatItNeverSaw) {
  std::vector<Experience> experience;
  std::map<std::string, std::string> names;  // by the workload's id
  for (const Landscape& l : landscapes()) {
    experience.push_back(experience_of(l));
    names[l.kernel.workload.hash()] = l.name;
  }
  const std::vector<RankedWorkload> xgboost = rank_held_out("xgboost", experience),
                                    roofline = rank_held_out("roofline", experience);
  for (size_t i = 0; i < xgboost.size(); ++i)
    fmt::print("{:<28} {:>4} rows  xgboost {:5.2f}  roofline {:5.2f}\n", names.at(xgboost[i].workload),
               xgboost[i].trials, xgboost[i].spearman, roofline[i].spearman);
  fmt::print("{:<28} {:>4}       xgboost {:5.3f}  roofline {:5.3f}\n", "mean", xgboost.size(), mean_spearman(xgboost),
             mean_spearman(roofline));
  EXPECT_GE(mean_spearman(xgboost), kWantedSpearman);
}

std::unique_ptr<CostModel> taught_by_others(const std::vector<Landscape>& all, const Landscape& held_out) {
  std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  for (const Landscape& other : all) {
    if (other.name == held_out.name) continue;
    Experience some = experience_of(other);
    const size_t every = some.trials.size() / kTaught + 1;
    std::vector<std::pair<Schedule, std::optional<double>>> kept;
    for (size_t i = 0; i < some.trials.size(); i += every) kept.push_back(some.trials[i]);
    some.trials = std::move(kept);
    teach(*model, some);
  }
  model->train();
  return model;
}

TEST(TablesAndCostModels, AModelTaughtByOtherWorkloadsGuidesASearch) {
  const std::vector<Landscape> all = landscapes();
  constexpr size_t kMoments[] = {8, 16, 32, kBudget};
  std::map<size_t, std::pair<double, double>> means;  // alone, guided
  for (const Landscape& l : all) {
    std::vector<Curve> alone, guided;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      alone.push_back(replay(l, "evolution", l.starts, seed));
      guided.push_back(replay(l, "evolution", l.starts, seed, taught_by_others(all, l).get()));
    }
    std::string line = fmt::format("{:<28}", l.name);
    for (const size_t moment : kMoments) {
      line += fmt::format("  {}: {:.2f} -> {:.2f}", moment, share_at(alone, moment), share_at(guided, moment));
      means[moment].first += share_at(alone, moment) / static_cast<double>(all.size());
      means[moment].second += share_at(guided, moment) / static_cast<double>(all.size());
    }
    fmt::print("{}\n", line);
    EXPECT_GE(share_at(guided, kBudget), kGoodEnough) << l.name;
  }
  for (const auto& [trials, share] : means)
    fmt::print("after {:>2} trials: {:.3f} alone, {:.3f} guided\n", trials, share.first, share.second);
  EXPECT_GE(means[kBudget].second, means[kBudget].first - kNoise);
}

}  // namespace
}  // namespace oc::testing
