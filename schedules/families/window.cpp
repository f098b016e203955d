// Window: convolution, transposed convolution, pooling over [n, c, y, x]. A register tile of tile.x output columns ×
// tile.c channel blocks (vectors of channels when the output is channel-blocked; else vectors of columns × channels).
// Rows are walked in bands whose zero-padded input is made just before.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "schedules/families/products.h"

namespace oc {
namespace {

constexpr double kClearlyMoreEven = 0.04;  // of the threads' time
constexpr double kPerDoubling = 0.9;       // of the cycles of a form with half the weights
constexpr int64_t kBandsPerThread = 4;     // at least, where there are as many rows
constexpr int64_t kFewChannels = 4;        // that an output reads, as a first layer's
constexpr int64_t kFewPoints = 2 * kMostTall;
constexpr double kCheckOps = 4;         // of taps of a tile that ask whether they are inside the input
constexpr int64_t kSumsWorthACopy = 8;  // vectors of sums an element of the input

// Workloads have no empty tensors (analyse() refuses them), so no extent is 0.
struct View {
  int64_t channels, rows, columns;  // of the output: channel blocks (or channels when plain), y, x
  int64_t lanes;                    // vector width: the channel block, or along x when plain
  int64_t column_step;              // output columns a unit of tile.x covers
  int64_t stride_x = 1;             // of a transposed convolution: tile.x is best a multiple
  int64_t ci = 1, ky, kx;
  int64_t in_block = 1;
  bool by_channel = false;  // pooling, depthwise: no two output channels read the same input
};

int64_t reduced_extent(const Kernel& kernel, std::string_view name) {
  for (const Axis& axis : kernel.axes)
    if (axis.name == name) return axis.extent;
  return 1;
}

View look(const Kernel& kernel, const Target& target) {
  const Type& out = kernel.output();
  const int64_t block = out.layout.block(1);
  View v{};
  v.channels = ceil_div(out.shape[1].extent, block);
  v.rows = out.shape[2].extent;
  v.columns = out.shape[3].extent;
  v.lanes = block > 1 ? block : vector_width(target.lanes(static_cast<int>(dtype_size(out.dtype))), v.columns);
  v.column_step = block > 1 ? 1 : v.lanes;
  if (is_transposed(kernel)) v.stride_x = kernel.anchor_node().attrs.integers("strides")[1];
  v.ci = reduced_extent(kernel, "ci");
  v.ky = reduced_extent(kernel, "ky");
  v.kx = reduced_extent(kernel, "kx");
  const Type& in = kernel.graph[kernel.anchor_node().inputs[0]].type;
  v.in_block = in.layout.block(1);
  v.by_channel = v.ci == 1 && kernel.anchor_node().attrs.integer("group", out.shape[1].extent) == out.shape[1].extent;
  return v;
}

int64_t column_units(const View& v) {
  return std::max<int64_t>(1, v.columns / v.column_step);
}

// The copies of im2col pad on their way.
bool has_padding(const Kernel& kernel, const Schedule& s) {
  if (s["algorithm.form"] != kDirect) return s["algorithm.form"] != kIm2col;
  const Extents pads = kernel.anchor_node().attrs.integers("pads", {});
  return !is_transposed(kernel) && std::ranges::any_of(pads, [](int64_t pad) { return pad > 0; });
}

std::string reject(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (std::string reason = outside_limits(family_info(Family::window), s); !reason.empty()) return reason;
  if (s["algorithm.form"] != kDirect) return product_reject(kernel, s);
  if (std::string reason = prefetch_reject(kernel, s); !reason.empty()) return reason;
  const View v = look(kernel, target);
  if (s["tile.x"] > column_units(v)) return fmt::format("tile x={} of {}", s["tile.x"], column_units(v));
  if (s["tile.c"] > v.channels) return fmt::format("tile c={} of {}", s["tile.c"], v.channels);
  if (s["band.y"] > v.rows) return fmt::format("band y={} of {} rows", s["band.y"], v.rows);
  const int64_t unrolled = s["tile.x"] * s["tile.c"] * s["unroll.ci"] * (s["unroll.kx"] != 0 ? v.kx : 1);
  if (unrolled > kMaxUnrolled) return fmt::format("{} unrolled statements; the limit is {}", unrolled, kMaxUnrolled);
  if (s["parallel.tasks"] > 1 && s["pad.at"] == kPadBand && has_padding(kernel, s)) {
    if (s["parallel.axis"] == kParallelC)
      return "parallel over c needs pad at=root or inline, or every task pads the whole input";
    if (s["parallel.axis"] == kParallelX && kernel.extent("n") > 1)
      return "parallel over x of several images needs pad at=root or inline, or every task pads whole rows";
  }
  return {};
}

// Channels that the innermost loop over them runs along: a block of the input when whole blocks are summed.
int64_t channels_summed(const Kernel& kernel, const View& v, const Schedule& s) {
  if (s["algorithm.form"] != kDirect) return v.in_block;
  const int w = kernel.input_of_anchor(1);
  const bool padded = v.ci > 1 && w >= 0 && kernel.is_weight(static_cast<size_t>(w)) &&
                      kernel.anchor_node().attrs.integer("group", 1) == 1;
  return v.in_block > 1 && (padded || v.ci % v.in_block == 0) ? v.in_block : v.ci;
}

// Pieces that tasks along the axis share among them.
int64_t count_pieces(const Kernel& kernel, const View& v, const Schedule& s, int64_t axis) {
  const int64_t images = kernel.output().shape[0].extent;
  if (axis == kParallelC) return images * ceil_div(v.channels, s["tile.c"]);
  if (axis == kParallelX) return images * ceil_div(v.columns, s["tile.x"] * v.column_step);
  return images * ceil_div(v.rows, s["band.y"]);
}

// What has one piece along several axes is the same along each; what has no tasks, along any.
void settle_parallel(const Kernel& kernel, const View& v, Schedule& s) {
  const Type& in = kernel.graph[kernel.anchor_node().inputs[0]].type;
  std::vector<int64_t> loops;
  if (s["pad.at"] == kPadRoot)
    loops.push_back(physical_size(in.layout, in.extents()) / (in.shape[3].extent * v.in_block));
  if (s["algorithm.form"] != kDirect) {
    std::ranges::copy(product_loops(kernel, s), std::back_inserter(loops));
  } else {
    const auto whole = [&](int64_t axis) { return count_pieces(kernel, v, s, axis) == 1; };
    for (const int64_t axis : {kParallelC, kParallelY})
      if (whole(axis) && whole(s["parallel.axis"])) s.values["parallel.axis"] = axis;
    loops.push_back(count_pieces(kernel, v, s, s["parallel.axis"]));
  }
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], loops);
  if (s["parallel.tasks"] == 1) s.values["parallel.axis"] = kParallelY;
}

void settle(const Kernel& kernel, const Target& target, Schedule& s) {
  const View v = look(kernel, target);
  if (s["tile.x"] == 1 || s["tile.c"] == 1) s.values["order.inner"] = kInnerC;
  if (!has_padding(kernel, s)) s.values["pad.at"] = kPadInline;
  if (channels_summed(kernel, v, s) % s["unroll.ci"] != 0) s.values["unroll.ci"] = 1;
  if (v.kx == 1) s.values["unroll.kx"] = 0;
  settle_parallel(kernel, v, s);
}

struct Shares {
  int64_t axis, pieces;
};

// Rows while there are enough and the second level holds what each of them reads again; else what makes each thread
// read less: its columns' input with all weights, or its channels' weights with all input. Unless another way comes out
// clearly more even. A pointwise convolution has one long row (its y and x are fused).
Shares shares(const Kernel& kernel, const Target& target, const View& v, const RegisterTile& tile, int threads) {
  const Type& in = kernel.graph[kernel.anchor_node().inputs[0]].type;
  const int64_t images = in.shape[0].extent;
  const auto& operands = kernel.anchor_node().inputs;
  const int64_t weights = operands.size() > 1 ? kernel.graph[operands[1]].type.bytes() : 0;
  std::vector<Shares> ways{{kParallelX, images * ceil_div(column_units(v), tile.rows)},
                           {kParallelC, images * ceil_div(v.channels, tile.vectors)}};
  if (in.bytes() <= weights) std::swap(ways[0], ways[1]);
  const bool far = weights > target.l2_bytes / 2 && weights > in.bytes();
  const bool many_rows = images * v.rows >= 2 * threads && !far;
  ways.insert(many_rows ? ways.begin() : ways.end(), {kParallelY, images * v.rows});
  Shares best = ways[0];
  for (const Shares& way : ways)
    if (coverage(way.pieces, threads) > coverage(best.pieces, threads) + kClearlyMoreEven) best = way;
  return best;
}

// Columns of a tile channel by channel: one over several channels shares nothing, and neighbours in a row share what
// they read. Beside the sums, registers hold a weight, an input on its way and, of each class of input columns modulo
// the stride that several taps read, one a sum. A tile costs its columns and about one more.
int64_t columns_by_channel(const Kernel& kernel, const Target& target, const View& v) {
  const int64_t stride = kernel.anchor_node().attrs.integers("strides", Extents{1, 1})[1];
  const int64_t shared = std::clamp<int64_t>(v.kx - stride, 1, stride);
  const int64_t most = (target.vector_registers - 2) / (1 + shared);
  const bool varies = kernel.axis("x").varies;
  const auto pieces = [&](int64_t tile) {  // whole ones where the columns are known, so that ties are exact
    return varies ? static_cast<double>(v.columns) / (static_cast<double>(tile) * coverage(v.columns, tile, true))
                  : static_cast<double>(ceil_div(v.columns, tile));
  };
  const auto cost = [&](int64_t tile) { return static_cast<double>(tile + 1) * pieces(tile); };
  int64_t best = 1;
  for (int64_t tile = 2; tile <= std::min(most, v.columns); ++tile)
    if (cost(tile) <= cost(best)) best = tile;
  return best;
}

// Weights that stream from beyond so many bytes of cache.
bool streams_from(const Kernel& kernel, int64_t beyond) {
  return weights_stream(kernel, kDirect) &&
         kernel.input(static_cast<size_t>(kernel.input_of_anchor(1))).bytes() > beyond;
}

RegisterTile direct_tile(const Kernel& kernel, const Target& target, const View& v) {
  if (v.by_channel && v.column_step == 1) return {columns_by_channel(kernel, target, v), 1};
  // Where there are few points, reading the weights takes long beside the products.
  const bool few_points = v.rows == 1 && v.columns <= kFewPoints;
  if (few_points && streams_from(kernel, target.l2_bytes / 2))
    return streaming_tile(kernel, target, v.columns, v.channels, 1);
  return best_tile(column_units(v), v.channels, target,
                   {.row_multiple = v.column_step > 1 ? 1 : v.stride_x, .rows_vary = kernel.axis("x").varies});
}

// Whether a padded copy of the input costs a good part of the sums: those of few taps, to few vectors of channels.
bool copy_costs(const Kernel& kernel, const View& v) {
  const Extents strides = kernel.anchor_node().attrs.integers("strides", Extents{1, 1});
  return v.column_step == 1 && v.ci <= kFewChannels &&
         v.kx * v.ky * v.channels <= kSumsWorthACopy * strides[0] * strides[1];
}

Schedule direct_fallback(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  const RegisterTile tile = direct_tile(kernel, target, v);
  const bool ahead = tile.vectors == 1 && streams_from(kernel, target.l1_bytes);
  const int64_t per_statement = tile.rows * tile.vectors;
  const bool unroll_kx = v.ci <= kFewChannels && per_statement * v.kx <= kMaxUnrolled;
  // Rows of padded input that fit half of L2 at once.
  const Type& in = kernel.graph[kernel.anchor_node().inputs[0]].type;
  const int64_t row_bytes = in.bytes() / (in.shape[0].extent * in.shape[2].extent);
  int64_t band = std::clamp<int64_t>(target.l2_bytes / 2 / row_bytes, 1, v.rows);
  const auto [axis, pieces] = shares(kernel, target, v, tile, threads);
  int64_t tasks = default_tasks(kernel, target, threads, pieces);
  if (tasks > 1 && axis == kParallelY) {
    const int64_t images = pieces / v.rows;
    band = even_band(images, v.rows, std::min(band, ceil_div(pieces, kBandsPerThread * threads)), threads);
    tasks = default_tasks(kernel, target, threads, images * ceil_div(v.rows, band));
  } else {
    band = even_piece(v.rows, band);
  }
  // Where extents vary, tests of coordinates take longer than the copy: 49 µs against 28 for a first layer.
  const bool varies = kernel.axis("y").varies || kernel.axis("x").varies;
  const bool no_copy = !varies && (v.by_channel || copy_costs(kernel, v));
  const int64_t pad = no_copy ? kPadInline : tasks > 1 && axis != kParallelY ? kPadRoot : kPadBand;
  return make_schedule(family_info(Family::window), {{"tile.x", tile.rows},
                                                     {"tile.c", tile.vectors},
                                                     {"unroll.ci", unroll_kx ? 1 : 2},
                                                     {"unroll.kx", unroll_kx ? 1 : 0},
                                                     {"order.inner", tile.rows <= tile.vectors ? kInnerX : kInnerC},
                                                     {"band.y", band},
                                                     {"pad.at", pad},
                                                     {"prefetch.w", ahead ? prefetch_distance(target) : 0},
                                                     {"parallel.axis", axis},
                                                     {"parallel.tasks", tasks}});
}

// The share of another form's cycles that a form may take at most to be chosen: clearly fewer, and the fewer the more
// weights it has, which take memory, and cache from the other kernels.
double share_to_choose(double weights, double weights_of_other) {
  return std::min(kClearlyFaster, std::pow(kPerDoubling, std::log2(weights / weights_of_other)));
}

// Direct convolution, unless a roofline estimate finds that a form saves enough, and of forms the one with fewer
// outputs at once unless the next does, beside the best so far.
Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  Schedule best = direct_fallback(kernel, target, threads);
  for (const int64_t form : product_forms(kernel)) {
    Schedule other = product_fallback(kernel, target, threads, form);
    const double share = share_to_choose(weight_bytes(kernel, form), weight_bytes(kernel, best["algorithm.form"]));
    if (window_cycles(kernel, target, threads, other) < share * window_cycles(kernel, target, threads, best))
      best = std::move(other);
  }
  return best;
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  Space result{Family::window, {}, {}};
  int64_t rows = v.rows;
  bool ahead = weights_stream(kernel, kDirect);
  if (std::vector<int64_t> forms = product_forms(kernel); !forms.empty()) {
    ahead = ahead || weights_stream(kernel, forms.front());
    result.starts.push_back(direct_fallback(kernel, target, threads));
    for (const int64_t form : forms) {
      rows = std::max(rows, product_grid(kernel, form).rows);
      result.starts.push_back(product_fallback(kernel, target, threads, form));
    }
    forms.push_back(kDirect);
    std::ranges::sort(forms);
    result.knobs.push_back({"algorithm.form", std::move(forms)});
  }
  if (ahead) result.knobs.push_back({"prefetch.w", {0, prefetch_distance(target)}});
  result.knobs.push_back(
      {"tile.x", up_to(std::min<int64_t>(column_units(v), 28), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 28})});
  result.knobs.push_back({"tile.c", up_to(std::min<int64_t>(v.channels, 6), {1, 2, 3, 4, 6})});
  if (v.ci > 1) result.knobs.push_back({"unroll.ci", up_to(std::min<int64_t>(v.ci, 8), {1, 2, 4, 8})});
  if (v.kx > 1) result.knobs.push_back({"unroll.kx", {0, 1}});
  result.knobs.push_back({"order.inner", {kInnerX, kInnerC}});
  result.knobs.push_back({"band.y", up_to(rows, {1, 2, 3, 4, 5, 7, 8, 14, 16, 28, 32, 56, 64})});
  result.knobs.push_back({"pad.at", {kPadBand, kPadRoot, kPadInline}});
  if (threads > 1) {
    result.knobs.push_back({"parallel.axis", {kParallelY, kParallelC, kParallelX}});
    result.knobs.push_back(tasks_knob(threads));
  }
  result.legal = [kernel, target](const Schedule& s) {
    return reject(kernel, target, s).empty() && s["tile.x"] * s["tile.c"] < target.vector_registers;
  };
  return result;
}

// Weights [o, i/group, kh, kw] (transposed: [i, o/group, kh, kw]) with the output's channel block innermost and, when
// the input is blocked too, its block just outside: the inner loop then reads weights in order.
Packings packings(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (s["algorithm.form"] != kDirect) return product_packings(kernel, s["algorithm.form"]);
  Packings result(kernel.graph.inputs.size());
  const int w = kernel.input_of_anchor(1);
  if (w < 0 || !kernel.is_weight(static_cast<size_t>(w))) return result;
  const View v = look(kernel, target);
  const int out_dim = is_transposed(kernel) ? 1 : 0;
  const int64_t out_block = kernel.output().layout.block(1);
  Layout layout{.order = {0, 1, 2, 3}, .blocks = {}};
  if (is_transposed(kernel)) layout.order = {1, 0, 2, 3};
  const bool in_order = has_one_tap(kernel) && v.ci % v.in_block == 0;  // of the channels, without blocks
  if (v.in_block > 1 && v.ci > 1 && !in_order) layout.blocks.push_back({1 - out_dim, v.in_block});
  if (out_block > 1) layout.blocks.push_back({out_dim, out_block});
  if (!layout.plain()) result[static_cast<size_t>(w)] = Packing{.transform = "", .layout = layout};
  return result;
}

// Bytes of padded input that are written and read again.
double padded_bytes(const Kernel& kernel, const View& v, const Schedule& s) {
  if (!has_padding(kernel, s) || s["pad.at"] == kPadInline) return 0;
  const auto input = static_cast<double>(kernel.graph[kernel.anchor_node().inputs[0]].type.bytes());
  const int64_t stride = kernel.anchor_node().attrs.integers("strides", Extents{1, 1})[0], band = s["band.y"] * stride;
  const bool bands = s["pad.at"] == kPadBand;  // of which neighbours overlap
  return 2 * input *
         (bands ? static_cast<double>(band + std::max<int64_t>(0, v.ky - stride)) / static_cast<double>(band) : 1);
}

std::vector<Nest> direct_nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kAxisN, kAxisC, kAxisY, kAxisX, kAxisIn, kAxisKy, kAxisKx };
  const View v = look(kernel, target);
  const Type& out = kernel.output();
  const int64_t images = out.shape[0].extent, block = out.layout.block(1);
  const int64_t channels = v.channels * block, columns = s["tile.x"] * v.column_step, tile_c = s["tile.c"] * block;
  const auto element = static_cast<int64_t>(dtype_size(out.dtype));
  const Extents strides = kernel.anchor_node().attrs.integers("strides", Extents{1, 1});
  const Extents dilations = kernel.anchor_node().attrs.integers("dilations", Extents{1, 1});
  const bool transposed = is_transposed(kernel);

  Nest nest{.extents = {images, channels, v.rows, v.columns, v.ci, v.ky, v.kx}};
  const bool shared = s["parallel.tasks"] > 1;
  const NestLoop n{kAxisN, 1}, c{kAxisC, tile_c}, band{kAxisY, s["band.y"]}, y{kAxisY, 1}, x{kAxisX, columns};
  nest.loops = {n, band, c, y, x};
  if (shared && s["parallel.axis"] == kParallelC) nest.loops = {n, c, band, y, x};
  if (shared && s["parallel.axis"] == kParallelX) {
    const int64_t each = ceil_div(ceil_div(v.columns, columns), s["parallel.tasks"]) * columns;
    nest.loops = {n, {kAxisX, each}, band, c, y, x};
  }
  for (const NestLoop& sum :
       {NestLoop{kAxisIn, v.in_block}, NestLoop{kAxisKy, 1}, NestLoop{kAxisKx, 1}, NestLoop{kAxisIn, s["unroll.ci"]}})
    nest.loops.push_back(sum);

  const int64_t sy = transposed ? 1 : strides[0], sx = transposed ? 1 : strides[1];
  const int channel = v.by_channel ? kAxisC : kAxisIn;
  NestTensor in{.element = element,
                .dims = {{{kAxisN, 1}},
                         {{channel, 1}},
                         {{kAxisY, sy}, {kAxisKy, dilations[0]}},
                         {{kAxisX, sx}, {kAxisKx, dilations[1]}}}};
  NestTensor result{NestTensor::Role::result, element, {{{kAxisN, 1}}, {{kAxisC, 1}}, {{kAxisY, 1}}, {{kAxisX, 1}}}};
  // Channels of a block lie innermost.
  if (v.in_block > 1) std::rotate(in.dims.begin() + 1, in.dims.begin() + 2, in.dims.end());
  if (block > 1) std::rotate(result.dims.begin() + 1, result.dims.begin() + 2, result.dims.end());
  nest.tensors = {in, result};
  if (kernel.anchor_node().inputs.size() > 1)
    nest.tensors.push_back({NestTensor::Role::weight,
                            element,
                            {{{kAxisKy, 1}}, {{kAxisKx, 1}}, {{kAxisIn, 1}}, {{kAxisC, 1}}},
                            {{3, 2, 0, 1}, {{2, v.ci > 1 ? v.in_block : 1}, {3, block}}}});

  nest.flops = kernel.flops;
  nest.computed = 1 / (coverage(v.columns, columns) * coverage(v.channels, s["tile.c"]) *
                       coverage(v.rows, s["band.y"]) * coverage(out.shape[1].extent, block));
  nest.lanes = v.lanes;
  nest.sums = s["tile.x"] * s["tile.c"];
  nest.loads = v.by_channel ? nest.sums + s["tile.c"] : s["tile.x"] + s["tile.c"];
  nest.held = v.by_channel ? 2 : operands_held(s["tile.x"], s["tile.c"], target);
  nest.depth = v.ci * v.ky * v.kx;
  nest.body = nest.sums * s["unroll.ci"] * (s["unroll.kx"] != 0 ? v.kx : 1);
  const bool checks = has_padding(kernel, s) && s["pad.at"] == kPadInline;
  const int64_t taps = s["unroll.kx"] != 0 ? v.kx : 1, step = nest.sums * std::min(v.ci, v.in_block) * taps;
  if (checks) nest.extra_ops = kCheckOps * nest.flops / 2 * nest.computed / static_cast<double>(v.lanes * step);
  // Neighbouring taps of a channel read the same columns, which stay in registers where no check parts them.
  if (v.by_channel && taps > 1 && !checks) nest.held = (s["tile.x"] - 1) * sx + v.kx + s["tile.c"];
  nest.extra_bytes = padded_bytes(kernel, v, s);
  nest.pieces = count_pieces(kernel, v, s, s["parallel.axis"]);
  nest.tasks = s["parallel.tasks"];
  return {nest};
}

// Tiles, and bands of rows of products, shift inwards.
std::vector<int64_t> least_extents(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : size_t { kAxisY = 2, kAxisX = 3 };
  std::vector<int64_t> least(kernel.axes.size(), 1);
  if (s["algorithm.form"] == kDirect) {
    least[kAxisX] = s["tile.x"] * look(kernel, target).column_step;
    return least;
  }
  const ProductGrid grid = product_grid(kernel, s["algorithm.form"]);
  const int64_t down = grid.form.y.outputs() * grid.dilations[0], across = grid.form.x.outputs() * grid.dilations[1];
  // A tile fits into a band wherever it fits into the image: into all of it, or a part of the example's proportions.
  const int64_t points = grid.by_columns ? grid.dilations[1] : grid.dilations[0] * grid.dilations[1];
  if (grid.by_columns) {
    least[kAxisX] = (ceil_div(s["tile.x"], points) - 1) * across + 1;
    return least;
  }
  int64_t rows = kernel.axis("y").varies ? 1 : grid.rows;
  while (rows * rows * grid.points < s["tile.x"] * grid.rows) ++rows;
  least[kAxisY] = (rows - 1) * down + 1;
  least[kAxisX] = (ceil_div(s["tile.x"], rows * points) - 1) * across + 1;
  return least;
}

std::vector<Nest> nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (s["algorithm.form"] == kDirect) return direct_nests(kernel, target, s);
  Nest product = product_nest(kernel, target, s);
  product.extra_bytes += padded_bytes(kernel, look(kernel, target), s);
  return {product};
}

}  // namespace

const FamilyInfo& family_window() {
  static const FamilyInfo info = {
      .family = Family::window,
      .version = 1,
      .grammar = {{.name = "algorithm.form", .words = window_forms(), .fallback = kDirect, .of_extents = true},
                  {.name = "tile.x", .max = 64},
                  {.name = "tile.c", .max = 16},
                  {.name = "unroll.ci", .max = 16},
                  {.name = "unroll.kx", .min = 0, .max = 1, .fallback = 0},
                  {.name = "order.inner", .words = {"x", "c"}, .fallback = kInnerC},
                  {.name = "band.y", .max = 1 << 20, .of_extents = true},
                  {.name = "pad.at", .words = {"band", "root", "inline"}, .fallback = kPadBand, .of_extents = true},
                  {.name = "prefetch.w", .min = 0, .max = 1024, .fallback = 0, .of_extents = true},
                  {.name = "parallel.axis", .words = {"y", "c", "x"}, .fallback = kParallelY, .of_extents = true},
                  {.name = "parallel.tasks", .max = kMaxTasks, .of_extents = true}},
      .space = space,
      .fallback = fallback,
      .why_illegal = reject,
      .packings = packings,
      .settle = settle,
      .nests = nests,
      .least_flops = winograd_least_flops,
      .can_vary = [](const Axis& axis) { return axis.name == "n" || axis.name == "y" || axis.name == "x"; },
      .least_extents = least_extents,
  };
  return info;
}

}  // namespace oc
