// Reduction: statistics of rows (sum, maximum, mean, variance) and what is made of them (softmax, layer_norm). Vectors
// run along the innermost physical loop: over the row when that is reduced, else over neighbouring rows.
#include <algorithm>

#include "schedules/families/pointwise.h"

namespace oc {
namespace {

std::string reject(const Kernel& kernel, const Target&, const Schedule& schedule) {
  return outside_limits(family_info(kernel.family), schedule);
}

int64_t rows(const Kernel& kernel) {
  int64_t all = 1;
  for (const Axis& axis : kernel.axes)
    if (axis.role == Role::spatial) all *= axis.extent;
  return all;
}

Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  return make_schedule(
      family_info(Family::reduction),
      {{"vector.unroll", 2}, {"parallel.tasks", default_tasks(kernel, target, threads, rows(kernel))}});
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  Space result{Family::reduction, {}, {}};
  result.knobs.push_back({"vector.unroll", {1, 2, 4, 8}});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) { return reject(kernel, target, s).empty(); };
  return result;
}

}  // namespace

const FamilyInfo& family_reduction() {
  static const FamilyInfo info = {
      .family = Family::reduction,
      .version = 1,
      .grammar = {{.name = "vector.unroll", .max = 16}, {.name = "parallel.tasks", .max = kMaxTasks}},
      .space = space,
      .fallback = fallback,
      .why_illegal = reject,
      .packings = nullptr};
  return info;
}

}  // namespace oc
