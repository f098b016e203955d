// Which schedule each kernel gets: forced by the user, else from a lock, else the database, else the formula.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "generators/lock.h"
#include "schedules/schedule.h"
#include "tuning_db/layers.h"

namespace oc {

struct Pick {
  Schedule schedule;
  std::string trial;   // id of the trial it comes from; "" for none
  std::string rung;    // "forced", "exact", "other_threads", "default"; from a lock: what it says
  std::string source;  // the database's file; "" for none
};

struct PickSources {
  std::map<std::string, std::string> forced;  // by workload hash (a prefix of 6 or more digits will do): schedule text
  const Lock* lock = nullptr;
  const Layers* layers = nullptr;
};

// Pure: depends on its arguments alone. A database's trials count only if they were measured on `machine`. A schedule
// from the database that does not fit (foreign rows) falls back to the formula; `warnings` says so. UserError when a
// forced schedule does not fit, or names no kernel of the model.
[[nodiscard]] std::vector<Pick> pick_schedules(const std::vector<Kernel>& kernels, const Target& target,
                                               const std::string& machine, int threads, const PickSources& sources,
                                               std::vector<std::string>& warnings);

}  // namespace oc
