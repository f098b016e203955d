#include "schedules/families/pointwise.h"

#include <algorithm>

namespace oc {

std::vector<Argument> pointwise_grammar() {
  return {{.name = "vector.unroll", .max = 16}, {.name = "parallel.tasks", .max = kMaxTasks, .of_extents = true}};
}

namespace {

// Extents of the output's physical loops around the innermost one, and of that.
struct Rows {
  int64_t inner = 1, along = 1, outer = 1;
};

Rows rows_of(const Type& out) {
  const Extents physical = physical_extents(out.layout, out.extents());
  const size_t rank = physical.size();
  Rows rows;
  if (rank >= 1) rows.inner = physical[rank - 1];
  if (rank >= 2) rows.along = physical[rank - 2];
  for (size_t i = 0; i + 2 < rank; ++i) rows.outer *= physical[i];
  return rows;
}

// Of the loops that become tasks.
int64_t iterations(const Kernel& kernel, const Target& target, int64_t unroll) {
  const Rows rows = rows_of(kernel.output());
  const int64_t lanes = target.lanes(4);
  if (interleaves(kernel, target)) return rows.outer * ceil_div(rows.along, lanes);
  return rows.outer * rows.along * ceil_div(rows.inner, vector_width(lanes, rows.inner) * unroll);
}

}  // namespace

bool interleaves(const Kernel& kernel, const Target& target) {
  constexpr int64_t kMostInterleaved = 4;
  const Rows rows = rows_of(kernel.output());
  const Shape& shape = kernel.output().shape;
  const bool varies = !shape.empty() && kernel.varies(kernel.graph.outputs[0], shape.size() - 1);
  return !varies && rows.inner >= 2 && rows.inner <= kMostInterleaved && rows.along >= target.lanes(4);
}

int64_t innermost_extent(const Type& out) {
  const Extents physical = physical_extents(out.layout, out.extents());
  return physical.empty() ? 1 : physical.back();
}

std::string pointwise_why_illegal(const Kernel& kernel, const Target&, const Schedule& schedule) {
  return outside_limits(family_info(kernel.family), schedule);
}

Schedule pointwise_fallback(const Kernel& kernel, const Target& target, int threads) {
  const int64_t vectors = ceil_div(innermost_extent(kernel.output()), target.lanes(4));
  const int64_t iterations = ceil_div(element_count(kernel.output().extents()), target.lanes(4));
  return make_schedule(
      family_info(kernel.family),
      {{"vector.unroll", vectors >= 16 ? 4 : 1},
       {"parallel.tasks", std::min<int64_t>(threads, default_tasks(kernel, target, threads, iterations))}});
}

void pointwise_settle(const Kernel& kernel, const Target& target, Schedule& s) {
  const Type& out = kernel.output();
  const int64_t inner = innermost_extent(out), width = vector_width(target.lanes(4), inner);
  const int64_t unroll = interleaves(kernel, target) ? 1 : std::clamp<int64_t>(s["vector.unroll"], 1, inner / width);
  s.values["vector.unroll"] = unroll;
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], {iterations(kernel, target, unroll)});
}

std::vector<Nest> pointwise_nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kRow, kInner };
  const Type& out = kernel.output();
  // What is interleaved is one row.
  const int64_t inner = innermost_extent(out) * (interleaves(kernel, target) ? rows_of(out).along : 1);
  const int64_t rows = physical_size(out.layout, out.extents()) / inner;
  const int64_t width = vector_width(target.lanes(4), inner), step = width * s["vector.unroll"];
  Nest nest{.extents = {rows, inner}, .loops = {{kRow, 1}, {kInner, step}}};
  const auto element = static_cast<int64_t>(dtype_size(out.dtype));
  nest.tensors = {{NestTensor::Role::result, element, {{{kRow, 1}}, {{kInner, 1}}}}};
  for (size_t i = 0; i < kernel.graph.inputs.size(); ++i) {
    const auto role = kernel.is_weight(i) ? NestTensor::Role::weight : NestTensor::Role::input;
    const int64_t bytes = kernel.bytes_read(i);
    NestTensor in{role, std::max<int64_t>(1, bytes / (rows * inner)), {{{kRow, 1}}, {{kInner, 1}}}};
    if (bytes < rows * inner) in = {role, element, {{{kInner, 1}}}};  // one for all rows
    nest.tensors.push_back(std::move(in));
  }
  nest.flops = kernel.flops;
  nest.computed = 1 / coverage(inner, width);
  nest.lanes = width;
  nest.sums = nest.body = s["vector.unroll"];
  nest.loads = nest.sums * static_cast<int64_t>(kernel.graph.inputs.size());
  nest.pieces = iterations(kernel, target, s["vector.unroll"]);
  nest.tasks = s["parallel.tasks"];
  return {nest};
}

Space pointwise_space(const Kernel& kernel, const Target& target, int threads) {
  Space result{kernel.family, {}, {}};
  const int64_t inner = innermost_extent(kernel.output()), vectors = inner / vector_width(target.lanes(4), inner);
  result.knobs.push_back({"vector.unroll", up_to(std::min<int64_t>(8, vectors), {1, 2, 4, 8})});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) { return pointwise_why_illegal(kernel, target, s).empty(); };
  return result;
}

}  // namespace oc
