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

// Trials that compare: of one workload, target, thread count, machine and build.
struct Experience {
  Kernel kernel;
  Target target;
  int threads = 1;
  std::string bench;                                               // bench_of()
  std::vector<std::pair<Schedule, std::optional<double>>> trials;  // nanoseconds; nullopt: it failed

  [[nodiscard]] Setting setting() const { return {kernel, target, threads}; }
};

// The machine and the build by which CostModel::learn tells times apart; of this build the machine alone.
[[nodiscard]] std::string bench_of(const std::string& machine, const std::string& build);

// All groups of two trials or more; by workload, machine, target, threads and build. Rows are data from anybody:
// workloads and schedules that this build cannot read, schedules that do not fit, and trials that somebody quarantined
// are left out.
[[nodiscard]] std::vector<Experience> read_experience(const Database& database, const OpTable& ops);

void teach(CostModel& model, const Experience& experience);

// Teaches the model what the databases know, and trains it. At most kMostTrialsLearnt trials: first those of `kernels`
// for `target` on `machine`, then those there of their families, then all there, then those of other machines and
// targets of the architecture, whose vectors, registers and caches are features.
void pretrain(CostModel& model, std::span<const Database* const> databases, const OpTable& ops,
              std::span<const Kernel> kernels, const Target& target, const std::string& machine);

}  // namespace oc
