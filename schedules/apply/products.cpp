#include "schedules/apply/products.h"

#include <algorithm>

#include "dsl/winograd.h"
#include "schedules/families/products.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::ImageParam;
using Halide::PrefetchBoundStrategy;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

// A transform of more frequencies is a loop over columns, whose body is unrolled: LLVM takes minutes over all of it.
constexpr int64_t kMostUnrolledFrequencies = 36;

constexpr int64_t kMostInBand = 1 << 30;  // points of a band

struct Form {
  ProductGrid grid;
  int in_lanes, out_lanes;
  bool im2col;
  bool exact;            // tiles divide the output
  bool vary;             // its extents, and so the rows of a band
  Halide::Expr columns;  // of im2col: points in a row
  Halide::Expr band;     // rows at a time
  bool unrolled;         // both passes of a transform at once
};

bool over_rows(const Schedule& s) {
  return s["parallel.axis"] == kParallelY && s["parallel.tasks"] > 1;
}

// Where extents vary, about as many points at a time as the schedule has for the example, or where threads share bands
// as many rows. Two tiles at least: an even step has half of that, so that a tile fits wherever it fits into the image.
Halide::Expr band_rows(const ProductGrid& grid, const Schedule& s, const OutputVar& y, const OutputVar& x) {
  if (!y.varies && !x.varies) return to_int(s["band.y"]);
  const auto tiles = [](const OutputVar& loop, int64_t outputs) {
    return Halide::Internal::simplify((loop.size + to_int(outputs - 1)) / to_int(outputs));
  };
  const Halide::Expr down = tiles(y, grid.form.y.outputs() * grid.dilations[0]),
                     across = tiles(x, grid.form.x.outputs() * grid.dilations[1]);
  const Halide::Expr points =
      grid.by_columns ? to_int(grid.dilations[1]) : across * to_int(grid.dilations[0] * grid.dilations[1]);
  // To the nearest row.
  const int64_t most = std::min<int64_t>(s["band.y"] * grid.points + grid.points / 2, kMostInBand);
  const Halide::Expr held = to_int(over_rows(s) ? s["band.y"] : most) / (over_rows(s) ? Halide::Expr(1) : points);
  return even_step(grid.by_columns ? across : down, 1, Halide::max(1, held, to_int(2 * s["tile.x"]) / points));
}

Form form_of(const ApplyCall& call) {
  const Extents out = call.kernel.output().extents();
  const OutputVar &y = *find_var(call.lowered, kY, false), &x = *find_var(call.lowered, kX, false);
  const ProductGrid grid = product_grid(call.kernel, call.schedule["algorithm.form"]);
  const Type& in = call.kernel.graph[call.kernel.anchor_node().inputs[0]].type;
  return {grid,
          to_int(in.layout.block(1)),
          to_int(call.kernel.output().layout.block(1)),
          call.schedule["algorithm.form"] == kIm2col,
          !y.varies && !x.varies && out[kY] % (grid.form.y.outputs() * grid.dilations[0]) == 0 &&
              out[kX] % (grid.form.x.outputs() * grid.dilations[1]) == 0,
          y.varies || x.varies,
          grid.by_columns ? Halide::Expr(1) : x.size,
          band_rows(grid, call.schedule, y, x),
          grid.frequencies <= kMostUnrolledFrequencies};
}

bool over_channels(const Schedule& s) {
  return s["parallel.axis"] == kParallelC && s["parallel.tasks"] > 1;
}

// A pass of a transform: vectors, `inner` unrolled, `outer` too where that is little.
void schedule_pass(const Form& form, Func func, const Var& vector, const Var& inner, const Var& outer) {
  func.vectorize(vector).unroll(inner);
  if (form.unrolled) func.unroll(outer);
}

// Output: bands of rows of tiles; in each, tile after tile is transformed back and stored. Returns the loop over bands.
Var schedule_output(const ApplyCall& call, const Form& form) {
  Lowered& lowered = call.lowered;
  const Schedule& s = call.schedule;
  const ProductGrid& grid = form.grid;
  Func& out = lowered.output;
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const Var y = find_var(lowered, kY, false)->var, x = find_var(lowered, kX, false)->var;
  const Var lane = find_var(lowered, kC, true)->var;
  Var yo("yo"), yi("yi"), xo("xo"), xi("xi"), y_phase("y_phase"), x_phase("x_phase"), band("band"), row("row");
  const TailStrategy tail = form.exact ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
  const int y_dilation = to_int(grid.dilations[0]), x_dilation = to_int(grid.dilations[1]);
  const int y_outputs = grid.form.y.outputs(), x_outputs = grid.form.x.outputs();
  out.split(y, yo, yi, y_outputs * y_dilation, tail).split(yi, yi, y_phase, y_dilation);
  out.split(x, xo, xi, x_outputs * x_dilation, tail).split(xi, xi, x_phase, x_dilation);
  // A band short of rows is shifted inwards: all bands need as much of the stages, and no more than there is.
  const TailStrategy shift = shift_unless_exact(grid.rows, s["band.y"], form.vary);
  out.split(grid.by_columns ? xo : yo, band, row, form.band, shift);
  const Var& group = grid.by_columns ? row : xo;  // of the tiles of a dilated window that interleave
  if (grid.by_columns) {
    out.reorder(lane, xi, yi, x_phase, y_phase, row, c.var, yo, band, n.var);
  } else {
    out.reorder(lane, xi, yi, x_phase, y_phase, xo, row, c.var, band, n.var);
  }

  const Stage &columns = *lowered.stage("columns"), &tile = *lowered.stage("tile");
  Func back = columns.func, whole = tile.func;
  back.compute_at(out, group).bound_extent(columns.vars[4], grid.form.x.products());
  back.bound_extent(columns.vars[5], y_outputs).bound_extent(columns.vars[6], form.out_lanes);
  schedule_pass(form, back, columns.vars[6], columns.vars[5], columns.vars[4]);
  if (form.exact) {
    schedule_pass(form, out, lane, xi, yi);
  } else {
    out.vectorize(lane);
    whole.compute_at(out, group).bound_extent(tile.vars[4], y_outputs).bound_extent(tile.vars[5], x_outputs);
    whole.bound_extent(tile.vars[6], form.out_lanes);
    schedule_pass(form, whole, tile.vars[6], tile.vars[5], tile.vars[4]);
  }
  if (over_channels(s)) {
    run_parallel(out, {c.var}, c.extent, s["parallel.tasks"]);
    return band;
  }
  return share_bands(call, n, band, ceil_div(grid.rows, s["band.y"]), form.vary);
}

// Of im2col: bands of rows; in each, one tile of channel blocks after the other is summed for all points and stored.
struct Im2colLoops {
  Var band, channels;
};

Im2colLoops schedule_points(const ApplyCall& call, const Form& form) {
  Lowered& lowered = call.lowered;
  const Schedule& s = call.schedule;
  Func& out = lowered.output;
  const OutputVar &n = *find_var(lowered, kN, false), &c = *find_var(lowered, kC, false);
  const Var y = find_var(lowered, kY, false)->var, x = find_var(lowered, kX, false)->var;
  const Var lane = find_var(lowered, kC, true)->var;
  Var band("band"), row("row"), channels("channels"), block("block");
  const TailStrategy shift = shift_unless_exact(form.grid.rows, s["band.y"], form.vary);
  out.split(form.grid.by_columns ? x : y, band, row, form.band, shift);
  out.split(c.var, channels, block, to_int(s["tile.c"]), shift_unless_exact(c.extent, s["tile.c"])).vectorize(lane);
  if (form.grid.by_columns) {
    out.reorder(lane, row, block, channels, y, band, n.var);
  } else {
    out.reorder(lane, x, row, block, channels, band, n.var);
  }
  if (over_channels(s)) {
    channels = run_parallel(out, {channels}, ceil_div(c.extent, s["tile.c"]), s["parallel.tasks"]);
  } else {
    band = share_bands(call, n, band, ceil_div(form.grid.rows, s["band.y"]), form.vary);
  }
  return {band, channels};
}

// The matrix products, one for each frequency, inside loop `at` of the output, by register tiles of points × channel
// blocks.
void schedule_product(const ApplyCall& call, const Form& form, const Var& at) {
  const Schedule& s = call.schedule;
  const Stage &product = *call.lowered.stage("product"), &acc = *call.lowered.stage("acc");
  const Var n = product.vars[0], f = product.vars[1], b = product.vars[2], t = product.vars[3], l = product.vars[4];
  Var bo("bo"), bi("bi"), to("to"), ti("ti");
  Func places = product.func, sums = acc.func;
  const int64_t points = s["band.y"] * form.grid.points;
  places.compute_at(call.lowered.output, at).bound_extent(f, to_int(form.grid.frequencies)).bound_extent(n, 1);
  places.bound(l, 0, form.out_lanes);
  if (form.im2col) places.bound_extent(b, to_int(s["tile.c"])).bound_extent(t, form.band * form.columns);
  places.split(t, to, ti, to_int(s["tile.x"]), shift_unless_exact(points, s["tile.x"], form.vary));
  places.split(b, bo, bi, to_int(s["tile.c"]), shift_unless_exact(form.grid.out_blocks, s["tile.c"]));
  places.reorder(l, ti, bi, to, bo, f, n).vectorize(l).unroll(ti).unroll(bi);
  if (over_channels(s)) run_parallel(places, {f}, form.grid.frequencies, s["parallel.tasks"]);

  sums.compute_at(places, to).bound_extent(acc.vars[2], to_int(s["tile.c"]));
  sums.bound_extent(acc.vars[3], to_int(s["tile.x"])).bound_extent(acc.vars[4], form.out_lanes);
  sums.vectorize(acc.vars[4]).unroll(acc.vars[3]).unroll(acc.vars[2]);
  auto outer = static_cast<size_t>(acc.domain.dimensions()) - 1;  // the axes around the channels of a block
  RVar channel("channel"), step("step");
  const int unroll = form.in_lanes % s["unroll.ci"] == 0 ? to_int(s["unroll.ci"]) : 1;
  sums.update().split(acc.reduced(outer), channel, step, unroll);
  std::vector<VarOrRVar> order{acc.vars[4]};
  if (s["order.inner"] == kInnerX) {
    order.insert(order.end(), {acc.vars[3], acc.vars[2]});
  } else {
    order.insert(order.end(), {acc.vars[2], acc.vars[3]});
  }
  order.insert(order.end(), {step, channel});
  while (outer-- > 0) order.emplace_back(acc.reduced(outer));
  order.insert(order.end(), {acc.vars[1], acc.vars[0]});
  sums.update().reorder(order).vectorize(acc.vars[4]).unroll(acc.vars[3]).unroll(acc.vars[2]).unroll(step);
  if (s["prefetch.w"] == 0) return;
  // One vector of weights a step: of a longer piece Halide asks for every fourth line of cache only. Past the end it
  // asks for what does not exist, which is no error.
  const ImageParam& weights = call.lowered.inputs[static_cast<size_t>(call.kernel.input_of_anchor(1))];
  sums.update().prefetch(weights, step, channel, to_int(ceil_div(s["prefetch.w"], unroll)),
                         PrefetchBoundStrategy::NonFaulting);
}

// The copies of im2col or the transformed input, for a band.
void schedule_input(const ApplyCall& call, const Form& form, const Var& band) {
  const Stage& input = *call.lowered.stage("input");
  const Var n = input.vars[0], f = input.vars[1], b = input.vars[2], t = input.vars[3], l = input.vars[4];
  Func all = input.func;
  all.compute_at(call.lowered.output, band).bound_extent(f, to_int(form.grid.copies)).bound_extent(n, 1);
  all.bound(l, 0, form.in_lanes).bound(b, 0, to_int(form.grid.in_blocks));
  Var outer("outer"), inner("inner");
  if (form.im2col) {
    all.vectorize(l).reorder(f, b);
    // By rows: the place in one needs no division.
    if (!form.grid.by_columns) all.align_bounds(t, form.columns).split(t, outer, inner, form.columns);
  } else {
    all.split(f, outer, inner, form.grid.form.x.products()).reorder(l, inner, outer, t, b, n);
    schedule_pass(form, all, l, inner, outer);
    const Stage& rows = *call.lowered.stage("rows");
    Func half = rows.func;
    half.compute_at(all, t).bound_extent(rows.vars[3], form.grid.form.x.inputs());
    half.bound_extent(rows.vars[4], form.grid.form.y.products()).bound_extent(rows.vars[5], form.in_lanes);
    schedule_pass(form, half, rows.vars[5], rows.vars[4], rows.vars[3]);
  }
  if (over_channels(call.schedule)) run_parallel(all, {b}, form.grid.in_blocks, call.schedule["parallel.tasks"]);
}

}  // namespace

void apply_products(const ApplyCall& call) {
  const Form form = form_of(call);
  if (form.im2col) {
    const auto [band, channels] = schedule_points(call, form);
    schedule_product(call, form, channels);
    return schedule_input(call, form, band);
  }
  const Var band = schedule_output(call, form);
  schedule_product(call, form, band);
  schedule_input(call, form, band);
  schedule_padding(call, {band, band});
}

}  // namespace oc
