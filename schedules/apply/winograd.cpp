#include "schedules/apply/winograd.h"

#include "dsl/winograd.h"
#include "schedules/families/winograd.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::ImageParam;
using Halide::PrefetchBoundStrategy;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

struct Form {
  int m, n;
  int in_lanes, out_lanes;
  bool exact;  // tiles divide the output
  WinogradGrid grid;
};

Form form_of(const ApplyCall& call) {
  const Extents out = call.kernel.output().extents();
  const int64_t form = call.schedule["algorithm.form"];
  const WinogradGrid grid = winograd_grid(call.kernel, form);
  const Type& in = call.kernel.graph[call.kernel.anchor_node().inputs[0]].type;
  const int m = to_int(grid.m);
  return {m,
          m + 2,
          to_int(in.layout.block(1)),
          to_int(call.kernel.output().layout.block(1)),
          out[kY] % m == 0 && out[kX] % m == 0,
          grid};
}

bool over_channels(const Schedule& s) {
  return s["parallel.axis"] == kParallelC && s["parallel.tasks"] > 1;
}

// Output: bands of rows of tiles; in each, tile after tile is transformed back and stored. Returns the loop over bands.
Var schedule_output(const ApplyCall& call, const Form& form) {
  Lowered& lowered = call.lowered;
  const Schedule& s = call.schedule;
  Func& out = lowered.output;
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const Var y = find_var(lowered, kY, false)->var, x = find_var(lowered, kX, false)->var;
  const Var lane = find_var(lowered, kC, true)->var;
  Var yo("yo"), yi("yi"), xo("xo"), xi("xi"), band("band"), row("row");
  const TailStrategy tail = form.exact ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
  out.split(y, yo, yi, form.m, tail).split(x, xo, xi, form.m, tail);
  // A band short of rows is shifted inwards: all bands need as much of the stages, and no more than there is.
  out.split(yo, band, row, to_int(s["band.y"]), shift_unless_exact(form.grid.rows, s["band.y"]));
  out.reorder(lane, xi, yi, xo, row, c.var, band, n.var).vectorize(lane);

  const Stage &columns = *lowered.stage("columns"), &tile = *lowered.stage("tile");
  Func back = columns.func, whole = tile.func;
  back.compute_at(out, xo).bound_extent(columns.vars[3], form.n).bound_extent(columns.vars[4], form.m);
  back.bound_extent(columns.vars[5], form.out_lanes);
  back.vectorize(columns.vars[5]).unroll(columns.vars[4]).unroll(columns.vars[3]);
  if (form.exact) {
    out.unroll(xi).unroll(yi);
  } else {
    whole.compute_at(out, xo).bound_extent(tile.vars[3], form.m).bound_extent(tile.vars[4], form.m);
    whole.bound_extent(tile.vars[5], form.out_lanes);
    whole.vectorize(tile.vars[5]).unroll(tile.vars[4]).unroll(tile.vars[3]);
  }
  if (over_channels(s)) {
    run_parallel(out, {c.var}, c.extent, s["parallel.tasks"]);
    return band;
  }
  return run_parallel(out, {n.var, band}, n.extent * ceil_div(form.grid.rows, s["band.y"]), s["parallel.tasks"]);
}

// The matrix product of each frequency, by register tiles of points × channel blocks.
void schedule_product(const ApplyCall& call, const Form& form, const Var& band) {
  const Schedule& s = call.schedule;
  const Stage &product = *call.lowered.stage("product"), &acc = *call.lowered.stage("acc");
  const Var n = product.vars[0], f = product.vars[1], b = product.vars[2], t = product.vars[3], l = product.vars[4];
  Var bo("bo"), bi("bi"), to("to"), ti("ti");
  Func places = product.func, sums = acc.func;
  const int64_t points = s["band.y"] * form.grid.columns;
  places.compute_at(call.lowered.output, band).bound_extent(f, form.n * form.n).bound_extent(n, 1);
  places.bound(l, 0, form.out_lanes);
  places.split(t, to, ti, to_int(s["tile.x"]), shift_unless_exact(points, s["tile.x"]));
  places.split(b, bo, bi, to_int(s["tile.c"]), shift_unless_exact(form.grid.out_blocks, s["tile.c"]));
  places.reorder(l, ti, bi, to, bo, f, n).vectorize(l).unroll(ti).unroll(bi);
  if (over_channels(s)) run_parallel(places, {f}, form.n * form.n, s["parallel.tasks"]);

  sums.compute_at(places, to).bound_extent(acc.vars[2], to_int(s["tile.c"]));
  sums.bound_extent(acc.vars[3], to_int(s["tile.x"])).bound_extent(acc.vars[4], form.out_lanes);
  sums.vectorize(acc.vars[4]).unroll(acc.vars[3]).unroll(acc.vars[2]);
  const RVar block = acc.reduced(0);
  RVar channel("channel"), step("step");
  const int unroll = form.in_lanes % s["unroll.ci"] == 0 ? to_int(s["unroll.ci"]) : 1;
  sums.update().split(acc.reduced(1), channel, step, unroll);
  std::vector<VarOrRVar> order{acc.vars[4]};
  if (s["order.inner"] == kInnerX) {
    order.insert(order.end(), {acc.vars[3], acc.vars[2]});
  } else {
    order.insert(order.end(), {acc.vars[2], acc.vars[3]});
  }
  order.insert(order.end(), {step, channel, block, acc.vars[1], acc.vars[0]});
  sums.update().reorder(order).vectorize(acc.vars[4]).unroll(acc.vars[3]).unroll(acc.vars[2]).unroll(step);
  if (s["prefetch.w"] == 0) return;
  // One vector of weights a step: of a longer piece Halide asks for every fourth line of cache only. Past the end it
  // asks for what does not exist, which is no error.
  const ImageParam& weights = call.lowered.inputs[static_cast<size_t>(call.kernel.input_of_anchor(1))];
  sums.update().prefetch(weights, step, channel, to_int(ceil_div(s["prefetch.w"], unroll)),
                         PrefetchBoundStrategy::NonFaulting);
}

void schedule_input(const ApplyCall& call, const Form& form, const Var& band) {
  const Stage &input = *call.lowered.stage("input"), &rows = *call.lowered.stage("rows");
  const Var n = input.vars[0], f = input.vars[1], b = input.vars[2], t = input.vars[3], l = input.vars[4];
  Func all = input.func, half = rows.func;
  all.compute_at(call.lowered.output, band).bound_extent(f, form.n * form.n).bound_extent(n, 1);
  all.bound(l, 0, form.in_lanes).bound(b, 0, to_int(form.grid.in_blocks));
  all.reorder(l, f, t, b, n).vectorize(l).unroll(f);
  if (over_channels(call.schedule)) run_parallel(all, {b}, form.grid.in_blocks, call.schedule["parallel.tasks"]);
  half.compute_at(all, t).bound_extent(rows.vars[3], form.n).bound_extent(rows.vars[4], form.n);
  half.bound_extent(rows.vars[5], form.in_lanes);
  half.vectorize(rows.vars[5]).unroll(rows.vars[4]).unroll(rows.vars[3]);
}

}  // namespace

void apply_winograd(const ApplyCall& call) {
  const Form form = form_of(call);
  const Var band = schedule_output(call, form);
  schedule_product(call, form, band);
  schedule_input(call, form, band);
  schedule_padding(call, band);
}

}  // namespace oc
