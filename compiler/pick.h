// Which schedule each kernel gets: forced by the user, else from a lock, else the database, else the formula.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "generators/lock.h"
#include "schedules/schedule.h"
#include "tuning_db/layers.h"

namespace oc {

struct ForcedSchedule {
  std::string text;
  std::string file;  // it was read from, for messages
};

struct Pick {
  Schedule schedule;
  std::string trial;   // id of the trial it comes from; "" for none
  std::string rung;    // forced, exact, other_threads, those of transfer.h, default; from a lock: what it says
  std::string source;  // the file it was found in: the user's, the lock or the database; "" for a formula
  enum class Origin : uint8_t { formula, forced, lock, database } origin = Origin::formula;
};

struct TrialSource {
  // `build`: the asking program's, whose trials outrank those of others; kAnyBuild: all count alike.
  TrialSource(const Layers& all, std::string_view of_build) : layers(all), build(of_build) {}
  const Layers& layers;
  std::string build;
  // Of what the workloads in the layers are made; then trials of other workloads and machines may serve (transfer.h).
  const OpTable* transfer = nullptr;
};

struct PickSources {
  std::map<std::string, ForcedSchedule> forced;  // by workload hash; a prefix of 6 or more digits will do
  const Lock* lock = nullptr;                    // gives every kernel that is not forced
  std::string lock_file;                         // for messages
  std::optional<TrialSource> trials = {};        // asked where there is no lock
  // The same schedules whatever the number of threads: those for one, cut into tasks for many. The compiler may round
  // the same sum in another way where the loops around it differ, so nothing less gives the same bits. What is forced
  // or locked stays as it is.
  bool deterministic = false;
};

// Pure: depends on its arguments alone. A database's trials of a kernel count only if they were measured on `machine`;
// where none serves, those of others are asked if `transfer` says so. Trials whose schedules do not fit (foreign rows)
// are passed over; `warnings` names the best of them and what is used instead. UserError, naming file and kernel, when
// a forced or locked schedule does not fit, a forced one names no kernel of the model, or the lock lacks a kernel.
[[nodiscard]] std::vector<Pick> pick_schedules(const std::vector<Kernel>& kernels, const Target& target,
                                               const Machine& machine, int threads, const PickSources& sources,
                                               std::vector<std::string>& warnings);

// The formula's schedule.
[[nodiscard]] Pick default_pick(const Kernel& kernel, const Target& target, int threads, bool deterministic);

}  // namespace oc
