#include "autotune/cost_models/experience.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "autotune/provenance.h"
#include "base/error.h"

namespace oc {
namespace {

constexpr size_t kMostOfKey = 400;  // of one workload, machine, target and thread count; its latest

// What the trial's code was built for; with typical caches where nobody described the machine.
Target target_of(const Key& key, const std::map<std::string, Machine>& machines) {
  const auto machine = machines.find(key.machine);
  const std::optional<Target> target =
      machine == machines.end() ? std::nullopt : target_on(key.features, machine->second);
  return target ? *target : parse_target(key.features);
}

std::optional<std::pair<Schedule, std::optional<double>>> read_trial(const Trial& trial, const Experience& group) {
  std::optional<Schedule> schedule = fitting_schedule(group.kernel, group.target, trial.schedule);
  if (!schedule) return std::nullopt;
  std::optional<double> time;
  if (trial.status == TrialStatus::ok) time = static_cast<double>(median_ns(trial.samples_ns));
  return std::pair(std::move(*schedule), time);
}

using Databases = std::span<const Database* const>;

// The latest `most` trials of the key, each once however many databases hold it, by time; apart by build.
std::map<std::string, std::vector<Trial>> trials_by_build(Databases databases, const Key& key, size_t most) {
  std::map<std::pair<int64_t, std::string>, Trial> trials;
  for (const Database* database : databases)
    for (Trial& trial : database->trials_of(key)) {
      std::pair place(trial.unix_ms, row_id(trial));
      trials.emplace(std::move(place), std::move(trial));
    }
  std::erase_if(trials, [&](const auto& entry) { return quarantined(databases, entry.first.second); });
  while (trials.size() > most) trials.erase(trials.begin());
  std::map<std::string, std::vector<Trial>> result;
  for (auto& [place, trial] : trials) result[trial.build].push_back(std::move(trial));
  return result;
}

// Keys of workloads of all databases, each once; `family` as in WorkloadRow.
struct Place {
  Key key;
  std::string family;
};

std::vector<Place> places(Databases databases) {
  std::map<std::tuple<std::string, std::string, std::string, int>, Place> result;
  for (const Database* database : databases)
    for (const WorkloadRow& row : database->workloads())
      for (const Key& key : database->keys_of(row.text))
        result.try_emplace({key.workload, key.machine, key.features, key.threads}, Place{key, row.family});
  std::vector<Place> list;
  for (auto& [order, place] : result) list.push_back(std::move(place));
  return list;
}

class Reader {
 public:
  Reader(Databases databases, const OpTable& ops) : databases_(databases), ops_(ops) {
    for (const Database* database : databases) machines_.merge(described_machines(database->machines()));
  }

  // Nothing, where this build does not know the ops or the target.
  std::vector<Experience> read(const Key& key, size_t most) {
    std::vector<Experience> result;
    try {
      const Kernel kernel = analyse({key.workload}, ops_);
      const Target target = target_of(key, machines_);
      for (const auto& [build, trials] : trials_by_build(databases_, key, most)) {
        Experience group{kernel, target, key.threads, bench_of(key.machine, build), {}};
        for (const Trial& trial : trials)
          if (auto known = read_trial(trial, group)) group.trials.push_back(std::move(*known));
        if (group.trials.size() >= 2) result.push_back(std::move(group));
      }
    } catch (const UserError&) {
    }
    return result;
  }

 private:
  Databases databases_;
  const OpTable& ops_;
  std::map<std::string, Machine> machines_;  // by hash; those that are described
};

bool of_arch(const Key& key, const Target& target) {
  try {
    return parse_target(key.features).arch == target.arch;
  } catch (const UserError&) {
    return false;
  }
}

}  // namespace

std::string bench_of(const std::string& machine, const std::string& build) {
  return build == current_build_id() ? machine : machine + " " + build;
}

std::vector<Experience> read_experience(const Database& database, const OpTable& ops) {
  const Database* const databases[] = {&database};
  Reader reader(databases, ops);
  std::vector<Experience> result;
  for (const Place& place : places(databases))
    std::ranges::move(reader.read(place.key, std::numeric_limits<size_t>::max()), std::back_inserter(result));
  return result;
}

void teach(CostModel& model, const Experience& experience) {
  for (const auto& [schedule, time] : experience.trials)
    model.learn(experience.setting(), experience.bench, schedule, time);
}

void pretrain(CostModel& model, std::span<const Database* const> databases, const OpTable& ops,
              std::span<const Kernel> kernels, const Target& target, const std::string& machine) {
  std::set<std::string> workloads, families;
  for (const Kernel& kernel : kernels) {
    workloads.insert(kernel.workload.text);
    families.emplace(family_name(kernel.family));
  }
  std::vector<Place> all = places(databases);
  std::erase_if(all, [&](const Place& place) { return !of_arch(place.key, target); });
  std::ranges::stable_sort(all, std::greater(), [&](const Place& place) {
    const bool here = place.key.machine == machine && place.key.features == target.name();
    return std::tuple(here && workloads.contains(place.key.workload), here && families.contains(place.family), here,
                      families.contains(place.family));
  });
  Reader reader(databases, ops);
  size_t left = kMostTrialsLearnt;
  for (const Place& place : all) {
    if (left == 0) break;
    for (const Experience& group : reader.read(place.key, std::min(kMostOfKey, left))) {
      teach(model, group);
      left -= group.trials.size();
    }
  }
  model.train();
}

}  // namespace oc
