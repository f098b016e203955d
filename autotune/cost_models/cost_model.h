// A CostModel ranks schedules of a kernel before anybody builds them, and learns from trials. It knows no clock, no
// compiler and no database; the same trials in the same order give the same scores.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"

namespace oc {

// What schedules are compared within.
struct Setting {
  const Kernel& kernel;
  const Target& target;
  int threads = 1;
};

// A model keeps no more trials than that, so that training stays quick; those it forgets are the oldest of what it has
// most of.
inline constexpr size_t kMostTrialsLearnt = 5000;
inline constexpr int64_t kTrialsPerTraining = 24;  // of a search

class CostModel {
 public:
  virtual ~CostModel() = default;
  // One finite score a schedule, the higher the faster; they compare within one setting. The schedules fit the kernel.
  [[nodiscard]] virtual std::vector<double> predict(const Setting& setting,
                                                    std::span<const Schedule> schedules) const = 0;
  // The time of a schedule that fits the kernel; nullopt: it failed. `bench` tells hosts of one target and builds
  // apart: times of two are never compared.
  virtual void learn(const Setting& setting, std::string_view bench, const Schedule& schedule,
                     std::optional<double> nanoseconds) = 0;
  // Takes in what it was told since the last time. May take a third of a second: not while something is being timed.
  virtual void train() = 0;
};

// One row per model: cost_models/<name>.cpp defines make_<name>_cost_model.
#define OC_COST_MODEL(name) [[nodiscard]] std::unique_ptr<CostModel> make_##name##_cost_model();
#include "autotune/cost_models/cost_models.inc"
#undef OC_COST_MODEL

// By name; UserError listing the names otherwise.
[[nodiscard]] std::unique_ptr<CostModel> make_cost_model(std::string_view name);

}  // namespace oc
