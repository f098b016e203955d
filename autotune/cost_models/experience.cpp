#include "autotune/cost_models/experience.h"

#include <algorithm>
#include <map>

#include "autotune/provenance.h"
#include "base/error.h"

namespace oc {
namespace {

constexpr size_t kMostTrials = 5000;
constexpr size_t kMostOfGroup = 400;  // of one workload; its latest

// What the trial's code was built for; with typical caches where nobody described the machine.
Target target_of(const Key& key, const std::map<std::string, Machine>& machines) {
  const auto machine = machines.find(key.machine);
  const std::optional<Target> target =
      machine == machines.end() ? std::nullopt : target_on(key.features, machine->second);
  return target ? *target : parse_target(key.features);
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
  std::map<std::string, Machine> machines;
  for (const MachineRow& row : database.machines())
    if (std::optional<Machine> machine = described_machine(row)) machines.emplace(row.hash, std::move(*machine));
  std::vector<Experience> result;
  for (const WorkloadRow& row : database.workloads()) {
    try {
      const Kernel kernel = analyse({row.text}, ops);
      for (const Key& key : database.keys_of(row.text)) {
        Experience group{kernel, target_of(key, machines), key.threads, key.machine, {}};
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
