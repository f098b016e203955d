#include "autotune/cost_models/experience.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace oc {
namespace {

constexpr size_t kMostTrials = 5000;
constexpr size_t kMostOfGroup = 400;  // of one workload; its latest

// What the trial's code was built for. Caches are not part of a target's name but of the machine's description.
Target target_of(const Key& key, const std::string& description) {
  Target target = parse_target(key.features);
  const auto json = nlohmann::json::parse(description, nullptr, false);
  const auto read = [&](const char* name, int64_t& bytes) {
    if (!json.is_object() || !json.contains(name) || !json[name].is_number_integer()) return;
    if (const auto stated = json[name].get<int64_t>(); stated > 0) bytes = stated;
  };
  read("l1_bytes", target.l1_bytes);
  read("l2_bytes", target.l2_bytes);
  read("l3_bytes", target.l3_bytes);
  return target;
}

std::optional<std::pair<Schedule, std::optional<double>>> read_trial(const Trial& trial, const Experience& group) {
  try {
    Schedule schedule = parse_schedule(trial.schedule);
    if (!why_illegal(group.kernel, group.target, schedule).empty()) return std::nullopt;
    std::optional<double> time;
    if (trial.status == TrialStatus::ok) time = static_cast<double>(median_ns(trial.samples_ns));
    return std::pair(settled(group.kernel, group.target, std::move(schedule)), time);
  } catch (const UserError&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<Experience> read_experience(const Database& database, const OpTable& ops) {
  std::map<std::string, std::string> descriptions;
  for (const MachineRow& row : database.machines()) descriptions[row.hash] = row.description;
  std::vector<Experience> result;
  for (const WorkloadRow& row : database.workloads()) {
    try {
      const Kernel kernel = analyse({row.text}, ops);
      for (const Key& key : database.keys_of(row.text)) {
        Experience group{kernel, target_of(key, descriptions[key.machine]), key.threads, key.machine, {}};
        for (const Trial& trial : database.trials_of(key))
          if (auto known = read_trial(trial, group)) group.trials.push_back(std::move(*known));
        if (group.trials.size() >= 2) result.push_back(std::move(group));
      }
    } catch (const UserError&) {  // of ops or targets that this build does not know
      continue;
    }
  }
  return result;
}

void teach(CostModel& model, const Experience& experience) {
  for (const auto& [schedule, time] : experience.trials)
    model.learn(experience.setting(), experience.machine, schedule, time);
}

void pretrain(CostModel& model, std::span<const Database* const> databases, const OpTable& ops, const Target& target,
              const std::string& machine) {
  std::vector<Experience> all;
  for (const Database* database : databases)
    std::ranges::move(read_experience(*database, ops), std::back_inserter(all));
  std::erase_if(all, [&](const Experience& e) { return e.target.arch != target.arch; });
  std::ranges::stable_partition(
      all, [&](const Experience& e) { return e.machine == machine && e.target.name() == target.name(); });
  size_t taught = 0;
  for (Experience& group : all) {
    if (group.trials.size() > kMostOfGroup)
      group.trials.erase(group.trials.begin(), group.trials.end() - static_cast<std::ptrdiff_t>(kMostOfGroup));
    if (taught += group.trials.size(); taught > kMostTrials) break;
    teach(model, group);
  }
  model.train();
}

}  // namespace oc
