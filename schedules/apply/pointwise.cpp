#include "schedules/apply/pointwise.h"

#include <algorithm>

#include "schedules/families/common.h"

namespace oc {

// No iteration may be repeated: an elementwise kernel can run in place, where a shifted last vector would read results.
void apply_pointwise(const ApplyCall& call) {
  Lowered& lowered = call.lowered;
  Halide::Func& out = lowered.output;
  if (lowered.output_vars.empty()) return;
  const OutputVar& inner = lowered.output_vars.back();
  const int64_t width = vector_width(call.target.lanes(4), inner.extent);
  const int64_t unroll = std::max<int64_t>(1, std::min(call.schedule["vector.unroll"], inner.extent / width));
  Halide::Var outer("outer"), strip("strip"), vector("vector");
  const auto tail =
      inner.extent % (width * unroll) == 0 ? Halide::TailStrategy::RoundUp : Halide::TailStrategy::GuardWithIf;
  out.split(inner.var, outer, strip, to_int(width * unroll), tail);
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
