#include "schedules/families/winograd.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "dsl/winograd.h"

namespace oc {
namespace {

constexpr double kMultiplyAdds = 16;  // of f32 a cycle: two pipes of 256 bits, or one of 512 as on Zen 4
constexpr double kMemoryBytes = 8;    // a cycle, from memory
constexpr double kCacheBytes = 24;    // a cycle, from the second level
constexpr int64_t kCacheLine = 64;    // bytes
constexpr double kEvenRows = 0.95;    // of the threads' time, above which rows of tiles are shared
constexpr double kTransformOps = 3;   // vector instructions per element of a transform, loads and stores included

// Points of a tile of one channel block: enough to hide the latency of an FMA, few enough to leave registers to the
// rest.
constexpr int64_t kLeastTall = 8, kMostTall = 28;

const Winograd& form_of(int64_t form) {
  return *find_winograd(window_forms().at(static_cast<size_t>(form)));
}

const Type& input_type(const Kernel& kernel) {
  return kernel.graph[kernel.anchor_node().inputs[0]].type;
}

// Whether the weights of a channel block lie in the order of the input's channels without padding between them, so that
// what comes some channels later lies as far ahead.
bool streams(const Kernel& kernel) {
  return kernel.extent("ci") % input_type(kernel).layout.block(1) == 0;
}

// Whether a block of weights is one line of cache: narrower vectors have two FMAs a cycle, which one operand in memory
// each keeps waiting.
bool fills_lines(const Kernel& kernel) {
  return kernel.output().layout.block(1) * 4 == kCacheLine;
}

// Bytes of the transformed input and of the products that one row of tiles needs.
int64_t row_bytes(const Kernel& kernel, const WinogradGrid& grid) {
  const int64_t channels =
      grid.in_blocks * input_type(kernel).layout.block(1) + grid.out_blocks * kernel.output().layout.block(1);
  return (grid.m + 2) * (grid.m + 2) * grid.columns * channels * 4;
}

double weight_bytes(const Kernel& kernel, const WinogradGrid& grid) {
  return static_cast<double>((grid.m + 2) * (grid.m + 2) * kernel.extent("ci") * kernel.output().shape[1].extent * 4);
}

// Cycles in which one image's bands, shared among the threads, wait for memory: each reads all weights, the first from
// memory; what it makes goes through the second level of cache and beyond where it exceeds half of that.
double traffic_cycles(const Kernel& kernel, const Target& target, const WinogradGrid& grid, int64_t band,
                      double threads = 1) {
  const double weights = weight_bytes(kernel, grid), bands = static_cast<double>(ceil_div(grid.rows, band));
  const auto made = static_cast<double>(grid.rows * row_bytes(kernel, grid));
  const bool overflows = band * row_bytes(kernel, grid) > target.l2_bytes / 2;
  const double cached = (bands - 1) * weights + (overflows ? 2 * made : 0);
  return weights / kMemoryBytes + cached / kCacheBytes / threads;
}

// A tile of one channel block beside many points reads every weight once, in one stream that can be asked for ahead of
// its use: the products then hide the reading of the weights. With few points, what shares operands best.
RegisterTile product_tile(const Kernel& kernel, const Target& target, int64_t points, int64_t out_blocks) {
  if (!fills_lines(kernel)) return best_tile(points, out_blocks, target);
  int64_t most = std::min<int64_t>(points, kMostTall);
  while (most > 1 && !fits_registers(most, 1, target)) --most;
  const RegisterTile tall{even_piece(points, most), 1};
  return tall.rows >= kLeastTall ? tall : best_tile(points, out_blocks, target);
}

// Rows of tiles at a time: as many as half of the second level holds, or all where weights are what is read most and
// the rest does not go far beyond.
int64_t band_of(const Kernel& kernel, const Target& target, const WinogradGrid& grid) {
  const int64_t held = std::clamp<int64_t>(target.l2_bytes / 2 / row_bytes(kernel, grid), 1, grid.rows);
  const int64_t band = even_piece(grid.rows, held);
  if (grid.rows * row_bytes(kernel, grid) > 2 * target.l2_bytes) return band;
  const bool all = traffic_cycles(kernel, target, grid, grid.rows) < traffic_cycles(kernel, target, grid, band);
  return all ? grid.rows : band;
}

}  // namespace

const std::vector<std::string>& window_forms() {
  static const std::vector<std::string> kForms = {"direct", "winograd2", "winograd4"};
  return kForms;
}

std::string why_no_winograd(const Kernel& kernel) {
  const Node& node = kernel.anchor_node();
  const int w = kernel.input_of_anchor(1);
  if (node.op != "conv") return fmt::format("Winograd is for conv, not for {}", node.op);
  if (w < 0 || !kernel.is_weight(static_cast<size_t>(w))) return "Winograd needs constant weights";
  const Extents ones{1, 1};
  if (kernel.extent("ky") != 3 || kernel.extent("kx") != 3 || node.attrs.integers("strides", ones) != ones ||
      node.attrs.integers("dilations", ones) != ones || node.attrs.integer("group", 1) != 1)
    return "Winograd needs a 3×3 window of stride 1 without dilation and groups";
  if (kernel.output().dtype != DType::f32) return "Winograd is for f32";
  if (input_type(kernel).layout.block(1) == 1 || kernel.output().layout.block(1) == 1)
    return "Winograd needs channel-blocked input and output";
  return {};
}

WinogradGrid winograd_grid(const Kernel& kernel, int64_t form) {
  const Type &in = input_type(kernel), &out = kernel.output();
  const int64_t m = form_of(form).m;
  return {m, ceil_div(out.shape[2].extent, m), ceil_div(out.shape[3].extent, m),
          ceil_div(in.shape[1].extent, in.layout.block(1)), ceil_div(out.shape[1].extent, out.layout.block(1))};
}

std::string winograd_reject(const Kernel& kernel, const Schedule& s) {
  if (std::string reason = why_no_winograd(kernel); !reason.empty()) return reason;
  const WinogradGrid grid = winograd_grid(kernel, s["algorithm.form"]);
  if (s["band.y"] > grid.rows) return fmt::format("band y={} of {} rows of tiles", s["band.y"], grid.rows);
  if (s["tile.x"] > s["band.y"] * grid.columns)
    return fmt::format("tile x={} of {} points in a band", s["tile.x"], s["band.y"] * grid.columns);
  if (s["tile.c"] > grid.out_blocks) return fmt::format("tile c={} of {}", s["tile.c"], grid.out_blocks);
  if (s["parallel.axis"] == kParallelX) return "Winograd splits its work over y or c, not over x";
  if (s["unroll.kx"] != 0) return "unroll kx=1: Winograd has no loop over the window";
  if (s["prefetch.w"] > 0 && (s["tile.c"] > 1 || !streams(kernel) || !fills_lines(kernel)))
    return "prefetch w needs tile c=1, output blocks of a line of cache and input channels that fill their blocks";
  if (const int64_t unrolled = s["tile.x"] * s["tile.c"] * s["unroll.ci"]; unrolled > kMaxUnrolled)
    return fmt::format("{} unrolled statements; the limit is {}", unrolled, kMaxUnrolled);
  return {};
}

Schedule winograd_fallback(const Kernel& kernel, const Target& target, int threads, int64_t form) {
  const WinogradGrid grid = winograd_grid(kernel, form);
  int64_t band = band_of(kernel, target, grid);
  const int64_t n = form_of(form).n;
  // Over channels and frequencies, each stage for itself, where rows of tiles are few or come out uneven.
  const int64_t images = std::max<int64_t>(1, kernel.output().shape[0].extent), rows = images * grid.rows;
  const bool over_channels = rows < 2 * threads || coverage(rows, threads) < kEvenRows;
  int64_t tasks = default_tasks(kernel, target, threads, over_channels ? n * n : rows);
  if (tasks > 1 && over_channels) band = grid.rows;
  if (tasks > 1 && !over_channels) {
    band = even_band(images, grid.rows, std::min(band, ceil_div(rows, threads)), threads);  // each reads all weights
    tasks = default_tasks(kernel, target, threads, images * ceil_div(grid.rows, band));
  }
  const RegisterTile tile = product_tile(kernel, target, band * grid.columns, grid.out_blocks);
  return make_schedule(family_info(Family::window),
                       {{"algorithm.form", form},
                        {"tile.x", tile.rows},
                        {"tile.c", tile.vectors},
                        {"unroll.ci", 2},
                        {"unroll.kx", 0},
                        {"order.inner", tile.rows <= tile.vectors ? kInnerX : kInnerC},
                        {"band.y", band},
                        {"pad.at", kPadRoot},
                        {"prefetch.w", streams(kernel) && fills_lines(kernel) && tile.vectors == 1 ? kPrefetched : 0},
                        {"parallel.axis", over_channels ? kParallelC : kParallelY},
                        {"parallel.tasks", tasks}});
}

std::vector<int64_t> winograd_loops(const Kernel& kernel, const Schedule& s) {
  const WinogradGrid grid = winograd_grid(kernel, s["algorithm.form"]);
  if (s["parallel.axis"] == kParallelC) return {grid.out_blocks, (grid.m + 2) * (grid.m + 2), grid.in_blocks};
  return {kernel.output().shape[0].extent * ceil_div(grid.rows, s["band.y"])};
}

// [o, i, f] with f outermost: [f, o blocks, i, o in block], i in blocks where those are padded.
Packings winograd_packings(const Kernel& kernel, int64_t form) {
  Packings result(kernel.graph.inputs.size());
  Layout layout{.order = {2, 0, 1}, .blocks = {}};
  if (!streams(kernel)) layout.blocks.push_back({1, input_type(kernel).layout.block(1)});
  layout.blocks.push_back({0, kernel.output().layout.block(1)});
  result[static_cast<size_t>(kernel.input_of_anchor(1))] = Packing{form_of(form).name, layout};
  return result;
}

double winograd_least_flops(const Kernel& kernel) {
  double least = kernel.flops;
  for (const int64_t form : {kWinograd2, kWinograd4}) {
    const WinogradGrid grid = winograd_grid(kernel, form);
    const int64_t products = kernel.output().shape[0].extent * (grid.m + 2) * (grid.m + 2) * grid.rows * grid.columns *
                             kernel.extent("ci") * kernel.output().shape[1].extent;
    least = std::min(least, 2 * static_cast<double>(products));
  }
  return least;
}

// Threads that have work: with fewer pieces than threads, or an uneven number of them, not all.
double busy_threads(const Kernel& kernel, const Schedule& s, int threads) {
  if (s["parallel.tasks"] <= 1) return 1;
  const Shape& axes = kernel.output().shape;
  const int64_t images = axes[0].extent, channels = axes[1].extent / kernel.output().layout.block(1);
  const bool direct = s["algorithm.form"] == kDirect;
  const int64_t m = direct ? 1 : form_of(s["algorithm.form"]).m, n = m + 2;
  int64_t pieces = images * ceil_div(ceil_div(axes[2].extent, m), s["band.y"]);
  if (s["parallel.axis"] == kParallelX) pieces = images * ceil_div(axes[3].extent, s["tile.x"]);
  if (s["parallel.axis"] == kParallelC) pieces = direct ? images * ceil_div(channels, s["tile.c"]) : n * n;
  return threads * coverage(pieces, threads);
}

double window_cycles(const Kernel& kernel, const Target& target, int threads, const Schedule& s) {
  const Type& out = kernel.output();
  const double lanes = target.lanes(4);
  const auto in_channels = static_cast<double>(kernel.extent("ci")),
             out_channels = static_cast<double>(out.shape[1].extent);
  const auto images = static_cast<double>(out.shape[0].extent);
  const int64_t form = s["algorithm.form"];
  const double sharing = busy_threads(kernel, s, threads);
  if (form == kDirect) {
    const double utilisation = coverage(out.shape[3].extent, s["tile.x"]);
    const double weights = 9 * in_channels * out_channels * 4;
    return kernel.flops / (2 * kMultiplyAdds) / utilisation / sharing + weights / kMemoryBytes;
  }
  const WinogradGrid grid = winograd_grid(kernel, form);
  const auto frequencies = static_cast<double>((grid.m + 2) * (grid.m + 2));
  const auto points = static_cast<double>(grid.rows * grid.columns);
  const double utilisation = coverage(s["band.y"] * grid.columns, s["tile.x"]);
  const double products = images * frequencies * points * in_channels * out_channels / kMultiplyAdds / utilisation;
  const double transforms = images * frequencies * points * (in_channels + out_channels) * kTransformOps / lanes;
  const double again = (images - 1) * weight_bytes(kernel, grid) / kCacheBytes;
  return (products + transforms + again) / sharing + traffic_cycles(kernel, target, grid, s["band.y"], sharing);
}

}  // namespace oc
