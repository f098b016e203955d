// Searches on tables of times (table.h): no clock, no compiler, the same on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "autotune/cost_models/cost_model.h"
#include "autotune/strategy.h"
#include "tests/autotune/table.h"

namespace oc::testing {

inline constexpr size_t kBudget = 64;        // trials
inline constexpr double kGoodEnough = 0.95;  // of the speed of the table's best

struct Landscape {
  std::string name;
  Table table;
  Kernel kernel;
  Target target;
  Space space;
  std::vector<Schedule> starts;
  std::unordered_map<std::string, double> times;  // of what works, by text
  double best = 0;

  [[nodiscard]] Setting setting() const { return {kernel, target, table.threads}; }
};

// Of all tables, by name.
[[nodiscard]] std::vector<Landscape> landscapes();

// After each trial the share of the table's best speed that was reached, for kBudget trials or until it is all.
using Curve = std::vector<double>;

// Run as tune() does it on one thread: while one schedule is timed the next is asked for, to be built. A `model` guides
// and learns.
[[nodiscard]] Curve replay(const Landscape& l, const std::string& strategy, const std::vector<Schedule>& starts,
                           uint64_t seed, CostModel* model = nullptr);

// The median of the curves there.
[[nodiscard]] double share_at(const std::vector<Curve>& curves, size_t trials);

}  // namespace oc::testing
