#include "schedules/families/products.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "dsl/im2col.h"
#include "dsl/winograd.h"

namespace oc {
namespace {

constexpr double kExposed = 0.5;     // of the time that weights take which are asked for ahead
constexpr double kCacheBytes = 24;   // a cycle, from the second level
constexpr double kEvenRows = 0.95;   // of the threads' time, above which rows of tiles are shared
constexpr double kTermCycles = 0.4;  // a vector of a term of a transform takes, loads and stores included
constexpr double kCopyCycles = 5;    // a vector that im2col copies takes

constexpr int kMostOutputs = 16;  // of a tile

constexpr double kWeightsCost = 2;  // a vector of weights takes, in points of a tall tile

// Points of a tile of one channel block: enough to hide the latency of an FMA.
constexpr int64_t kLeastTall = 8;

const Type& input_type(const Kernel& kernel) {
  return kernel.graph[kernel.anchor_node().inputs[0]].type;
}

bool extents_vary(const Kernel& kernel) {
  return kernel.axis("y").varies || kernel.axis("x").varies;
}

// Whether the weights of a channel block lie in the order of the input's channels without padding between them, so that
// what comes some channels later lies as far ahead.
bool streams(const Kernel& kernel) {
  return kernel.extent("ci") % input_type(kernel).layout.block(1) == 0;
}

// Points of a tile over about so many, which repeats half a tile of them: a step takes the time of its points and that
// of a vector of weights.
int64_t tall_of_many(int64_t points, int64_t most) {
  const auto tall = static_cast<int64_t>(std::sqrt(2 * kWeightsCost * static_cast<double>(points)));
  return std::clamp<int64_t>(tall, std::min(kLeastTall, most), most);
}

// Whether a block of weights is one line of cache, as with AVX-512: a tile of one block then is no slower than others
// even where two FMAs a cycle take one operand each from memory. Narrower ones keep them waiting.
bool fills_lines(const Kernel& kernel) {
  return kernel.output().layout.block(1) * static_cast<int64_t>(dtype_size(kernel.output().dtype)) == kCacheLine;
}

// Bytes of the transformed or copied input and of the products that one row of points needs; im2col makes those of a
// tile of channel blocks at a time.
int64_t row_bytes(const Kernel& kernel, const ProductGrid& grid) {
  const int64_t in = grid.in_blocks * input_type(kernel).layout.block(1) * grid.copies;
  const int64_t out = grid.im2col ? 0 : grid.out_blocks * kernel.output().layout.block(1) * grid.frequencies;
  return grid.points * (in + out) * 4;
}

double product_weight_bytes(const Kernel& kernel, const ProductGrid& grid) {
  return static_cast<double>(grid.frequencies * grid.taps * kernel.extent("ci") * kernel.output().shape[1].extent * 4);
}

// Cycles until all weights are there: asked for ahead, half of them arrive beside the products.
double memory_cycles(double bytes, bool ahead) {
  return bytes / kMemoryBytes * (ahead ? kExposed : 1);
}

// Cycles in which threads wait for caches. Each band of rows but the first reads all weights again, which the last
// cache holds or only memory, whose speed threads do not share out. What a band makes goes through the second level and
// beyond where it exceeds half of that; through the last where each stage shares its channels among the threads. Half
// of a level, because other things lie there too.
double traffic_cycles(const Kernel& kernel, const Target& target, const ProductGrid& grid, int64_t band, bool ahead,
                      double threads = 1, bool over_channels = false) {
  const int64_t images = kernel.output().shape[0].extent;
  const double weights = product_weight_bytes(kernel, grid),
               bands = static_cast<double>(images * ceil_div(grid.rows, band));
  const auto made = static_cast<double>(images * grid.rows * row_bytes(kernel, grid));
  const auto l2 = static_cast<double>(target.l2_bytes) / 2, l3 = static_cast<double>(target.l3_bytes) / 2;
  const double again = weights > l3   ? memory_cycles((bands - 1) * weights, ahead) * threads
                       : weights > l2 ? (bands - 1) * weights / kCacheBytes
                                      : 0;
  const double held = static_cast<double>(band * row_bytes(kernel, grid));
  const double far = held > l2 || over_channels ? 2 * made / (held > l3 ? kMemoryBytes : kCacheBytes) : 0;
  return (again + far) / threads;
}

// Rows of tiles at a time: as many as half of the second level holds, or all where weights are what is read most. Where
// extents vary they come out even when the kernel runs, and may be more than the example has.
int64_t band_of(const Kernel& kernel, const Target& target, const ProductGrid& grid) {
  const int64_t held = std::max<int64_t>(1, target.l2_bytes / 2 / row_bytes(kernel, grid));
  const int64_t band = extents_vary(kernel) ? held : even_piece(grid.rows, std::min(held, grid.rows));
  const auto traffic = [&](int64_t rows) { return traffic_cycles(kernel, target, grid, rows, fills_lines(kernel)); };
  return band < grid.rows && traffic(grid.rows) < traffic(band) ? grid.rows : band;
}

// An input that the second level does not hold would come from farther away once padded as a whole; padded band by band
// it stays near, and takes little memory.
int64_t pad_place(const Kernel& kernel, const Target& target) {
  const Type& in = input_type(kernel);
  return in.bytes() / in.shape[0].extent > target.l2_bytes ? kPadBand : kPadRoot;
}

const Type& weight_type(const Kernel& kernel) {
  return kernel.graph[kernel.anchor_node().inputs[1]].type;
}

Extents window_integers(const Kernel& kernel, std::string_view name) {
  return kernel.anchor_node().attrs.integers(name, Extents{1, 1});
}

// Empty if the kernel is one that the forms called `name` are for.
std::string why_no_products(const Kernel& kernel, std::string_view name) {
  const Node& node = kernel.anchor_node();
  const int w = kernel.input_of_anchor(1);
  if (node.op != "conv" && !is_transposed(kernel)) return fmt::format("{} is for convolutions, not {}", name, node.op);
  if (w < 0 || !kernel.is_weight(static_cast<size_t>(w))) return fmt::format("{} needs constant weights", name);
  if (node.attrs.integer("group", 1) != 1) return fmt::format("{} is for convolutions of one group", name);
  if (kernel.output().dtype != DType::f32) return fmt::format("{} is for f32", name);
  if (input_type(kernel).layout.block(1) == 1 || kernel.output().layout.block(1) == 1)
    return fmt::format("{} needs channel-blocked input and output", name);
  return {};
}

// Empty if the kernel is of a kind that can be computed by Winograd.
std::string why_no_winograd(const Kernel& kernel) {
  if (std::string reason = why_no_products(kernel, "Winograd"); !reason.empty()) return reason;
  const Extents strides = window_integers(kernel, "strides"), dilations = window_integers(kernel, "dilations");
  const Extents taps = weight_type(kernel).extents();
  for (size_t i = 0; i < 2; ++i) {
    if (is_transposed(kernel) && taps[2 + i] > 1 && (strides[i] == 1 || dilations[i] > 1))
      return "Winograd takes transposed convolutions with strides and without dilations";
    if (strides[i] > 1 && dilations[i] > 1) return "Winograd takes strides or dilations, not both along one axis";
  }
  return {};
}

std::string why_no_im2col(const Kernel& kernel) {
  if (std::string reason = why_no_products(kernel, "im2col"); !reason.empty()) return reason;
  if (is_transposed(kernel)) return "im2col is for convolutions that are not transposed";
  if (has_one_tap(kernel) && window_integers(kernel, "strides") == Extents{1, 1})
    return "im2col would copy what lies in order: one tap of stride 1";
  return {};
}

Im2col im2col_of(const Kernel& kernel) {
  const Extents taps = weight_type(kernel).extents();
  return im2col(taps[2], taps[3], window_integers(kernel, "strides")[0], window_integers(kernel, "dilations")[0],
                kernel.output().shape[2].extent);
}

// Errors of two axes multiply: 6 outputs at once pass along one axis only (tests/dsl/winograd_test.cpp measures them).
std::string why_no_form(const Winograd& form) {
  const int multiplications = form.y.m * form.y.r * form.x.m * form.x.r;
  if (form.frequencies() >= multiplications) return fmt::format("{} saves no multiplication", form.name());
  if (std::max(form.y.points(), form.x.points()) > kMostPoints || form.y.m * form.x.m > kMostOutputs)
    return fmt::format("the errors of {} are too large", form.name());
  return {};
}

int64_t outputs_at_once(int64_t form) {
  return form == kWinograd2 ? 2 : form == kWinograd4 ? 4 : 6;
}

// Terms of the sums that a transform by a matrix has.
int64_t terms(const Matrix& matrix) {
  int64_t count = 0;
  for (const std::vector<double>& row : matrix) count += std::ranges::count_if(row, [](double x) { return x != 0; });
  return count;
}

// That threads share where they split channels: frequencies, of im2col tiles of so many channel blocks.
int64_t pieces_over_channels(const ProductGrid& grid, int64_t tile) {
  return grid.im2col ? ceil_div(grid.out_blocks, tile) : grid.frequencies;
}

// Terms of both passes of the transforms of one tile: of one input channel, of one output channel. Of im2col a term is
// a copy of a number.
struct TransformTerms {
  int64_t input, output;
};

TransformTerms transform_terms(const ProductGrid& grid) {
  if (grid.im2col) return {grid.copies, 1};
  const Winograd& form = grid.form;
  const FilterMatrices y = filter_matrices(form.y), x = filter_matrices(form.x);
  return {terms(y.input) * form.x.inputs() + terms(x.input) * form.y.products(),
          terms(y.output) * form.x.products() + terms(x.output) * form.y.outputs()};
}

}  // namespace

const std::vector<std::string>& window_forms() {
  static const std::vector<std::string> kForms = {"direct", "winograd2", "winograd4", "winograd6", "im2col"};
  return kForms;
}

bool is_transposed(const Kernel& kernel) {
  return kernel.anchor_node().op == "conv_transpose";
}

bool has_one_tap(const Kernel& kernel) {
  const Extents taps = weight_type(kernel).extents();
  return taps[2] * taps[3] == 1;
}

bool weights_stream(const Kernel& kernel, int64_t form) {
  const int w = kernel.input_of_anchor(1);
  if (w < 0 || !kernel.is_weight(static_cast<size_t>(w)) || kernel.anchor_node().attrs.integer("group", 1) != 1)
    return false;
  return streams(kernel) && fills_lines(kernel) && (form != kDirect || has_one_tap(kernel));
}

RegisterTile streaming_tile(const Kernel& kernel, const Target& target, int64_t points, int64_t out_blocks,
                            int64_t taps) {
  TileLimits limits{.rows_vary = extents_vary(kernel)};
  if (!fills_lines(kernel)) return best_tile(points, out_blocks, target, limits);
  // A tall tile repeats many points where those vary: it is for weights that the first level would not hold.
  const int64_t held = target.l1_bytes / 2 / (kernel.extent("ci") * taps * kCacheLine);
  if (limits.rows_vary && held > 1 && out_blocks > 1) {
    limits.most_vectors = std::min(limits.most_vectors, held);
    return best_tile(points, out_blocks, target, limits);
  }
  int64_t most = std::min<int64_t>(points, kMostTall);
  while (most > 1 && !fits_registers(most, 1, target)) --most;
  const RegisterTile tall{limits.rows_vary ? tall_of_many(points, most) : even_piece(points, most), 1};
  return tall.rows >= kLeastTall ? tall : best_tile(points, out_blocks, target, limits);
}

int64_t prefetch_distance(const Target& target) {
  return 128 * target.vector_fmas;
}

std::string prefetch_reject(const Kernel& kernel, const Schedule& s) {
  if (s["prefetch.w"] == 0 || (s["tile.c"] == 1 && weights_stream(kernel, s["algorithm.form"]))) return {};
  return "prefetch w needs tile c=1, output blocks of a line of cache, input channels that fill their blocks and, of a "
         "direct form, one tap";
}

Winograd winograd_of(const Kernel& kernel, int64_t form) {
  const Extents strides = window_integers(kernel, "strides");
  const Extents taps = weight_type(kernel).extents(), pads = kernel.anchor_node().attrs.integers("pads", Extents(4, 0));
  const auto along = [&](size_t i) {
    const auto r = static_cast<int>(taps[2 + i]), stride = static_cast<int>(strides[i]);
    MinimalFilter filter{r == 1 ? 1 : static_cast<int>(outputs_at_once(form)), r};
    if (!is_transposed(kernel)) {
      filter.stride = stride;
    } else if (stride > 1) {
      filter.up = stride;
      filter.shift = static_cast<int>(pads[i] % strides[i]);
    }
    return filter;
  };
  return {along(0), along(1)};
}

ProductGrid product_grid(const Kernel& kernel, int64_t form) {
  const Type &in = input_type(kernel), &out = kernel.output();
  ProductGrid grid{.im2col = form == kIm2col, .dilations = {1, 1}, .frequencies = 1, .copies = 1, .taps = 1};
  if (grid.im2col) {
    const Im2col copied = im2col_of(kernel);
    grid.copies = copied.copies();
    grid.taps = copied.ky * copied.kx;
  } else {
    grid.form = winograd_of(kernel, form);
    grid.frequencies = grid.copies = grid.form.frequencies();
    // A transposed window is not dilated where it has several taps.
    if (!is_transposed(kernel)) grid.dilations = window_integers(kernel, "dilations");
  }
  grid.by_columns = out.shape[2].extent == 1;
  const int64_t down = grid.form.y.outputs() * grid.dilations[0], across = grid.form.x.outputs() * grid.dilations[1];
  const int64_t rows = ceil_div(out.shape[2].extent, down), columns = ceil_div(out.shape[3].extent, across);
  grid.rows = grid.by_columns ? columns : rows;
  grid.points = grid.by_columns ? grid.dilations[1] : grid.dilations[0] * grid.dilations[1] * columns;
  grid.in_blocks = ceil_div(in.shape[1].extent, in.layout.block(1));
  grid.out_blocks = ceil_div(out.shape[1].extent, out.layout.block(1));
  return grid;
}

std::vector<int64_t> winograd_forms(const Kernel& kernel) {
  std::vector<int64_t> forms;
  if (!why_no_winograd(kernel).empty()) return forms;
  for (const int64_t form : {kWinograd2, kWinograd4, kWinograd6})
    if (why_no_form(winograd_of(kernel, form)).empty()) forms.push_back(form);
  return forms;
}

std::vector<int64_t> product_forms(const Kernel& kernel) {
  std::vector<int64_t> forms = winograd_forms(kernel);
  if (why_no_im2col(kernel).empty()) forms.insert(forms.begin(), kIm2col);
  return forms;
}

std::string product_reject(const Kernel& kernel, const Schedule& s) {
  const bool im2col = s["algorithm.form"] == kIm2col;
  const std::string_view name = im2col ? "im2col" : "Winograd";
  if (std::string reason = im2col ? why_no_im2col(kernel) : why_no_winograd(kernel); !reason.empty()) return reason;
  const ProductGrid grid = product_grid(kernel, s["algorithm.form"]);
  if (std::string reason = im2col ? "" : why_no_form(grid.form); !reason.empty()) return reason;
  if (s["band.y"] > grid.rows && !extents_vary(kernel))
    return fmt::format("band y={} of {} rows of points", s["band.y"], grid.rows);
  const int64_t points = std::min(s["band.y"], grid.rows) * grid.points;
  if (s["tile.x"] > points) return fmt::format("tile x={} of {} points in a band", s["tile.x"], points);
  if (s["tile.c"] > grid.out_blocks) return fmt::format("tile c={} of {}", s["tile.c"], grid.out_blocks);
  if (s["parallel.axis"] == kParallelX) return fmt::format("{} splits its work over y or c, not over x", name);
  if (s["unroll.kx"] != 0) return fmt::format("unroll kx=1: {} unrolls no taps", name);
  if (std::string reason = prefetch_reject(kernel, s); !reason.empty()) return reason;
  if (const int64_t unrolled = s["tile.x"] * s["tile.c"] * s["unroll.ci"]; unrolled > kMaxUnrolled)
    return fmt::format("{} unrolled statements; the limit is {}", unrolled, kMaxUnrolled);
  return {};
}

Schedule product_fallback(const Kernel& kernel, const Target& target, int threads, int64_t form) {
  const ProductGrid grid = product_grid(kernel, form);
  const int64_t images = kernel.output().shape[0].extent, rows = images * grid.rows;
  const auto shared_over = [&](int64_t axis) {
    int64_t band = band_of(kernel, target, grid);
    int64_t tasks = default_tasks(kernel, target, threads, axis == kParallelC ? pieces_over_channels(grid, 1) : rows);
    if (tasks > 1 && axis == kParallelC && !grid.im2col) band = grid.rows;
    if (tasks > 1 && axis == kParallelY) {
      band = even_band(images, grid.rows, std::min(band, ceil_div(rows, threads)), threads);  // each reads all weights
      tasks = default_tasks(kernel, target, threads, images * ceil_div(grid.rows, band));
    }
    const RegisterTile tile =
        streaming_tile(kernel, target, std::min(band, grid.rows) * grid.points, grid.out_blocks, grid.taps);
    if (tasks > 1 && axis == kParallelC)
      tasks = default_tasks(kernel, target, threads, pieces_over_channels(grid, tile.vectors));
    return make_schedule(
        family_info(Family::window),
        {{"algorithm.form", form},
         {"tile.x", tile.rows},
         {"tile.c", tile.vectors},
         {"unroll.ci", 2},
         {"unroll.kx", 0},
         {"order.inner", tile.rows <= tile.vectors ? kInnerX : kInnerC},
         {"band.y", band},
         {"pad.at", grid.im2col                       ? kPadInline
                    : tasks > 1 && axis == kParallelC ? kPadRoot
                                                      : pad_place(kernel, target)},
         {"prefetch.w", weights_stream(kernel, form) && tile.vectors == 1 ? prefetch_distance(target) : 0},
         {"parallel.axis", axis},
         {"parallel.tasks", tasks}});
  };
  // Over rows of tiles; over channels and frequencies, each stage for itself, where rows are few or come out uneven, or
  // where every thread would read all weights.
  Schedule by_rows = shared_over(kParallelY);
  if (threads == 1) return by_rows;
  Schedule by_channels = shared_over(kParallelC);
  const auto cycles = [&](const Schedule& s) { return window_cycles(kernel, target, threads, s); };
  const bool uneven = rows < 2 * threads || coverage(rows, threads) < kEvenRows;
  return uneven || cycles(by_channels) < kClearlyFaster * cycles(by_rows) ? by_channels : by_rows;
}

std::vector<int64_t> product_loops(const Kernel& kernel, const Schedule& s) {
  const ProductGrid grid = product_grid(kernel, s["algorithm.form"]);
  if (s["parallel.axis"] == kParallelC && grid.im2col) return {ceil_div(grid.out_blocks, s["tile.c"]), grid.in_blocks};
  if (s["parallel.axis"] == kParallelC) return {grid.out_blocks, grid.frequencies, grid.in_blocks};
  return {kernel.output().shape[0].extent * ceil_div(grid.rows, s["band.y"])};
}

// Winograd's [o, i, f] (transposed: [i, o, f]) with f outermost: [f, o blocks, i, o in block]; im2col's [o, i, ky, kx]
// in the order of the sums: [o blocks, kx, ky, i, o in block]. i in blocks where those are padded.
Packings product_packings(const Kernel& kernel, int64_t form) {
  Packings result(kernel.graph.inputs.size());
  const int out_dim = is_transposed(kernel) ? 1 : 0, in_dim = 1 - out_dim;
  Layout layout{.order = {2, out_dim, in_dim}, .blocks = {}};
  if (form == kIm2col) layout.order = {out_dim, 3, 2, in_dim};
  if (!streams(kernel)) layout.blocks.push_back({in_dim, input_type(kernel).layout.block(1)});
  layout.blocks.push_back({out_dim, kernel.output().layout.block(1)});
  result[static_cast<size_t>(kernel.input_of_anchor(1))] =
      Packing{form == kIm2col ? "" : winograd_of(kernel, form).name(), layout};
  return result;
}

Nest product_nest(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kBand, kFrequency, kC, kPoint, kIn };  // of im2col the second is the taps, which are summed
  const ProductGrid grid = product_grid(kernel, s["algorithm.form"]);
  const int64_t block = kernel.output().layout.block(1), images = kernel.output().shape[0].extent;
  const int64_t band = std::min(s["band.y"], grid.rows);
  const int64_t bands = images * ceil_div(grid.rows, band), points = band * grid.points;
  const int64_t channels = grid.out_blocks * block, in_channels = kernel.extent("ci");
  Nest nest{.extents = {bands, grid.frequencies * grid.taps, channels, points, in_channels}};
  nest.loops = {{kBand, 1}, {kC, s["tile.c"] * block}, {kPoint, s["tile.x"]}, {kIn, s["unroll.ci"]}};
  nest.loops.insert(nest.loops.begin() + (grid.im2col ? 3 : 1), {kFrequency, 1});
  // As packed: by frequency, then by block of channels; of im2col the other way about.
  const Layout weights_lie{grid.im2col ? std::vector<int>{2, 0, 1} : std::vector<int>{0, 2, 1}, {{2, block}}};
  // What a band makes takes the place of what the band before made.
  nest.tensors = {{NestTensor::Role::input, 4, {{{kFrequency, 1}}, {{kPoint, 1}}, {{kIn, 1}}}},
                  {NestTensor::Role::weight, 4, {{{kFrequency, 1}}, {{kIn, 1}}, {{kC, 1}}}, weights_lie},
                  {NestTensor::Role::result, 4, {{{kFrequency, 1}}, {{kPoint, 1}}, {{kC, 1}}}}};
  if (grid.im2col) nest.tensors.back().dims.erase(nest.tensors.back().dims.begin());
  const auto products = static_cast<double>(images * grid.rows * grid.points * grid.frequencies * grid.taps);
  nest.flops = 2 * products * static_cast<double>(in_channels) * static_cast<double>(channels);
  nest.computed = 1 / (coverage(grid.rows, band) * coverage(points, s["tile.x"], extents_vary(kernel)) *
                       coverage(grid.out_blocks, s["tile.c"]));
  const TransformTerms terms = transform_terms(grid);
  const auto tiles = static_cast<double>(images * grid.rows * grid.points);
  nest.extra_ops = tiles *
                   (static_cast<double>(terms.input * in_channels) + static_cast<double>(terms.output * channels)) /
                   target.lanes(4);
  nest.extra_bytes = 2 * static_cast<double>(images * grid.rows * row_bytes(kernel, grid));
  nest.lanes = block;
  nest.sums = s["tile.x"] * s["tile.c"];
  nest.loads = s["tile.x"] + s["tile.c"];
  nest.held = operands_held(s["tile.x"], s["tile.c"], target);
  nest.depth = in_channels * grid.taps;
  nest.body = nest.sums * s["unroll.ci"];
  nest.pieces = product_loops(kernel, s).front();
  nest.tasks = s["parallel.tasks"];
  return nest;
}

double winograd_least_flops(const Kernel& kernel) {
  double least = kernel.flops;
  for (const int64_t form : winograd_forms(kernel)) {
    const ProductGrid grid = product_grid(kernel, form);
    const int64_t products = kernel.output().shape[0].extent * grid.frequencies * grid.rows * grid.points *
                             kernel.extent("ci") * kernel.output().shape[1].extent;
    least = std::min(least, 2 * static_cast<double>(products));
  }
  return least;
}

namespace {

// Threads that have work: with fewer pieces than threads, or an uneven number of them, not all.
double busy_threads(const Kernel& kernel, const Schedule& s, int threads) {
  if (s["parallel.tasks"] <= 1) return 1;
  const Shape& axes = kernel.output().shape;
  const int64_t images = axes[0].extent, channels = ceil_div(axes[1].extent, kernel.output().layout.block(1));
  int64_t rows = axes[2].extent, over_channels = images * ceil_div(channels, s["tile.c"]);
  if (s["algorithm.form"] != kDirect) {
    const ProductGrid grid = product_grid(kernel, s["algorithm.form"]);
    rows = grid.rows;
    over_channels = pieces_over_channels(grid, s["tile.c"]);
  }
  int64_t pieces = images * ceil_div(rows, s["band.y"]);
  if (s["parallel.axis"] == kParallelX) pieces = images * ceil_div(axes[3].extent, s["tile.x"]);
  if (s["parallel.axis"] == kParallelC) pieces = over_channels;
  return threads * coverage(pieces, threads);
}

}  // namespace

double weight_bytes(const Kernel& kernel, int64_t form) {
  if (form == kDirect) return static_cast<double>(weight_type(kernel).bytes());
  return product_weight_bytes(kernel, product_grid(kernel, form));
}

double window_cycles(const Kernel& kernel, const Target& target, int threads, const Schedule& s) {
  const Type& out = kernel.output();
  const double lanes = target.lanes(4), fmas = lanes * target.vector_fmas;
  const auto in_channels = static_cast<double>(kernel.extent("ci")),
             out_channels = static_cast<double>(out.shape[1].extent);
  const auto images = static_cast<double>(out.shape[0].extent);
  const int64_t form = s["algorithm.form"];
  const double sharing = busy_threads(kernel, s, threads);
  if (form == kDirect) {
    const double utilisation = coverage(out.shape[3].extent, s["tile.x"], kernel.axis("x").varies);
    return kernel.flops / (2 * fmas) / utilisation / sharing + weight_bytes(kernel, form) / kMemoryBytes;
  }
  const ProductGrid grid = product_grid(kernel, form);
  const auto points = images * static_cast<double>(grid.rows * grid.points);
  const int64_t band = std::min(s["band.y"], grid.rows);
  const double utilisation =
      coverage(grid.rows, band) * coverage(band * grid.points, s["tile.x"], extents_vary(kernel));
  const auto factors = static_cast<double>(grid.frequencies * grid.taps);
  const double products = points * factors * in_channels * out_channels / fmas / utilisation;
  const TransformTerms terms = transform_terms(grid);
  const double channel_terms =
      static_cast<double>(terms.input) * in_channels + static_cast<double>(terms.output) * out_channels;
  const double transforms = points * channel_terms * (grid.im2col ? kCopyCycles : kTermCycles) / lanes;
  const bool ahead = s["prefetch.w"] > 0, over_channels = s["parallel.axis"] == kParallelC && s["parallel.tasks"] > 1;
  return (products + transforms) / sharing + memory_cycles(weight_bytes(kernel, form), ahead) +
         traffic_cycles(kernel, target, grid, band, ahead, sharing, over_channels);
}

}  // namespace oc
