// Contraction: out[batch, m, n] = Σ_k a[m, k] · b[k, n]. A register tile of tile.m rows × tile.n vectors along n, or,
// for few columns, × tile.n columns of partial sums along k. Constant b is packed in panels as wide as the tile, so
// that the inner loop streams through memory; other operands may be copied into that form as they are read. With
// block.k, tiles add up in a buffer of block.m × block.n tiles, block after block of k; else each sums over all of k at
// once.
#include "schedules/families/contraction.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

namespace oc {

namespace {

// The dims of the tensor of operand i (0: a, 1: b) in the order of the product: [batch …, m, k], [batch …, k, n].
std::vector<int> operand_dims(const Kernel& kernel, size_t i) {
  const Node& node = kernel.anchor_node();
  const std::string_view perm = i == 0 ? "a_perm" : "b_perm";
  std::vector<int> dims(kernel.graph[node.inputs[i]].type.shape.size());
  std::iota(dims.begin(), dims.end(), 0);
  if (node.attrs.contains(perm)) std::ranges::copy(node.attrs.integers(perm), dims.begin());
  return dims;
}

// Do the elements along dim `position` (counted from the end of the product's dims) lie side by side?
bool contiguous(const std::vector<int>& dims, size_t position) {
  return dims[dims.size() - position] + 1 == static_cast<int>(dims.size());
}

}  // namespace

Contraction look_at_contraction(const Kernel& kernel, const Target& target, const Schedule& s) {
  const auto extent = [&](std::string_view axis) { return std::max<int64_t>(1, kernel.extent(axis)); };
  Contraction c{.m = extent("m"), .n = extent("n"), .k = extent("k"), .along_k = s["vector.along"] == kVectorK};
  for (const Axis& axis : kernel.axes)
    if (axis.role == Role::batch) c.batches *= axis.extent;
  c.element = static_cast<int64_t>(dtype_size(kernel.output().dtype));
  const int b = kernel.input_of_anchor(1);
  c.weight = b >= 0 && kernel.is_weight(static_cast<size_t>(b));
  c.panels = c.weight && !c.along_k;
  const std::vector<int> dims = operand_dims(kernel, 1);
  c.streams_n = c.weight || contiguous(dims, 1);
  c.streams_k =
      contiguous(operand_dims(kernel, 0), 1) && (c.weight || contiguous(dims, 2) || (c.n == 1 && contiguous(dims, 1)));
  const int64_t all = target.lanes(static_cast<int>(c.element));
  c.lanes = c.panels ? all : vector_width(all, c.along_k ? c.k : c.n);
  c.rows = s["tile.m"];
  c.columns = s["tile.n"] * (c.along_k ? 1 : c.lanes);
  const int64_t m_tiles = ceil_div(c.m, c.rows);
  c.block_m = s["block.m"] == 0 ? m_tiles : std::min(s["block.m"], m_tiles);
  c.block_n = std::max<int64_t>(1, s["block.n"]);
  c.m_blocks = ceil_div(c.m, c.rows * c.block_m);
  c.n_blocks = ceil_div(c.n, c.columns * c.block_n);
  c.slices = s["block.slices"];
  return c;
}

namespace {

constexpr int64_t kMaxBlock = 4096;
constexpr int64_t kLeastBlock = 16;  // of k that is worth cutting
constexpr int64_t kLongSum = 4096;   // elements of k
constexpr int64_t kFewRows = 4;
constexpr int64_t kWantedTasksPerThread = 4;

std::string reject_blocks(const Contraction& c, const Schedule& s) {
  if (s["block.k"] == 0)
    return s["block.n"] != 0 || c.slices > 1 ? "block n and slices need a block of k" : std::string();
  if (c.along_k) return "vectors along k and a block of k";
  if (s["block.k"] > c.k || s["unroll.k"] > s["block.k"]) return fmt::format("block k={} of {}", s["block.k"], c.k);
  if (s["block.m"] < 1 || s["block.m"] * c.rows > c.m)
    return fmt::format("block m={} tiles of {} for {} rows", s["block.m"], c.rows, c.m);
  // The last block shifts inwards, which panels cannot.
  const bool fits = c.panels ? s["block.n"] > 0 && ceil_div(c.n, c.columns) % s["block.n"] == 0
                             : s["block.n"] > 0 && s["block.n"] * c.columns <= c.n;
  if (!fits) return fmt::format("block n={} tiles of {} for {} columns", s["block.n"], c.columns, c.n);
  if (c.slices > ceil_div(c.k, s["block.k"])) return fmt::format("{} slices of k={}", c.slices, c.k);
  if (c.slices > 1 && (c.batches > 1 || c.m % c.rows != 0 || c.n % c.columns != 0))
    return "slices of k need one product that tiles divide";
  return {};
}

std::string reject(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (std::string reason = outside_limits(family_info(Family::contraction), s); !reason.empty()) return reason;
  const Contraction c = look_at_contraction(kernel, target, s);
  if (c.rows > c.m) return fmt::format("tile m={} of {} rows", c.rows, c.m);
  if (c.along_k && c.columns > c.n) return fmt::format("tile n={} of {} columns", c.columns, c.n);
  if (!c.along_k && s["tile.n"] > 1 && (c.panels ? c.columns - c.lanes >= c.n : c.columns > c.n))
    return fmt::format("tile n={} vectors of {} for {} columns", s["tile.n"], c.lanes, c.n);
  if (s["tile.m"] * s["tile.n"] * s["unroll.k"] > kMaxUnrolled)
    return fmt::format("more than {} unrolled statements", kMaxUnrolled);
  if (s["unroll.k"] * (c.along_k ? c.lanes : 1) > c.k) return fmt::format("unroll k={} of {}", s["unroll.k"], c.k);
  if (s["copy.b"] != 0 && (c.weight || c.along_k)) return "copy b=yes of what needs none";
  if (c.slices > 1 && c.m * c.n * c.element > target.l2_bytes) return "slices of k whose sums go beyond L2";
  return reject_blocks(c, s);
}

void settle(const Kernel& kernel, const Target& target, Schedule& s) {
  if (s["vector.along"] == kVectorK || s["tile.m"] == 1 || s["tile.n"] == 1) s.values["order.inner"] = kInnerN;
  const Contraction c = look_at_contraction(kernel, target, s);
  if (s["block.k"] == 0 && c.m_blocks == 1) s.values["block.m"] = 0;
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], {c.batches * c.m_blocks * c.n_blocks});
}

// What the formulas look at before there is a schedule.
struct View {
  Contraction c;
  int64_t lanes, vectors;  // along n, the last perhaps not full
  int64_t widest;          // vectors that a tile may have: tiles of what is not packed shift inwards
  bool m_varies, n_varies;
};

View look(const Kernel& kernel, const Target& target) {
  const Contraction c = look_at_contraction(kernel, target, make_schedule(family_info(Family::contraction), {}));
  const int64_t vectors = ceil_div(c.n, c.lanes);
  const int64_t widest = c.panels ? vectors : std::max<int64_t>(1, c.n / c.lanes);
  return {c, c.lanes, vectors, widest, kernel.axis("m").varies, kernel.axis("n").varies};
}

using Values = std::vector<std::pair<std::string, int64_t>>;

// Few columns leave most of a vector along n empty; few rows do not pay for a copy of b that is transposed.
bool wants_vectors_along_k(const View& v, int64_t all_lanes) {
  const bool few = v.c.n == 1 || (v.c.weight ? v.c.n <= all_lanes / 2 : v.c.m <= kFewRows && !v.c.streams_n);
  return v.c.streams_k && few && v.c.k >= 4 * all_lanes;
}

Values dot_products(const View& v, const Target& target, int64_t all_lanes) {
  const RegisterTile tile = best_tile(std::min<int64_t>(v.c.m, 4), v.c.n <= 6 ? v.c.n : 4, target);
  const int64_t unroll = std::clamp<int64_t>(8 / (tile.rows * tile.vectors), 1, v.c.k / all_lanes);
  return {{"vector.along", kVectorK}, {"tile.m", tile.rows}, {"tile.n", tile.vectors}, {"unroll.k", unroll}};
}

// A few rows by a matrix that is not packed: rows of b pass by once, some at a time, beside a row of sums in L1.
Values matrix_by_few_rows(const View& v, const Target& target, int threads) {
  const int64_t vectors = std::min<int64_t>(v.widest, v.c.m == 1 ? 4 : 2), columns = vectors * v.lanes;
  const int64_t fit = std::max<int64_t>(1, target.l1_bytes / 2 / (v.c.m * columns * v.c.element));
  const int64_t tiles = v.c.n / columns;  // the last block shifts inwards
  const int64_t blocks = std::max<int64_t>(ceil_div(tiles, fit), std::min<int64_t>(threads, tiles));
  const int64_t unroll = std::min<int64_t>(v.c.k, 8);
  return {{"tile.m", v.c.m}, {"tile.n", vectors}, {"unroll.k", unroll},
          {"block.m", 1},    {"block.k", unroll}, {"block.n", ceil_div(tiles, blocks)}};
}

// Rows of a that lie a multiple of 4 KB apart share a cache set, which has eight ways.
int64_t most_rows(const View& v) {
  return v.c.k >= kLongSum && v.c.k * v.c.element % 4096 == 0 ? std::min<int64_t>(v.c.m, 8) : v.c.m;
}

// Few sums that are long are cut into slices of k, one a thread.
Values slices(const View& v, const RegisterTile& tile, const Target& target, int threads) {
  const int64_t columns = tile.vectors * v.lanes, tiles = ceil_div(v.c.m, tile.rows) * ceil_div(v.c.n, columns);
  const bool divide = v.c.m % tile.rows == 0 && v.c.n % columns == 0;
  const bool fits = v.c.m * v.c.n * v.c.element <= target.l2_bytes;
  if (threads == 1 || v.c.batches > 1 || tiles > threads || !divide || !fits || v.c.k < kLongSum) return {};
  return {{"block.m", v.c.m / tile.rows},
          {"block.n", v.c.n / columns},
          {"block.k", 256},
          {"block.slices", std::min<int64_t>({threads, v.c.k / 256, 64})}};
}

// A panel of b that L2 does not hold beside rows of a would come from farther away for every tile of rows: k is then
// cut into pieces whose panels and rows of a L2 holds. `tiles`: of rows, most of them a block may have.
Values pieces_of_k(const View& v, const RegisterTile& tile, const Target& target, int64_t tiles) {
  const int64_t row = v.c.k * v.c.element, panel = row * tile.vectors * v.lanes;
  if (panel <= target.l2_bytes / 2 || v.c.m < 4 * tile.rows) return {};
  const int64_t held = std::clamp<int64_t>(v.c.k * (target.l2_bytes / 4) / panel, kLeastBlock, kMaxBlock);
  const int64_t even = even_piece(v.c.k, held);
  const int64_t piece = std::min(v.c.k, ceil_div(even, kLeastBlock) * kLeastBlock);
  const int64_t rows_in_l2 = target.l2_bytes / 4 / (piece * v.c.element);
  const int64_t most = std::min({tiles, v.c.m / tile.rows, std::max<int64_t>(1, rows_in_l2 / tile.rows)});
  return {{"block.m", even_piece(ceil_div(v.c.m, tile.rows), most)}, {"block.n", 1}, {"block.k", piece}};
}

// Pieces of k come with blocks of rows that, where m varies, come out even by repeating up to a tile more. A tile whose
// panel L2 holds needs none.
RegisterTile register_tile(const View& v, const Target& target) {
  TileLimits limits{
      .most_vectors = std::min<int64_t>(v.widest, 6), .rows_vary = v.m_varies, .vectors_vary = v.n_varies};
  const RegisterTile best = best_tile(most_rows(v), v.vectors, target, limits);
  const int64_t held = target.l2_bytes / 2 / (v.c.k * v.c.element * v.lanes);
  if (!v.m_varies || best.vectors <= held || held == 0) return best;
  const double repeats = coverage(v.c.m, 2 * best.rows, true) / coverage(v.c.m, best.rows, true);
  const double in_pieces = tile_score(best, most_rows(v), v.vectors, limits) * repeats;
  limits.most_vectors = held;
  const RegisterTile whole = best_tile(most_rows(v), v.vectors, target, limits);
  return tile_score(whole, most_rows(v), v.vectors, limits) < in_pieces ? best : whole;
}

Values register_tiles(const View& v, const Target& target, int threads) {
  const RegisterTile tile = register_tile(v, target);
  const bool far = v.c.m >= 4 * tile.rows && v.c.k * v.c.n * v.c.element > target.l2_bytes / 2;
  const bool copy = !v.c.weight && (far || !v.c.streams_n);
  // A block of rows whose a-panel stays in half of L2 while all panels of b pass by; a panel that is copied is copied
  // once for all rows.
  const int64_t rows_in_l2 = target.l2_bytes / 2 / std::max<int64_t>(1, v.c.k * v.c.element);
  const int64_t m_tiles = ceil_div(v.c.m, tile.rows), n_tiles = ceil_div(v.vectors, tile.vectors);
  const int64_t in_l2 = copy || rows_in_l2 >= v.c.m ? m_tiles : std::max<int64_t>(1, rows_in_l2 / tile.rows);
  // Where panels are too few to share among the threads, rows are shared too.
  const int64_t shares = threads == 1 ? 1 : ceil_div(kWantedTasksPerThread * threads, v.c.batches * n_tiles);
  const int64_t share = std::clamp<int64_t>(m_tiles / shares, 1, kMaxBlock);
  const int64_t block = even_piece(m_tiles, std::min(in_l2, share));
  Values values = {{"tile.m", tile.rows},
                   {"tile.n", tile.vectors},
                   {"unroll.k", std::min<int64_t>(v.c.k, tile.rows * tile.vectors <= 16 ? 4 : 2)},
                   {"order.inner", tile.rows <= tile.vectors ? kInnerM : kInnerN},
                   {"block.m", block == m_tiles ? 0 : block},
                   {"copy.b", copy ? 1 : 0}};
  const Values cut = slices(v, tile, target, threads);
  // A copied panel would be copied anew for every block of rows.
  std::ranges::copy(cut.empty() && !copy ? pieces_of_k(v, tile, target, share) : cut, std::back_inserter(values));
  return values;
}

Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  if (default_tasks(kernel, target, threads, threads) == 1) threads = 1;
  Values values = register_tiles(v, target, threads);
  if (const int64_t all_lanes = target.lanes(static_cast<int>(v.c.element)); wants_vectors_along_k(v, all_lanes)) {
    values = dot_products(v, target, all_lanes);
  } else if (!v.c.weight && v.c.streams_n && v.c.m <= kFewRows && v.c.n >= 2 * v.lanes && v.lanes > 1) {
    values = matrix_by_few_rows(v, target, threads);
  }
  Schedule schedule = make_schedule(family_info(Family::contraction), values);
  const Contraction c = look_at_contraction(kernel, target, schedule);
  schedule.values["parallel.tasks"] = default_tasks(kernel, target, threads, c.batches * c.m_blocks * c.n_blocks);
  return schedule;
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  const int64_t all_lanes = target.lanes(static_cast<int>(v.c.element));
  Space result{Family::contraction, {}, {}};
  const auto offer = [&](std::string name, std::vector<int64_t> values) {
    result.knobs.push_back({std::move(name), std::move(values)});
  };
  offer("tile.m", up_to(std::min<int64_t>(v.c.m, 14), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14}));
  offer("tile.n", up_to(std::min<int64_t>(6, ceil_div(v.c.n, v.c.lanes)), {1, 2, 3, 4, 6}));
  offer("unroll.k", up_to(std::min<int64_t>(8, v.c.k), {1, 2, 4, 8}));
  offer("order.inner", {kInnerM, kInnerN});
  if (v.c.streams_k && (v.c.n <= all_lanes || v.c.m <= kFewRows)) offer("vector.along", {kVectorN, kVectorK});
  offer("block.m", {0, 1, 2, 4, 8, 16, 32, 64});
  if (v.c.k >= kLeastBlock) {
    offer("block.n", {0, 1, 8});
    offer("block.k", v.c.k > 256 ? std::vector<int64_t>{0, 8, 256} : std::vector<int64_t>{0, 8});
    if (threads > 1 && v.c.k >= kLongSum) offer("block.slices", {1, std::min<int64_t>(threads, 64)});
  }
  if (!v.c.weight) offer("copy.b", {0, 1});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) {
    // One register beyond the formula may still pay; more spills.
    return reject(kernel, target, s).empty() && s["tile.m"] * s["tile.n"] < target.vector_registers;
  };
  return result;
}

Packings packings(const Kernel& kernel, const Target& target, const Schedule& s) {
  Packings result(kernel.graph.inputs.size());
  const Contraction c = look_at_contraction(kernel, target, s);
  if (!c.weight) return result;
  const auto b = static_cast<size_t>(kernel.input_of_anchor(1));
  Layout layout;  // [batch …, n panels, k, n in the panel], or [batch …, n, k]
  layout.order = operand_dims(kernel, 1);
  const int n = layout.order.back();
  std::swap(layout.order.back(), layout.order[layout.order.size() - 2]);
  if (c.panels) layout.blocks.push_back({n, c.columns});
  result[b] = Packing{.transform = "", .layout = layout};
  return result;
}

std::vector<Nest> nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kB, kM, kN, kK };
  const Contraction c = look_at_contraction(kernel, target, s);
  const int64_t step_k = s["unroll.k"] * (c.along_k ? c.lanes : 1), block_k = s["block.k"];
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  Nest nest{.extents = {c.batches, c.m, c.n, c.k}};
  nest.loops = {{kB, 1}, {kM, c.rows * c.block_m}, {kN, c.columns}, {kM, c.rows}, {kK, step_k}};
  if (block_k != 0)
    nest.loops = {{kB, 1},       {kM, c.rows * c.block_m}, {kN, c.columns * c.block_n},
                  {kK, block_k}, {kN, c.columns},          {kM, c.rows},
                  {kK, step_k}};
  const bool shared = c.weight || kernel.graph[kernel.anchor_node().inputs[1]].type.shape.size() == 2;  // by batches
  // One matrix, or one after the other of a batch.
  const auto matrix = [&](int outer, int inner, bool batched) {
    std::vector<std::pair<int, int64_t>> rows{{outer, 1}};
    if (batched) rows.emplace_back(kB, nest.extents[static_cast<size_t>(outer)]);
    return decltype(NestTensor::dims){rows, {{inner, 1}}};
  };
  const auto role = c.weight ? NestTensor::Role::weight : NestTensor::Role::input;
  const bool k_outside = !contiguous(operand_dims(kernel, 0), 1), n_outside = c.along_k || !c.streams_n;
  nest.tensors = {
      {.element = c.element, .dims = k_outside ? matrix(kK, kM, true) : matrix(kM, kK, true)},
      {.role = role, .element = c.element, .dims = n_outside ? matrix(kN, kK, !shared) : matrix(kK, kN, !shared)},
      {NestTensor::Role::result, c.element, matrix(kM, kN, true)}};
  if (c.panels) nest.tensors[1].layout = {.order = {1, 0}, .blocks = {{1, c.columns}}};

  nest.flops = 2 * count(c.batches) * count(c.m) * count(c.n) * count(c.k);
  nest.computed = 1 / (coverage(c.m, c.rows) * coverage(c.n, c.columns));
  nest.lanes = c.lanes;
  nest.sums = c.rows * s["tile.n"];
  nest.loads = c.rows + s["tile.n"];
  nest.held = operands_held(c.rows, s["tile.n"], target);
  // Vectors of numbers that lie apart are put together one by one.
  if (!c.streams_n && !c.along_k && s["copy.b"] == 0) nest.loads += s["tile.n"] * c.lanes;
  nest.depth = ceil_div(block_k == 0 ? c.k : std::min(block_k, c.k), c.along_k ? c.lanes : 1);
  nest.body = nest.sums * s["unroll.k"];
  if (c.along_k) nest.extra_ops = count(c.batches) * count(c.m) * count(c.n) * count(c.lanes);
  const double results = count(c.batches) * count(c.m) * count(c.n) * count(c.element);
  if (s["copy.b"] != 0) nest.extra_bytes += 2 * count(c.batches * c.m_blocks) * count(c.k * c.n * c.element);
  if (block_k != 0) nest.extra_bytes += 2 * results;
  if (c.slices > 1) nest.extra_bytes += 2 * results * count(c.slices);
  nest.pieces = c.slices > 1 ? c.slices : c.batches * c.m_blocks * c.n_blocks;
  nest.tasks = c.slices > 1 ? c.slices : s["parallel.tasks"];
  return {nest};
}

// Tiles shift inwards, along n not where b is in panels. Slices of k need tiles that divide.
std::vector<int64_t> least_extents(const Kernel& kernel, const Target& target, const Schedule& s) {
  const Contraction c = look_at_contraction(kernel, target, s);
  std::vector<int64_t> least;
  for (const Axis& axis : kernel.axes) {
    if (c.slices > 1) {
      least.push_back(axis.role == Role::k ? 1 : kNoExtent);
    } else if (axis.role == Role::m) {
      least.push_back(c.rows);
    } else if (axis.role == Role::n) {
      least.push_back(c.panels ? 1 : c.columns);
    } else {
      least.push_back(1);
    }
  }
  return least;
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
                  {.name = "vector.along", .words = {"n", "k"}, .fallback = kVectorN, .of_extents = true},
                  {.name = "block.m", .min = 0, .max = kMaxBlock, .fallback = 0, .of_extents = true},
                  {.name = "block.n", .min = 0, .max = kMaxBlock, .fallback = 0, .of_extents = true},
                  {.name = "block.k", .min = 0, .max = kMaxBlock, .fallback = 0, .of_extents = true},
                  {.name = "block.slices", .max = 64, .of_extents = true},
                  {.name = "copy.b", .words = {"no", "yes"}, .fallback = 0, .of_extents = true},
                  {.name = "parallel.tasks", .max = kMaxTasks, .of_extents = true}},
      .retired = {"copy.a=no"},
      .space = space,
      .fallback = fallback,
      .why_illegal = reject,
      .packings = packings,
      .settle = settle,
      .nests = nests,
      .least_extents = least_extents,
  };
  return info;
}

}  // namespace oc
