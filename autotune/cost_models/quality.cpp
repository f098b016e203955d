#include "autotune/cost_models/quality.h"

#include <algorithm>
#include <map>

#include "autotune/stats.h"

namespace oc {
namespace {

constexpr size_t kMostTrainings = 24;

}  // namespace

std::vector<RankedWorkload> rank_held_out(std::string_view model, std::span<const Experience> experience) {
  std::map<std::string, std::vector<const Experience*>> by_workload;  // those that can be ranked
  for (const Experience& group : experience)
    if (group.trials.size() >= kTrialsToRank) by_workload[group.kernel.workload.text].push_back(&group);
  std::vector<RankedWorkload> result;
  const size_t parts = std::min(by_workload.size(), kMostTrainings);
  for (size_t part = 0; part < parts; ++part) {
    std::map<std::string, std::vector<const Experience*>> held_out;
    size_t number = 0;
    for (const auto& entry : by_workload)
      if (number++ % parts == part) held_out.insert(entry);
    const std::unique_ptr<CostModel> trained = make_cost_model(model);
    for (const Experience& group : experience)
      if (!held_out.contains(group.kernel.workload.text)) teach(*trained, group);
    trained->train();
    for (const auto& [text, groups] : held_out) {
      RankedWorkload row{.workload = groups.front()->kernel.workload.hash(), .family = groups.front()->kernel.family};
      double sum = 0, ranked = 0;
      for (const Experience* group : groups) {
        std::vector<Schedule> schedules;
        std::vector<double> speeds;
        for (const auto& [schedule, time] : group->trials) {
          schedules.push_back(schedule);
          speeds.push_back(time ? 1 / *time : 0);
        }
        const std::vector<double> scores = trained->predict(group->setting(), schedules);
        row.trials += schedules.size();
        const std::optional<double> correlation = spearman(scores, speeds);
        sum += correlation.value_or(0);
        ranked += 1;
      }
      row.spearman = sum / ranked;
      result.push_back(row);
    }
  }
  std::ranges::sort(result, {}, [](const RankedWorkload& row) { return std::pair(row.family, row.workload); });
  return result;
}

double mean_spearman(std::span<const RankedWorkload> ranked) {
  double sum = 0;
  for (const RankedWorkload& row : ranked) sum += row.spearman;
  return ranked.empty() ? 0 : sum / static_cast<double>(ranked.size());
}

}  // namespace oc
