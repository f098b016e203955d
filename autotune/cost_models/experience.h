// The trials of tuning databases as a cost model learns from them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autotune/cost_models/cost_model.h"
#include "tuning_db/database.h"

namespace oc {

// Trials that compare: of one workload, target, thread count and machine.
struct Experience {
  Kernel kernel;
  Target target;
  int threads = 1;
  std::string machine;
  std::vector<std::pair<Schedule, std::optional<double>>> trials;  // nanoseconds; nullopt: it failed

  [[nodiscard]] Setting setting() const { return {kernel, target, threads}; }
};

// All groups of two trials or more; by workload, machine, target and threads. Rows are data from anybody: workloads and
// schedules that this build cannot read, and schedules that do not fit, are left out.
[[nodiscard]] std::vector<Experience> read_experience(const Database& database, const OpTable& ops);

void teach(CostModel& model, const Experience& experience);

// Teaches the model what the databases know, and trains it. At most some thousands of trials, so that training stays
// quick: first those of `target` on `machine`, then those of other targets of the architecture, whose vectors,
// registers and caches are features.
void pretrain(CostModel& model, std::span<const Database* const> databases, const OpTable& ops, const Target& target,
              const std::string& machine);

}  // namespace oc
