#include "tests/autotune/replay.h"

#include <algorithm>
#include <deque>

#include "autotune/stats.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {

std::vector<Landscape> landscapes() {
  std::vector<Landscape> result;
  for (const auto& entry : std::filesystem::directory_iterator(OC_TABLES)) {
    if (entry.path().extension() != ".tsv") continue;
    Landscape l{.name = entry.path().stem().string(), .table = read_table(entry.path())};
    l.kernel = kernel_of(l.table.workload);
    l.target = l.table.built_for();
    l.space = table_space(l.table, l.kernel, l.target);
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

Curve replay(const Landscape& l, const std::string& strategy, const std::vector<Schedule>& starts, uint64_t seed,
             CostModel* model) {
  StrategyInputs inputs{l.space, starts, seed};
  if (model != nullptr)
    inputs.score = [&](std::span<const Schedule> schedules) { return model->predict(l.setting(), schedules); };
  const auto search = make_strategy(strategy, std::move(inputs));
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
    const auto found = l.times.find(print_schedule(schedule));
    const std::optional<double> time = found == l.times.end() ? std::nullopt : std::optional(found->second);
    search->tell(schedule, time);
    if (time) share = std::max(share, l.best / *time);
    curve.push_back(share);
    if (model == nullptr) continue;
    model->learn(l.setting(), l.table.machine, schedule, time);
    if (static_cast<int64_t>(curve.size()) % kTrialsPerTraining == 0) model->train();
  }
  return curve;
}

double share_at(const std::vector<Curve>& curves, size_t trials) {
  std::vector<double> shares;
  for (const Curve& curve : curves) shares.push_back(curve[std::min(trials, curve.size()) - 1]);
  return median(std::move(shares));
}

}  // namespace oc::testing
