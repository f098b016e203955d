#include "schedules/apply/pointwise.h"

#include <algorithm>

#include "schedules/families/pointwise.h"

namespace oc {
namespace {

// Few elements lie side by side: vectors run along the dim around them, and Halide makes one dense store of theirs.
void apply_interleaved(const ApplyCall& call) {
  Lowered& lowered = call.lowered;
  const size_t rank = lowered.output_vars.size();
  const OutputVar &inner = lowered.output_vars[rank - 1], &along = lowered.output_vars[rank - 2];
  const int64_t lanes = call.target.lanes(4);
  Halide::Var outer("outer"), vector("vector");
  lowered.output.bound_extent(inner.var, to_int(inner.extent))
      .split(along.var, outer, vector, to_int(lanes), guard_unless_exact(along.extent, lanes, along.varies))
      .reorder(inner.var, vector)
      .unroll(inner.var)
      .vectorize(vector);
  std::vector<Halide::Var> loops;
  int64_t iterations = ceil_div(along.extent, lanes);
  for (size_t i = 0; i + 2 < rank; ++i) {
    loops.emplace_back(lowered.output_vars[i].var);
    iterations *= lowered.output_vars[i].extent;
  }
  loops.emplace_back(outer);
  run_parallel(lowered.output, loops, iterations, call.schedule["parallel.tasks"]);
}

}  // namespace

// No iteration may be repeated: an elementwise kernel can run in place, where a shifted last vector would read results.
void apply_pointwise(const ApplyCall& call) {
  Lowered& lowered = call.lowered;
  Halide::Func& out = lowered.output;
  if (lowered.output_vars.empty()) return;
  if (interleaves(call.kernel, call.target)) return apply_interleaved(call);
  const OutputVar& inner = lowered.output_vars.back();
  const int64_t width = vector_width(call.target.lanes(4), inner.extent);
  const int64_t unroll = std::max<int64_t>(1, std::min(call.schedule["vector.unroll"], inner.extent / width));
  Halide::Var outer("outer"), strip("strip"), vector("vector");
  out.split(inner.var, outer, strip, to_int(width * unroll),
            guard_unless_exact(inner.extent, width * unroll, inner.varies));
  if (unroll > 1) {
    out.split(strip, strip, vector, to_int(width)).unroll(strip).vectorize(vector);
  } else {
    out.vectorize(strip);
  }
  std::vector<Halide::Var> loops;
  int64_t iterations = ceil_div(inner.extent, width * unroll);
  for (size_t i = 0; i + 1 < lowered.output_vars.size(); ++i) {
    loops.emplace_back(lowered.output_vars[i].var);
    iterations *= lowered.output_vars[i].extent;
  }
  loops.emplace_back(outer);
  run_parallel(out, loops, iterations, call.schedule["parallel.tasks"]);
}

void apply_elementwise(const ApplyCall& call) {
  apply_pointwise(call);
}

}  // namespace oc
