#include <algorithm>
#include <string_view>

#include "schedules/apply/pointwise.h"
#include "schedules/families/common.h"

namespace oc {
namespace {

using Halide::TailStrategy;
using Halide::Var;

// The stages "tile" and "turn1" … of a transposing relayout: each a tile of `size` elements, which shuffles of
// registers pass from one to the next.
void schedule_turns(const ApplyCall& call, const Var& at, int size) {
  const int lanes = std::min(call.target.lanes(4), size / 2);
  for (Stage& stage : call.lowered.stages) {
    const bool turn = stage.name.starts_with("turn");
    if (!turn && stage.name != "tile") continue;
    const Var address = stage.vars[4];  // of a turn: halved, its parity beside it
    stage.func.compute_at(call.lowered.output, at).bound_extent(address, turn ? size / 2 : size);
    for (size_t d = 0; d < 4; ++d) stage.func.bound_extent(stage.vars[d], 1);
    if (turn)
      stage.func.bound_extent(stage.vars[5], 2)
          .reorder_storage(stage.vars[5], address)
          .reorder(stage.vars[5], address)
          .unroll(stage.vars[5]);
    stage.func.vectorize(address, lanes).unroll(address);
  }
}

void apply_transposed(const ApplyCall& call, int columns) {
  Lowered& lowered = call.lowered;
  Halide::Func& out = lowered.output;
  const Kernel& kernel = call.kernel;
  const int64_t in_block = kernel.graph[kernel.anchor_node().inputs[0]].type.layout.block(kC);
  const int64_t block = std::max(in_block, kernel.output().layout.block(kC));
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const OutputVar &y = *find_var(lowered, kY, false), &x = *find_var(lowered, kX, false);
  Var xo("xo"), xi("xi"), co("co"), ci("ci");
  out.split(x.var, xo, xi, columns, TailStrategy::RoundUp);
  int64_t blocks = c.extent;
  Var channels = c.var;
  if (in_block == 1) {
    const Var lane = find_var(lowered, kC, true)->var;
    out.reorder(lane, xi, xo, y.var, c.var, n.var).vectorize(lane).unroll(xi);
  } else {
    blocks = ceil_div(c.extent, block);
    channels = co;
    out.split(c.var, co, ci, to_int(block), c.extent % block == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    out.reorder(xi, ci, xo, y.var, co, n.var).vectorize(xi).unroll(ci);
  }
  const Var at = run_parallel(out, {n.var, channels, y.var, xo}, n.extent * blocks * y.extent * (x.extent / columns),
                              call.schedule["parallel.tasks"]);
  schedule_turns(call, at, to_int(block) * columns);
}

}  // namespace

void apply_movement(const ApplyCall& call) {
  const int64_t columns = call.schedule["transpose.columns"];
  if (columns > 0)
    apply_transposed(call, to_int(columns));
  else
    apply_pointwise(call);
}

}  // namespace oc
