// A Strategy proposes schedules from one Space and learns from their times. It knows no clock, no compiler and no
// database; given the same seed and the same answers, scores included, it proposes the same schedules.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "schedules/schedule.h"

namespace oc {

class Strategy {
 public:
  virtual ~Strategy() = default;
  // At most n schedules, each legal in the space (or one of the starts) and never proposed before. Fewer: none are left
  // to propose; empty: the space is exhausted.
  [[nodiscard]] virtual std::vector<Schedule> ask(size_t n) = 0;
  // A schedule from elsewhere that is worth a try: proposed next, unless it was before. It must be legal for the
  // kernel, but need not be a point of the space.
  virtual void suggest(const Schedule& schedule) = 0;
  // The time of one schedule in nanoseconds; nullopt: it failed. Schedules this strategy never proposed are welcome (a
  // resumed run tells the trials of the one before) and will not be proposed any more.
  virtual void tell(const Schedule& schedule, std::optional<double> nanoseconds) = 0;
};

struct StrategyInputs {
  Space space;
  std::vector<Schedule> starts;  // proposed first, in order: the default, the best of the database, neighbours
  uint64_t seed = 0;
  // May be empty. A score a schedule, the higher the more promising: a cost model's.
  std::function<std::vector<double>(std::span<const Schedule>)> score = {};
};

// One row per strategy: strategies/<name>.cpp defines make_<name>_strategy.
#define OC_STRATEGY(name) [[nodiscard]] std::unique_ptr<Strategy> make_##name##_strategy(StrategyInputs inputs);
#include "autotune/strategies.inc"
#undef OC_STRATEGY

// By name; UserError listing the names otherwise.
[[nodiscard]] std::unique_ptr<Strategy> make_strategy(std::string_view name, StrategyInputs inputs);

}  // namespace oc
