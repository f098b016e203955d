#include <algorithm>

#include "schedules/apply/products.h"
#include "schedules/families/products.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

// Constant extent of a reduced axis as the stage iterates it (padding of blocked channels included).
int64_t loop_extent(const Stage& stage, size_t reduced) {
  const auto extent = Halide::Internal::as_const_int(Halide::Internal::simplify(
      stage.domain.domain().domain()[stage.domain.dimensions() - 1 - static_cast<int>(reduced)].extent));
  if (!extent) internal_error("a reduced axis without a constant extent");
  return *extent;
}

struct Tiling {
  int64_t block;  // channels in a vector of the output; 1 when it is plain
  int lanes;      // vector width
  int columns;    // output columns of a register tile
  int channels;   // channel blocks (or channels) of a register tile
};

Tiling tiling(const ApplyCall& call) {
  const Type& out = call.kernel.output();
  const int64_t block = out.layout.block(1);
  const int64_t lanes =
      block > 1 ? block
                : vector_width(call.target.lanes(static_cast<int>(dtype_size(out.dtype))), out.shape[kX].extent);
  const int64_t step = block > 1 ? 1 : lanes;
  return {block, to_int(lanes), to_int(call.schedule["tile.x"] * step), to_int(call.schedule["tile.c"])};
}

// Pooling, depthwise: no two output channels read the same input, and both lie in the same blocks.
bool reads_own_channels(const ApplyCall& call) {
  const Node& node = call.kernel.anchor_node();
  const Type &in = call.kernel.graph[node.inputs[0]].type, &out = call.kernel.output();
  const int64_t channels = out.shape[kC].extent;
  return in.shape[kC].extent == channels && in.layout.block(1) == out.layout.block(1) &&
         node.attrs.integer("group", channels) == channels;
}

// The loops of the output: bands of rows, channel tiles, rows, column tiles, then the register tile. Returns the
// innermost one outside the tile. `padded`: the loops inside which a padded input is made and kept.
Var tile_output(const ApplyCall& call, const Tiling& t, PaddedLoops& padded) {
  Lowered& lowered = call.lowered;
  Func& out = lowered.output;
  const Schedule& s = call.schedule;
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const OutputVar &y = *find_var(lowered, kY, false), &x = *find_var(lowered, kX, false);
  Var xo("xo"), xi("xi"), co("co"), ci("ci"), yi("yi"), vector("vector"), band("band");
  padded = {band, band};
  out.split(x.var, xo, xi, t.columns, shift_unless_exact(x.extent, t.columns, x.varies));
  out.split(c.var, co, ci, t.channels, shift_unless_exact(c.extent, t.channels));
  out.split(y.var, band, yi, even_step(y, 1, s["band.y"]), shift_unless_exact(y.extent, s["band.y"], y.varies));
  if (t.block > 1) {
    vector = find_var(lowered, kC, true)->var;
  } else {
    out.split(xi, xi, vector, t.lanes);
  }
  out.vectorize(vector).unroll(xi).unroll(ci);
  const bool parallel = s["parallel.tasks"] > 1;
  if (parallel && s["parallel.axis"] == kParallelC) {
    out.reorder(vector, xi, ci, xo, yi, band, co, n.var);
    run_parallel(out, {n.var, co}, n.extent * ceil_div(c.extent, t.channels), s["parallel.tasks"]);
  } else if (parallel && s["parallel.axis"] == kParallelX) {
    out.reorder(vector, xi, ci, yi, co, band, xo, n.var);
    // Fused with the images a task's columns have no bounds that Halide finds: a padded band would be whole rows.
    const bool fused = n.extent > 1 && !x.varies;
    const int64_t tiles = (fused ? n.extent : 1) * ceil_div(x.extent, t.columns);
    xo = run_parallel(out, fused ? std::vector<Var>{n.var, xo} : std::vector<Var>{xo}, tiles, s["parallel.tasks"]);
    if (tiles <= s["parallel.tasks"]) return yi;  // a task has one tile of columns, its loops are in order
    out.reorder(xo, yi, co, band);  // a task walks its columns for each channel tile, whose weights stay near
  } else {
    out.reorder(vector, xi, ci, xo, yi, co, band, n.var);
    band = share_bands(call, n, band, ceil_div(y.extent, s["band.y"]), y.varies);
    padded = {band, band};
    // What one channel tile alone reads is padded row by row, and never leaves the first level of cache: where extents
    // vary, that testing coordinates is not left to the kernel.
    if (reads_own_channels(call) && (y.varies || x.varies)) padded = {yi, co};
  }
  return xo;
}

void schedule_accumulator(const ApplyCall& call, const Tiling& t, const Var& at) {
  const Schedule& s = call.schedule;
  Stage acc = *call.lowered.stage("acc");
  Func& f = acc.func;
  const Var n = acc.vars[kN], c = acc.vars[kC], y = acc.vars[kY], x = acc.vars[kX];
  const bool blocked = t.block > 1;
  f.compute_at(call.lowered.output, at);
  f.bound_extent(c, to_int(t.block) * t.channels).bound_extent(x, t.columns).bound_extent(y, 1).bound_extent(n, 1);
  const Var along = blocked ? c : x;
  if (blocked) f.align_bounds(c, to_int(t.block)).reorder_storage(c, x, y, n).reorder(c, x, y, n);
  f.vectorize(along, t.lanes).unroll(along).unroll(blocked ? x : c);

  Halide::Stage update = f.update();
  Var outer("outer"), vector("vector");
  update.split(along, outer, vector, t.lanes);
  const Var tile_x = blocked ? x : outer, tile_c = blocked ? outer : c;
  std::vector<VarOrRVar> order{vector};
  if (s["order.inner"] == kInnerX) {
    order.insert(order.end(), {tile_x, tile_c});
  } else {
    order.insert(order.end(), {tile_c, tile_x});
  }
  std::vector<VarOrRVar> inner, outer_loops;
  std::vector<RVar> unrolled, asks;  // asks: where weights are asked for, of which loop
  int64_t channels_a_step = 1;       // of that loop
  size_t reduced = 0;
  const auto summed = std::ranges::count_if(call.kernel.axes, sums_over, &Axis::role);
  std::vector<VarOrRVar> window;  // kx, ky
  for (const Axis& axis : call.kernel.axes) {
    if (!sums_over(axis.role)) continue;
    if (axis.name == "ci" && acc.domain.dimensions() > summed)  // block by block (dsl/ops/window_rule.h)
      outer_loops.emplace_back(acc.reduced(reduced++));
    const RVar r = acc.reduced(reduced);
    if (axis.name == "ci") {
      if (s["unroll.ci"] > 1 && loop_extent(acc, reduced) % s["unroll.ci"] == 0) {
        RVar strip("ci_strip"), step("ci_step");
        update.split(r, strip, step, to_int(s["unroll.ci"]));
        unrolled.push_back(step);
        inner.insert(inner.end(), {step, strip});
        asks = {step, strip};
        channels_a_step = s["unroll.ci"];
      } else {
        inner.emplace_back(r);
        asks = {r, r};
      }
    } else {
      window.insert(window.begin(), r);
      if (axis.name == "kx" && s["unroll.kx"] != 0) unrolled.push_back(r);
    }
    ++reduced;
  }
  order.insert(order.end(), inner.begin(), inner.end());
  order.insert(order.end(), window.begin(), window.end());
  order.insert(order.end(), outer_loops.begin(), outer_loops.end());
  order.insert(order.end(), {y, n});
  update.reorder(order).vectorize(vector).unroll(tile_x).unroll(tile_c);
  for (const RVar& r : unrolled) update.unroll(r);
  if (s["prefetch.w"] == 0) return;
  const Halide::ImageParam& weights = call.lowered.inputs[static_cast<size_t>(call.kernel.input_of_anchor(1))];
  update.prefetch(weights, asks[0], asks[1], to_int(ceil_div(s["prefetch.w"], channels_a_step)),
                  Halide::PrefetchBoundStrategy::NonFaulting);
}

}  // namespace

Var share_bands(const ApplyCall& call, const OutputVar& n, const Var& band, int64_t bands, bool vary) {
  Func& out = call.lowered.output;
  const int64_t tasks = call.schedule["parallel.tasks"];
  if (!vary) return run_parallel(out, {n.var, band}, n.extent * bands, tasks);
  if (n.extent < tasks) return run_parallel(out, {band}, bands, tasks);
  run_parallel(out, {n.var}, n.extent, tasks);
  return band;
}

void schedule_padding(const ApplyCall& call, const PaddedLoops& loops) {
  const Stage* found = call.lowered.stage("pad");
  if (found == nullptr) return;
  // Inlined, the first and last tiles of rows and columns test their coordinates; the loops between them do not.
  if (call.schedule["pad.at"] == kPadInline) return;
  Stage pad = *found;
  const Type& in = call.kernel.graph[call.kernel.anchor_node().inputs[0]].type;
  const int64_t block = in.layout.block(1);
  const Var n = pad.vars[kN], c = pad.vars[kC], y = pad.vars[kY], x = pad.vars[kX];
  Var outer = c, vector("vector");
  if (block > 1) {
    outer = Var("outer");
    pad.func.align_bounds(c, to_int(block)).reorder_storage(c, x, y, n);
    pad.func.split(c, outer, vector, to_int(block)).reorder(vector, x, y, outer, n).vectorize(vector);
  } else {
    pad.func.vectorize(x, call.target.lanes(4), TailStrategy::RoundUp);
  }
  if (call.schedule["pad.at"] == kPadBand) {
    pad.func.compute_at(call.lowered.output, loops.made).store_at(call.lowered.output, loops.kept);
  } else {
    pad.func.compute_root();
    const bool y_varies = call.kernel.varies(call.kernel.anchor_node().inputs[0], kY);
    const int64_t planes = in.shape[kN].extent * ceil_div(in.shape[kC].extent, block);
    run_parallel(pad.func, y_varies ? std::vector<Var>{n, outer} : std::vector<Var>{n, outer, y},
                 y_varies ? planes : planes * in.shape[kY].extent, call.schedule["parallel.tasks"]);
  }
}

void apply_window(const ApplyCall& call) {
  if (call.schedule["algorithm.form"] != kDirect) return apply_products(call);
  const Tiling t = tiling(call);
  PaddedLoops padded;
  const Var tile = tile_output(call, t, padded);
  schedule_accumulator(call, t, tile);
  schedule_padding(call, padded);
}

}  // namespace oc
