#include "schedules/apply/common.h"

#include <algorithm>

#include "schedules/families/common.h"

namespace oc {

const OutputVar* find_var(const Lowered& lowered, int dim, bool block) {
  for (const OutputVar& v : lowered.output_vars)
    if (v.dim == dim && v.block == block) return &v;
  return nullptr;
}

Halide::Expr even_step(const OutputVar& loop, int64_t tile, int64_t most) {
  return loop.varies ? even_step(loop.size, tile, to_int(most)) : to_int(tile * most);
}

Halide::Expr even_step(const Halide::Expr& extent, int64_t tile, const Halide::Expr& most) {
  const Halide::Expr size = to_int(tile), tiles = (extent + size - 1) / size;
  // One step would reach beyond the end where tiles do not divide the extent.
  const Halide::Expr least = Halide::select(extent % size == 0, 1, 2);
  const Halide::Expr steps = Halide::max((tiles + most - 1) / most, least);
  return (tiles + steps - 1) / steps * size;
}

Halide::VarOrRVar run_parallel(Halide::Stage stage, const std::vector<Halide::VarOrRVar>& outermost_first,
                               int64_t iterations, int64_t tasks) {
  Halide::VarOrRVar all = outermost_first.back();
  if (tasks <= 1 || iterations <= 1) return all;
  const bool reduced = all.is_rvar;
  const Halide::VarOrRVar fused("tasks", reduced), task("task", reduced), item("task_item", reduced);
  for (size_t i = outermost_first.size() - 1; i-- > 0;) {
    stage.fuse(all, outermost_first[i], fused);
    all = fused;
  }
  const int64_t per_task = (iterations + tasks - 1) / tasks;
  if (per_task == 1) {
    stage.parallel(all);
    return all;
  }
  stage.split(all, task, item, to_int(per_task), Halide::TailStrategy::GuardWithIf).parallel(task);
  return item;
}

Halide::Var run_parallel(Halide::Func& func, const std::vector<Halide::Var>& outermost_first, int64_t iterations,
                         int64_t tasks) {
  return run_parallel(Halide::Stage(func), {outermost_first.begin(), outermost_first.end()}, iterations, tasks).var;
}

void vectorise(Halide::Func func, const Halide::Var& var, int64_t extent, bool varies, int64_t lanes, int64_t unroll) {
  const int64_t width = vector_width(lanes, extent);
  if (width == 1) return;
  unroll = std::max<int64_t>(1, std::min(unroll, extent / width));
  Halide::Var outer("outer"), strip("strip");
  const auto tail = varies ? Halide::TailStrategy::GuardWithIf : shift_unless_exact(extent, width * unroll);
  func.split(var, outer, strip, to_int(width * unroll), tail);
  if (unroll > 1) {
    Halide::Var vector("vector");
    func.split(strip, strip, vector, to_int(width)).unroll(strip).vectorize(vector);
  } else {
    func.vectorize(strip);
  }
}

void fold_lanes(const Stage& stage, const Halide::LoopLevel& at, int64_t extent, int64_t lanes, int64_t unroll) {
  Halide::Func func = stage.func;
  const Halide::RVar r = stage.domain[0];
  const int64_t width = vector_width(lanes * unroll, extent);
  if (width < 4) return;
  Halide::RVar ro("ro"), ri("ri");
  Halide::Var u("u"), strip("strip"), vector("vector");
  func.update().split(r, ro, ri, to_int(width), Halide::TailStrategy::GuardWithIf);
  Halide::Func partial = func.update().rfactor(ri, u);
  partial.compute_at(at);
  const int64_t vector_lanes = std::min(lanes, width);
  partial.split(u, strip, vector, to_int(vector_lanes)).unroll(strip).vectorize(vector);
  partial.update()
      .split(u, strip, vector, to_int(vector_lanes))
      .reorder(vector, strip, ro)
      .unroll(strip)
      .vectorize(vector);
  func.update().unroll(ri);
}

}  // namespace oc
