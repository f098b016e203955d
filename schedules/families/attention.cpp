// Attention: rows of scores Q·Kᵀ, their softmax, and its product with V, block by block of queries so that a block's
// scores stay in L2. Vectors run along the queries of a block: keys and values are then read as they lie in memory, one
// number at a time, and maximum, exponential and sum of a row need no exchange between lanes. With few queries, as in
// decoding token by token, vectors run along the depth of a key instead.
#include <fmt/format.h>

#include <algorithm>

#include "schedules/families/common.h"

namespace oc {
namespace {

enum Along : int64_t { kQueries, kDepth };
constexpr int64_t kMaxBlockVectors = 4;
constexpr int64_t kMaxKeys = 1024;  // of a block
constexpr int64_t kFewKeys = 32;    // of a block that the search offers
constexpr int64_t kManyBlocks = 4;  // of keys, from which on they pay
// What a block of keys may fill of L1; the sums of its queries pass through the rest, tile by tile.
constexpr double kKeysShare = 0.75;
// Each vector of V comes from L2, half a cache line of it on AVX2, a whole one on AVX-512; the weights of a tile's rows
// lie in one line together. On arm64, whose vectors are a quarter, the tiles are the same at any cost from 1 to 2.
constexpr double kValueVectorCost = 2;

struct View {
  int64_t m, n, d, e;
  int64_t element;        // bytes
  int64_t lanes;          // along queries
  int64_t value_lanes;    // along the columns of V
  int64_t value_vectors;  // whole ones in a row of V
  bool m_varies, n_varies;
};

View look(const Kernel& kernel, const Target& target) {
  const auto element = static_cast<int64_t>(dtype_size(kernel.output().dtype));
  const int64_t lanes = target.lanes(static_cast<int>(element));
  const int64_t e = kernel.extent("e"), width = vector_width(lanes, e);
  const Axis &m = kernel.axis("m"), &n = kernel.axis("n");
  return {m.extent, n.extent, kernel.extent("d"), e, element, lanes, width, e / width, m.varies, n.varies};
}

std::string reject(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (std::string reason = outside_limits(family_info(Family::attention), s); !reason.empty()) return reason;
  const View v = look(kernel, target);
  const int64_t block = s["block.queries"], keys = s["scores.keys"], vectors = s["scores.vectors"],
                rows = s["values.rows"], columns = s["values.vectors"];
  if (block > v.m) return fmt::format("block queries={} of {}", block, v.m);
  if (keys > v.n) return fmt::format("scores keys={} of {}", keys, v.n);
  if (rows > block) return fmt::format("values rows={} in a block of {} queries", rows, block);
  if (columns > v.value_vectors) return fmt::format("values vectors={} of {}", columns, v.value_vectors);
  if (ceil_div(block, v.lanes) % vectors != 0)
    return fmt::format("scores vectors={} do not divide a block of {}", vectors, ceil_div(block, v.lanes));
  if (s["scores.unroll"] > v.d) return fmt::format("scores unroll={} of {}", s["scores.unroll"], v.d);
  if (s["values.unroll"] > v.n) return fmt::format("values unroll={} of {}", s["values.unroll"], v.n);
  if (s["values.keys"] != 0) {  // sums in memory, whose last tile cannot shift inwards
    if (s["values.keys"] < s["values.unroll"] || s["values.keys"] > v.n)
      return fmt::format("values keys={} of {}", s["values.keys"], v.n);
    if (block % rows != 0 || v.e % (columns * v.value_lanes) != 0)
      return fmt::format("values keys={} in tiles that do not divide a block", s["values.keys"]);
  }
  if (std::max(keys * vectors * s["scores.unroll"], rows * columns * s["values.unroll"]) > kMaxUnrolled)
    return fmt::format("more than {} unrolled statements", kMaxUnrolled);
  if (s["vector.along"] == kDepth && block != 1) return "along the depth a block has one query";
  return {};
}

// All blocks of queries of all products.
int64_t count_blocks(const Kernel& kernel, int64_t queries) {
  int64_t blocks = ceil_div(kernel.extent("m"), queries);
  for (const Axis& axis : kernel.axes)
    if (axis.role == Role::batch) blocks *= axis.extent;
  return blocks;
}

// Along the depth of a key a product is folded as a whole, for as many keys as fill a vector.
void settle(const Kernel& kernel, const Target&, Schedule& s) {
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], {count_blocks(kernel, s["block.queries"])});
  if (s["vector.along"] != kDepth) return;
  s.values["scores.keys"] = vector_width(s["scores.keys"], kernel.extent("n"));
  s.values["scores.unroll"] = 1;
}

// The largest of 4, 2, 1 that divides the extent.
int64_t unroll_of(int64_t extent) {
  return extent % 4 == 0 ? 4 : extent % 2 == 0 ? 2 : 1;
}

struct Tiles {
  int64_t block = 1;
  RegisterTile scores, values;
};

// Share of the FMA peak of both products together.
double score(const View& v, const Tiles& t) {
  const int64_t vectors = ceil_div(t.block, v.lanes);
  const double of_scores = tile_score(t.scores, v.n, vectors, {.rows_vary = v.n_varies}) *
                           static_cast<double>(t.block) / static_cast<double>(vectors * v.lanes);
  const double of_values = tile_score(t.values, t.block, v.value_vectors, {.vector_cost = kValueVectorCost});
  const double work = static_cast<double>(v.d) / of_scores + static_cast<double>(v.e) / of_values;
  return static_cast<double>(v.d + v.e) / work * coverage(v.m, t.block, v.m_varies);
}

Tiles best_tiles(const View& v, const Target& target) {
  Tiles best;
  double best_score = -1;
  for (int64_t vectors = 1; vectors <= kMaxBlockVectors; ++vectors) {
    Tiles t{.block = std::min(v.m, vectors * v.lanes), .scores = {}, .values = {}};
    if (vectors > 1 && t.block * v.n * v.element > target.l2_bytes / 2) break;
    const TileLimits limits{.rows_vary = v.n_varies};
    const RegisterTile scores = best_tile(v.n, ceil_div(t.block, v.lanes), target, limits);
    for (t.scores.vectors = scores.vectors; ceil_div(t.block, v.lanes) % t.scores.vectors != 0;) --t.scores.vectors;
    t.scores.rows =
        t.scores.vectors == scores.vectors ? scores.rows : best_tile(v.n, t.scores.vectors, target, limits).rows;
    t.values = best_tile(t.block, v.value_vectors, target, {.vector_cost = kValueVectorCost});
    if (const double found = score(v, t); found > best_score) {
      best_score = found;
      best = t;
    }
    if (t.block == v.m) break;
  }
  return best;
}

// So many keys that their rows of V and their weights stay in L1, whole blocks of unrolled steps if there are any; 0
// (all) where that would be few blocks.
int64_t block_of_keys(const View& v, const Tiles& t, const Target& target) {
  const double room = kKeysShare * static_cast<double>(target.l1_bytes);
  const int64_t fit = std::min(static_cast<int64_t>(room) / (v.element * (v.e + t.block)), kMaxKeys);
  const bool divide = t.block % t.values.rows == 0 && v.e % (t.values.vectors * v.value_lanes) == 0;
  if (fit < 1 || v.n < kManyBlocks * fit || !divide) return 0;
  for (const int64_t step : {4, 1})
    for (int64_t keys = fit / step * step; keys > fit / 2; keys -= step)
      if (v.n % keys == 0) return keys;
  return even_piece(v.n, fit);
}

Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  const bool few = v.m * 4 <= v.lanes;  // queries: most lanes would be idle
  Tiles t = best_tiles(v, target);
  if (few) t = {.block = 1, .scores = {std::min(v.n, v.lanes), 1}, .values = best_tile(1, v.value_vectors, target)};
  const int64_t keys = few ? 0 : block_of_keys(v, t, target);
  return make_schedule(family_info(Family::attention),
                       {{"vector.along", few ? kDepth : kQueries},
                        {"block.queries", t.block},
                        {"scores.keys", t.scores.rows},
                        {"scores.vectors", t.scores.vectors},
                        {"scores.unroll", unroll_of(v.d)},
                        {"values.rows", t.values.rows},
                        {"values.vectors", t.values.vectors},
                        {"values.unroll", unroll_of(keys == 0 ? v.n : keys)},
                        {"values.keys", keys},
                        {"parallel.tasks", default_tasks(kernel, target, threads, count_blocks(kernel, t.block))}});
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  const View v = look(kernel, target);
  std::vector<int64_t> blocks{1};
  for (int64_t vectors = 1; vectors <= kMaxBlockVectors; ++vectors) blocks.push_back(vectors * v.lanes);
  const std::vector<int64_t> rows{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14};
  Space result{Family::attention, {}, {}};
  result.knobs.push_back({"vector.along", {kQueries, kDepth}});
  result.knobs.push_back({"block.queries", up_to(std::min(v.m, kMaxBlockVectors * v.lanes), blocks)});
  result.knobs.push_back({"scores.keys", up_to(std::min<int64_t>(v.n, 16), rows)});
  result.knobs.push_back({"scores.vectors", up_to(std::min(kMaxBlockVectors, ceil_div(v.m, v.lanes)), {1, 2, 3, 4})});
  result.knobs.push_back({"scores.unroll", up_to(std::min<int64_t>(4, v.d), {1, 2, 4})});
  result.knobs.push_back({"values.rows", up_to(std::min<int64_t>(v.m, 16), rows)});
  result.knobs.push_back({"values.vectors", up_to(std::min<int64_t>(6, v.value_vectors), {1, 2, 3, 4})});
  result.knobs.push_back({"values.unroll", up_to(std::min<int64_t>(4, v.n), {1, 2, 4})});
  if (v.n >= kManyBlocks * kFewKeys && v.e % v.value_lanes == 0)
    result.knobs.push_back({"values.keys", {0, kFewKeys, 2 * kFewKeys, 4 * kFewKeys}});
  if (threads > 1) result.knobs.push_back(tasks_knob(threads));
  result.legal = [kernel, target](const Schedule& s) {
    // One register beyond the formula may still pay; more spills.
    const auto held = [&](const char* rows_name, const char* vectors_name) {
      return s[rows_name] * s[vectors_name] < target.vector_registers;
    };
    return reject(kernel, target, s).empty() && held("scores.keys", "scores.vectors") &&
           held("values.rows", "values.vectors");
  };
  return result;
}

// The scores and their exponentials, then the product with V.
std::vector<Nest> nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  enum : int { kB, kM, kKey, kDim };
  const View v = look(kernel, target);
  const bool along_depth = s["vector.along"] == kDepth;
  const int64_t block = s["block.queries"], blocks = count_blocks(kernel, block),
                batches = blocks / ceil_div(v.m, block), lanes = along_depth ? vector_width(v.lanes, v.d) : v.lanes,
                padded = along_depth ? block : ceil_div(block, v.lanes) * v.lanes;
  const auto walks = [](int axis, int64_t pitch) {
    return std::vector<std::pair<int, int64_t>>{{kB, pitch}, {axis, 1}};
  };
  const auto alone = [](int axis) { return std::vector<std::pair<int, int64_t>>{{axis, 1}}; };
  const auto products = static_cast<double>(batches * v.m) * static_cast<double>(v.n);

  Nest scores{.extents = {batches, v.m, v.n, v.d}};
  const int64_t queries = along_depth ? 1 : s["scores.vectors"] * lanes, keys = s["scores.keys"];
  scores.loops = {{kB, 1}, {kM, block}, {kKey, keys}, {kM, queries}, {kDim, along_depth ? lanes : s["scores.unroll"]}};
  scores.tensors = {{NestTensor::Role::input, v.element, {walks(kDim, v.d), alone(kM)}},
                    {NestTensor::Role::input, v.element, {walks(kKey, v.n), alone(kDim)}},
                    {NestTensor::Role::result, v.element, {alone(kKey), alone(kM)}}};
  scores.flops = 2 * products * static_cast<double>(v.d);
  scores.computed = static_cast<double>(padded) / static_cast<double>(block) /
                    (coverage(v.m, block) * coverage(v.n, keys) * (along_depth ? coverage(v.d, lanes) : 1));
  // Maximum, exponential and sum: some twenty operations a score.
  scores.extra_ops = 20 * products * scores.computed / static_cast<double>(lanes);
  scores.extra_bytes = 4 * products * static_cast<double>(v.element);
  scores.lanes = lanes;
  scores.sums = along_depth ? keys : keys * s["scores.vectors"];
  scores.loads = along_depth ? keys + 1 : keys + s["scores.vectors"];
  scores.held = along_depth ? 2 : operands_held(keys, s["scores.vectors"], target);
  scores.depth = along_depth ? ceil_div(v.d, lanes) : v.d;
  scores.body = scores.sums * s["scores.unroll"];
  scores.pieces = blocks;
  scores.tasks = s["parallel.tasks"];

  Nest values{.extents = {batches, v.m, v.n, v.e}};
  const int64_t columns = s["values.vectors"] * v.value_lanes, rows = s["values.rows"], at_once = s["values.keys"];
  values.loops = {{kB, 1}, {kM, block}, {kM, rows}, {kDim, columns}, {kKey, s["values.unroll"]}};
  if (at_once != 0)
    values.loops = {{kB, 1}, {kM, block}, {kKey, at_once}, {kDim, columns}, {kM, rows}, {kKey, s["values.unroll"]}};
  values.tensors = {{NestTensor::Role::input, v.element, {alone(kKey), alone(kM)}},
                    {NestTensor::Role::input, v.element, {walks(kKey, v.n), alone(kDim)}},
                    {NestTensor::Role::result, v.element, {walks(kM, v.m), alone(kDim)}}};
  values.flops = 2 * products * static_cast<double>(v.e);
  values.computed = 1 / (coverage(v.m, block) * coverage(block, rows) * coverage(v.e, columns));
  values.lanes = v.value_lanes;
  values.sums = rows * s["values.vectors"];
  values.loads = rows + s["values.vectors"];
  values.held = operands_held(rows, s["values.vectors"], target);
  values.depth = at_once == 0 ? v.n : std::min(at_once, v.n);
  values.body = values.sums * s["values.unroll"];
  values.pieces = blocks;
  values.tasks = s["parallel.tasks"];
  return {scores, values};
}

// Blocks of queries and tiles of keys shift inwards.
std::vector<int64_t> least_extents(const Kernel& kernel, const Target&, const Schedule& s) {
  std::vector<int64_t> least;
  for (const Axis& axis : kernel.axes)
    least.push_back(axis.name == "m" ? s["block.queries"] : axis.name == "n" ? s["scores.keys"] : 1);
  return least;
}

}  // namespace

const FamilyInfo& family_attention() {
  static const FamilyInfo info = {
      .family = Family::attention,
      .version = 1,
      .grammar = {{.name = "vector.along", .words = {"queries", "depth"}, .fallback = kQueries, .of_extents = true},
                  {.name = "block.queries", .max = 256, .of_extents = true},
                  {.name = "scores.keys", .max = 32},
                  {.name = "scores.vectors", .max = 8},
                  {.name = "scores.unroll", .max = 16},
                  {.name = "values.rows", .max = 32},
                  {.name = "values.vectors", .max = 8},
                  {.name = "values.unroll", .max = 16},
                  {.name = "values.keys", .min = 0, .max = kMaxKeys, .fallback = 0, .of_extents = true},
                  {.name = "parallel.tasks", .max = kMaxTasks, .of_extents = true}},
      .space = space,
      .fallback = fallback,
      .why_illegal = reject,
      .packings = nullptr,
      .settle = settle,
      .nests = nests,
      .can_vary = [](const Axis& axis) { return axis.name != "d" && axis.name != "e"; },
      .least_extents = least_extents,
  };
  return info;
}

}  // namespace oc
