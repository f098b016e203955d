#include "schedules/apply/common.h"

namespace oc {

const OutputVar* find_var(const Lowered& lowered, int dim, bool block) {
  for (const OutputVar& v : lowered.output_vars)
    if (v.dim == dim && v.block == block) return &v;
  return nullptr;
}

Halide::Var run_parallel(Halide::Func& func, const std::vector<Halide::Var>& outermost_first, int64_t iterations,
                         int64_t tasks) {
  Halide::Var all = outermost_first.back();
  if (tasks <= 1 || iterations <= 1) return all;
  const Halide::Var fused("tasks");
  for (size_t i = outermost_first.size() - 1; i-- > 0;) {
    func.fuse(all, outermost_first[i], fused);
    all = fused;
  }
  const int64_t per_task = (iterations + tasks - 1) / tasks;
  if (per_task == 1) {
    func.parallel(all);
    return all;
  }
  const Halide::Var task("task"), item("task_item");
  func.split(all, task, item, to_int(per_task), Halide::TailStrategy::GuardWithIf).parallel(task);
  return item;
}

}  // namespace oc
