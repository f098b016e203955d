#include "autotune/scheduler.h"

#include <algorithm>

namespace oc {
namespace {

constexpr int64_t kWarmUpTrials = 6;  // per task, default included
constexpr double kDecay = 0.85;       // of the momentum per trial
constexpr double kFloor = 0.002;  // momentum never reaches zero: a large workload without luck still beats a small one
constexpr double kShareReached = 0.95;  // limit / best from which a workload counts as done
constexpr double kUnknownFactor = 10;   // a task without a time is taken to be this far from its limit

double assumed_best(const std::optional<double>& best_ns, double limit_ns) {
  return best_ns.value_or(kUnknownFactor * limit_ns);
}

double promise(const TaskOutlook& task) {
  const double least = 0.02 * task.weight * assumed_best(task.best_ns, task.limit_ns);
  return std::max(left_to_gain(task.weight, task.best_ns, task.limit_ns), least) * (task.momentum + kFloor);
}

// The index with the smallest key among the open tasks that `wanted` admits.
template <class Wanted, class Key>
std::optional<size_t> least(std::span<const TaskOutlook> tasks, Wanted wanted, Key key) {
  std::optional<size_t> best;
  for (size_t i = 0; i < tasks.size(); ++i)
    if (tasks[i].open && wanted(tasks[i]) && (!best || key(tasks[i]) < key(tasks[*best]))) best = i;
  return best;
}

}  // namespace

std::optional<size_t> next_task(std::span<const TaskOutlook> tasks) {
  const auto untried = [](const TaskOutlook& task) { return task.trials == 0; };
  if (auto first = least(tasks, untried, [](const TaskOutlook& task) { return task.limit_ns; })) return first;
  const auto warming = [](const TaskOutlook& task) { return task.trials < kWarmUpTrials; };
  if (auto next = least(tasks, warming, [](const TaskOutlook& task) { return task.trials; })) return next;
  return least(tasks, [](const TaskOutlook&) { return true; }, [](const TaskOutlook& task) { return -promise(task); });
}

double left_to_gain(double weight, const std::optional<double>& best_ns, double limit_ns) {
  return weight * (assumed_best(best_ns, limit_ns) - limit_ns);
}

double after_trial(double momentum, double gain) {
  return kDecay * momentum + (1 - kDecay) * gain;
}

bool near_limit(const TaskOutlook& task) {
  return task.best_ns && task.limit_ns >= kShareReached * *task.best_ns;
}

}  // namespace oc
