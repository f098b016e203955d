// Reduction: statistics of rows (sum, maximum, mean, variance) and what is made of them (softmax, layer_norm). Vectors
// run along the innermost physical loop: over the row when that is reduced, else over neighbouring rows.
#include "schedules/families/reduction.h"

#include <fmt/format.h>

#include <algorithm>

namespace oc {

bool is_reduced(const Kernel& kernel, int dim) {
  return std::ranges::any_of(
      kernel.axes, [&](const Axis& axis) { return axis.role == Role::k && axis.name == fmt::format("r{}", dim); });
}

namespace {

// The logical dim that the i-th physical loop walks.
int dim_of_loop(const Type& type, size_t i) {
  const size_t rank = type.shape.size();
  if (i >= rank) return type.layout.blocks[i - rank].dim;
  return type.layout.plain() ? static_cast<int>(i) : type.layout.order[i];
}

}  // namespace

ReductionRows look_at_rows(const Kernel& kernel, const Target& target) {
  const Type& out = kernel.output();
  const Extents loops = physical_extents(out.layout, out.extents());
  ReductionRows rows;
  for (size_t i = 0; i < loops.size(); ++i) {
    rows.along = is_reduced(kernel, dim_of_loop(out, i));
    rows.inner = loops[i];
    if (!rows.along) rows.iterations *= loops[i];
  }
  if (rows.along)
    for (const Axis& axis : kernel.axes)
      if (axis.role == Role::k) rows.inner = axis.extent;
  rows.lanes = vector_width(target.lanes(static_cast<int>(dtype_size(out.dtype))), rows.inner);
  if (!rows.along) rows.iterations = rows.iterations / rows.inner * ceil_div(rows.inner, rows.lanes);
  return rows;
}

namespace {

std::string reject(const Kernel& kernel, const Target&, const Schedule& schedule) {
  return outside_limits(family_info(kernel.family), schedule);
}

// Rows are as many vectors as they are; over neighbouring rows there is one.
void settle(const Kernel& kernel, const Target& target, Schedule& s) {
  const ReductionRows rows = look_at_rows(kernel, target);
  s.values["vector.unroll"] = rows.along ? std::clamp<int64_t>(s["vector.unroll"], 1, rows.inner / rows.lanes) : 1;
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], {rows.iterations});
}

Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  const int64_t iterations = look_at_rows(kernel, target).iterations;
  return make_schedule(family_info(Family::reduction),
                       {{"vector.unroll", 2}, {"parallel.tasks", default_tasks(kernel, target, threads, iterations)}});
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  Space result{Family::reduction, {}, {}};
  result.knobs.push_back({"vector.unroll", {1, 2, 4, 8}});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) { return reject(kernel, target, s).empty(); };
  return result;
}

// Vectors over neighbouring rows shift inwards.
std::vector<int64_t> least_extents(const Kernel& kernel, const Target& target, const Schedule&) {
  const ReductionRows rows = look_at_rows(kernel, target);
  const Type& out = kernel.output();
  std::vector<int64_t> least(kernel.axes.size(), 1);
  if (rows.along || out.shape.empty()) return least;
  const int inner = dim_of_loop(out, physical_extents(out.layout, out.extents()).size() - 1);
  least[static_cast<size_t>(inner)] = rows.lanes;
  return least;
}

// Rows are read as often as there are passes over them; that is the same for all schedules.
std::vector<Nest> nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kRow, kInner };
  const ReductionRows rows = look_at_rows(kernel, target);
  const Type& reduced = kernel.graph[kernel.anchor_node().inputs[0]].type;
  const int64_t elements = physical_size(reduced.layout, reduced.extents());
  const int64_t inner = rows.along ? rows.inner : std::max<int64_t>(1, elements / (rows.iterations * rows.lanes));
  const int64_t step = rows.along ? rows.lanes * s["vector.unroll"] : 1;
  Nest nest{.extents = {rows.iterations, inner}, .loops = {{kRow, 1}, {kInner, step}}};
  const auto element = static_cast<int64_t>(dtype_size(kernel.output().dtype)) * (rows.along ? 1 : rows.lanes);
  nest.tensors = {{NestTensor::Role::input, element, {{{kRow, 1}}, {{kInner, 1}}}}};
  nest.flops = kernel.flops;
  nest.computed = rows.along ? 1 / coverage(inner, rows.lanes) : 1;
  nest.lanes = rows.lanes;
  nest.sums = nest.body = s["vector.unroll"];
  nest.loads = nest.sums;
  nest.depth = ceil_div(inner, step);
  if (rows.along) nest.extra_ops = static_cast<double>(rows.iterations * nest.sums * rows.lanes);
  nest.pieces = rows.iterations;
  nest.tasks = s["parallel.tasks"];
  return {nest};
}

}  // namespace

const FamilyInfo& family_reduction() {
  static const FamilyInfo info = {.family = Family::reduction,
                                  .version = 1,
                                  .grammar = {{.name = "vector.unroll", .max = 16},
                                              {.name = "parallel.tasks", .max = kMaxTasks, .of_extents = true}},
                                  .space = space,
                                  .fallback = fallback,
                                  .why_illegal = reject,
                                  .packings = nullptr,
                                  .settle = settle,
                                  .nests = nests,
                                  .least_extents = least_extents};
  return info;
}

}  // namespace oc
