// Cost models tried on the tables: how they rank workloads they were not taught, and what they save a search.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <unordered_map>

#include "autotune/cost_models/quality.h"
#include "autotune/stats.h"
#include "autotune/strategy.h"
#include "tests/autotune/table.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {
namespace {

constexpr double kWantedSpearman = 0.7;
constexpr int64_t kTrials = 64;
constexpr uint64_t kSeeds = 3;
constexpr size_t kTaught = 300;  // rows of each other table

struct Case {
  std::string name;
  Table table;
  Experience experience;
};

// The complete tables. A target's name says nothing of caches: those of the machine that all were made on.
std::vector<Case> cases() {
  std::vector<Case> result;
  for (const auto& entry : std::filesystem::directory_iterator(OC_TABLES)) {
    if (entry.path().extension() != ".tsv") continue;
    Table table = read_table(entry.path());
    if (table.retimed.empty()) continue;
    Target target = parse_target(table.target);
    target.l1_bytes = 48 << 10;
    target.l2_bytes = 1 << 20;
    target.l3_bytes = 32 << 20;
    Experience experience{kernel_of(table.workload), target, table.threads, table.machine, {}};
    for (const TableRow& row : table.rows)
      experience.trials.emplace_back(table.schedule(row.values), row.status == TrialStatus::ok
                                                                     ? std::optional<double>(row.nanoseconds)
                                                                     : std::nullopt);
    result.push_back({entry.path().stem(), std::move(table), std::move(experience)});
  }
  std::ranges::sort(result, {}, &Case::name);
  return result;
}

double best_of(const Case& c) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [schedule, time] : c.experience.trials) best = std::min(best, time.value_or(best));
  return best;
}

std::string name_of(const std::vector<Case>& all, const std::string& workload) {
  const auto found =
      std::ranges::find(all, workload, [](const Case& c) { return c.experience.kernel.workload.hash(); });
  return found->name;
}

TEST(TablesAndCostModels, AModelRanksWorkloadsThatItNeverSaw) {
  const std::vector<Case> all = cases();
  if (all.size() < 3) GTEST_SKIP() << "no complete tables in " << OC_TABLES;
  std::vector<Experience> experience;
  for (const Case& c : all) experience.push_back(c.experience);
  const std::vector<RankedWorkload> xgboost = rank_held_out("xgboost", experience),
                                    roofline = rank_held_out("roofline", experience);
  for (size_t i = 0; i < xgboost.size(); ++i)
    fmt::print("{:<28} {:>4} rows  xgboost {:5.2f}  roofline {:5.2f}\n", name_of(all, xgboost[i].workload),
               xgboost[i].trials, xgboost[i].spearman, roofline[i].spearman);
  fmt::print("{:<28} {:>4}       xgboost {:5.2f}  roofline {:5.2f}\n", "mean", xgboost.size(), mean_spearman(xgboost),
             mean_spearman(roofline));
  EXPECT_GE(mean_spearman(xgboost), kWantedSpearman);
  EXPECT_GT(mean_spearman(xgboost), mean_spearman(roofline));
}

// Speed of the best schedule found after each trial, as a share of the table's best.
std::vector<double> search(const Case& c, CostModel* model, uint64_t seed) {
  const Experience& known = c.experience;
  std::unordered_map<std::string, std::optional<double>> times;
  for (const auto& [schedule, time] : known.trials) times[print_schedule(schedule)] = time;
  StrategyInputs inputs{table_space(c.table, known.kernel, known.target), {}, seed};
  for (const Values& start : c.table.starts) inputs.starts.push_back(c.table.schedule(start));
  if (model != nullptr)
    inputs.score = [&](std::span<const Schedule> schedules) { return model->predict(known.setting(), schedules); };
  const auto strategy = make_strategy("evolution", std::move(inputs));
  double best = std::numeric_limits<double>::infinity();
  const double wanted = best_of(c);
  std::vector<double> reached;
  for (int64_t trial = 1; trial <= kTrials; ++trial) {
    const std::vector<Schedule> asked = strategy->ask(1);
    if (!asked.empty()) {
      const std::optional<double> time = times.at(print_schedule(asked.front()));
      strategy->tell(asked.front(), time);
      best = std::min(best, time.value_or(best));
      if (model != nullptr) {
        model->learn(known.setting(), known.bench, asked.front(), time);
        if (trial % kTrialsPerTraining == 0) model->train();
      }
    }
    reached.push_back(wanted / best);
  }
  return reached;
}

std::unique_ptr<CostModel> taught_by_others(const std::vector<Case>& all, const Case& held_out) {
  std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  for (const Case& other : all) {
    if (other.name == held_out.name) continue;
    Experience some = other.experience;
    const size_t every = some.trials.size() / kTaught + 1;
    std::vector<std::pair<Schedule, std::optional<double>>> kept;
    for (size_t i = 0; i < some.trials.size(); i += every) kept.push_back(some.trials[i]);
    some.trials = std::move(kept);
    teach(*model, some);
  }
  model->train();
  return model;
}

TEST(TablesAndCostModels, AModelTaughtByOtherWorkloadsSavesTrials) {
  const std::vector<Case> all = cases();
  if (all.size() < 3) GTEST_SKIP() << "no complete tables in " << OC_TABLES;
  constexpr size_t kMoments[] = {8, 16, 32, 64};
  std::map<size_t, std::pair<double, double>> sums;  // alone, guided
  std::vector<double> ends;
  for (const Case& c : all) {
    std::map<size_t, std::pair<std::vector<double>, std::vector<double>>> at;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const std::vector<double> alone = search(c, nullptr, seed);
      const std::vector<double> guided = search(c, taught_by_others(all, c).get(), seed);
      for (const size_t moment : kMoments) {
        at[moment].first.push_back(alone[moment - 1]);
        at[moment].second.push_back(guided[moment - 1]);
      }
    }
    std::string line = fmt::format("{:<28}", c.name);
    for (const size_t moment : kMoments) {
      const double alone = median(at[moment].first), guided = median(at[moment].second);
      line += fmt::format("  {}: {:.2f} -> {:.2f}", moment, alone, guided);
      sums[moment].first += alone / static_cast<double>(all.size());
      sums[moment].second += guided / static_cast<double>(all.size());
    }
    fmt::print("{}\n", line);
    ends.push_back(median(at[kTrials].second));
  }
  for (const auto& [trials, share] : sums)
    fmt::print("after {:>2} trials: {:.3f} alone, {:.3f} guided\n", trials, share.first, share.second);
  EXPECT_GE(median(ends), 0.95);
  EXPECT_GE(sums[16].second, sums[16].first);
}

}  // namespace
}  // namespace oc::testing
