// Contraction: out[batch, m, n] = Σ_k a[m, k] · b[k, n]. A register tile of tile.m rows × tile.n vectors; constant b
// packed in panels as wide as the tile, so that the inner loop streams through memory.
#include <fmt/format.h>

#include <algorithm>

#include "schedules/families/common.h"

namespace oc {
namespace {

enum Inner : int64_t { kInnerM, kInnerN };
constexpr int64_t kMaxUnrolled = 256;  // statements in the inner loop body; beyond, LLVM takes minutes

// Extents of an empty tensor count as 1: its loops have no iterations, and every tile of one fits them.
struct View {
  int64_t m, n, k, lanes;
  bool packed;  // b is a weight
};

View look(const Kernel& kernel, const Target& target) {
  const int b = kernel.input_of_anchor(1);
  const bool packed = b >= 0 && kernel.is_weight(static_cast<size_t>(b));
  const auto extent = [&](std::string_view axis) { return std::max<int64_t>(1, kernel.extent(axis)); };
  const int64_t n = extent("n");
  const int64_t all = target.lanes(static_cast<int>(dtype_size(kernel.output().dtype)));
  return {extent("m"), n, extent("k"), packed ? all : vector_width(all, n), packed};
}

std::string reject(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (std::string reason = outside_limits(family_info(Family::contraction), s); !reason.empty()) return reason;
  const View v = look(kernel, target);
  if (s["tile.m"] > v.m) return fmt::format("tile m={} of {} rows", s["tile.m"], v.m);
  if (s["tile.n"] > 1 && (s["tile.n"] - 1) * v.lanes >= v.n)
    return fmt::format("tile n={} vectors of {} for {} columns", s["tile.n"], v.lanes, v.n);
  if (!v.packed && s["tile.n"] * v.lanes > v.n)
    return fmt::format("tile n={} vectors of {} exceeds {} columns", s["tile.n"], v.lanes, v.n);
  if (s["tile.m"] * s["tile.n"] * s["unroll.k"] > kMaxUnrolled)
    return fmt::format("more than {} unrolled statements", kMaxUnrolled);
  if (s["unroll.k"] > v.k) return fmt::format("unroll k={} of {}", s["unroll.k"], v.k);
  return {};
}

Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  const int64_t vectors = v.packed ? ceil_div(v.n, v.lanes) : std::max<int64_t>(1, v.n / v.lanes);
  const RegisterTile tile = best_tile(v.m, vectors, target);
  // A block of rows whose a-panel stays in half of L2 while all panels of b pass by.
  const int64_t rows_in_l2 = target.l2_bytes / 2 / std::max<int64_t>(1, v.k * 4);
  const int64_t block = rows_in_l2 >= v.m ? 0 : std::max<int64_t>(1, std::min<int64_t>(4096, rows_in_l2 / tile.rows));
  const int64_t tiles = ceil_div(v.m, tile.rows) * ceil_div(vectors, tile.vectors);
  return make_schedule(family_info(Family::contraction),
                       {{"tile.m", tile.rows},
                        {"tile.n", tile.vectors},
                        {"unroll.k", std::min<int64_t>(v.k, tile.rows * tile.vectors <= 8 ? 4 : 2)},
                        {"order.inner", tile.rows <= tile.vectors ? kInnerM : kInnerN},
                        {"block.m", block},
                        {"parallel.tasks", default_tasks(kernel, target, threads, tiles)}});
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  Space result{Family::contraction, {}, {}};
  result.knobs.push_back({"tile.m", up_to(std::min<int64_t>(v.m, 14), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14})});
  result.knobs.push_back({"tile.n", up_to(std::min<int64_t>(6, ceil_div(v.n, v.lanes)), {1, 2, 3, 4, 6})});
  result.knobs.push_back({"unroll.k", up_to(std::min<int64_t>(8, v.k), {1, 2, 4, 8})});
  result.knobs.push_back({"order.inner", {kInnerM, kInnerN}});
  result.knobs.push_back({"block.m", {0, 1, 2, 4, 8, 16, 32}});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) {
    // One register beyond the formula may still pay; more spills.
    return reject(kernel, target, s).empty() && s["tile.m"] * s["tile.n"] < target.vector_registers;
  };
  return result;
}

Packings packings(const Kernel& kernel, const Target& target, const Schedule& s) {
  Packings result(kernel.graph.inputs.size());
  const View v = look(kernel, target);
  if (!v.packed) return result;
  const auto b = static_cast<size_t>(kernel.input_of_anchor(1));
  const int rank = static_cast<int>(kernel.input(b).shape.size());
  Layout layout;  // [batch …, n panels, k, n in the panel]
  for (int d = 0; d + 2 < rank; ++d) layout.order.push_back(d);
  layout.order.push_back(rank - 1);
  layout.order.push_back(rank - 2);
  layout.blocks.push_back({rank - 1, s["tile.n"] * v.lanes});
  result[b] = Packing{.transform = "", .layout = layout};
  return result;
}

}  // namespace

const FamilyInfo& family_contraction() {
  static const FamilyInfo info = {
      .family = Family::contraction,
      .version = 1,
      .grammar = {{.name = "tile.m", .max = 32},
                  {.name = "tile.n", .max = 8},
                  {.name = "unroll.k", .max = 16},
                  {.name = "order.inner", .words = {"m", "n"}, .fallback = kInnerN},
                  {.name = "block.m", .min = 0, .max = 4096, .fallback = 0},
                  {.name = "parallel.tasks", .max = kMaxTasks}},
      .space = space,
      .fallback = fallback,
      .why_illegal = reject,
      .packings = packings,
  };
  return info;
}

}  // namespace oc
