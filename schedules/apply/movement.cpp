#include <algorithm>
#include <string_view>

#include "schedules/apply/pointwise.h"
#include "schedules/families/common.h"

namespace oc {
namespace {

using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

// The stages "tile" and "turn1" … of a transposing relayout: each a tile of `size` elements, which shuffles of
// registers pass from one to the next. The first is read from memory, `row` elements side by side.
void schedule_turns(const ApplyCall& call, const VarOrRVar& at, int size, int row) {
  const int lanes = std::min(call.target.lanes(4), size / 2);
  for (Stage& stage : call.lowered.stages) {
    const bool turn = stage.name.starts_with("turn");
    if (!turn && stage.name != "tile") continue;
    const Var address = stage.vars[4];  // of a turn: halved, its parity beside it
    stage.func.compute_at({call.lowered.output, at}).bound_extent(address, turn ? size / 2 : size);
    for (size_t d = 0; d < 4; ++d) stage.func.bound_extent(stage.vars[d], 1);
    if (turn)
      stage.func.bound_extent(stage.vars[5], 2)
          .reorder_storage(stage.vars[5], address)
          .reorder(stage.vars[5], address)
          .unroll(stage.vars[5]);
    stage.func.vectorize(address, turn ? lanes : std::min(lanes, row)).unroll(address);
  }
}

struct Loop {
  VarOrRVar var;
  int64_t extent;  // an example
};

// Halide does not see that one tile is made at a time where loops of extents that are not known are fused: tasks are
// cut from one alone, the longest, which goes outwards; without tasks the order stays. `loops` stand innermost first;
// what then is innermost is returned.
VarOrRVar run_longest(Halide::Stage& stage, std::vector<Loop> loops, int64_t tasks) {
  if (tasks <= 1) return loops.front().var;
  const auto longest = std::ranges::max_element(loops, {}, &Loop::extent);
  std::rotate(longest, longest + 1, loops.end());
  std::vector<VarOrRVar> order;
  for (const Loop& loop : loops) order.push_back(loop.var);
  stage.reorder(order);
  run_parallel(stage, {order.back()}, loops.back().extent, tasks);
  return order.front();
}

void apply_transposed(const ApplyCall& call, int columns) {
  Lowered& lowered = call.lowered;
  Halide::Func& out = lowered.output;
  const Kernel& kernel = call.kernel;
  const int64_t in_block = kernel.graph[kernel.anchor_node().inputs[0]].type.layout.block(kC);
  const int64_t block = std::max(in_block, kernel.output().layout.block(kC));
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const OutputVar &y = *find_var(lowered, kY, false), &x = *find_var(lowered, kX, false);
  const auto& [tile, column] = lowered.tile_vars[0];
  Halide::Stage made = out.update();
  made.allow_race_conditions();  // the last tile repeats columns of the one before, with the same values
  Var co("co"), ci("ci");
  int64_t blocks = c.extent;
  Var channels = c.var;
  if (in_block == 1) {
    const Var lane = find_var(lowered, kC, true)->var;
    made.reorder(lane, column, tile, y.var, c.var, n.var).vectorize(lane).unroll(column);
  } else {
    blocks = ceil_div(c.extent, block);
    channels = co;
    made.split(c.var, co, ci, to_int(block), c.extent % block == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    made.reorder(column, ci, tile, y.var, co, n.var).vectorize(column).unroll(ci);
  }
  const int64_t tiles = ceil_div(x.extent, columns), tasks = call.schedule["parallel.tasks"];
  const VarOrRVar at =
      n.varies || y.varies || x.varies
          ? run_longest(made, {{tile, tiles}, {y.var, y.extent}, {channels, 0}, {n.var, n.extent}}, tasks)
          : run_parallel(made, {n.var, channels, y.var, tile}, n.extent * blocks * y.extent * tiles, tasks);
  schedule_turns(call, at, to_int(block) * columns, in_block == 1 ? columns : to_int(block));
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
