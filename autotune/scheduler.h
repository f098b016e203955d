// Which workload gets the next trial: a pure function of what is known about each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace oc {

struct TaskOutlook {
  bool open = true;    // still worth trials
  double weight = 1;   // how often the model runs it
  int64_t trials = 0;  // asked for so far, earlier runs' included
  std::optional<double> best_ns = {};
  double limit_ns = 0;    // what the machine allows
  double momentum = 0.2;  // recent relative improvement per trial, decaying; see after_trial
};

// Warm-up first: each task once (the quickest first, so that something is on record soon), then a few trials each.
// After that the open task with the largest weight × (best − limit) × momentum: where the model gains most. nullopt:
// none open.
[[nodiscard]] std::optional<size_t> next_task(std::span<const TaskOutlook> tasks);

// weight × (best − limit), in nanoseconds of the model; a task without a time is taken to be far from its limit.
[[nodiscard]] double left_to_gain(double weight, const std::optional<double>& best_ns, double limit_ns);

// The momentum after a trial that improved the best by `gain` (0.1 = 10 %; 0 when it did not).
[[nodiscard]] double after_trial(double momentum, double gain);

// Is there nothing left to win?
[[nodiscard]] bool near_limit(const TaskOutlook& task);

}  // namespace oc
