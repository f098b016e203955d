// Movement: transposes, gathers, concatenations … with what elementwise ops follow. A relayout between plain and
// channel-blocked may move tiles of a block × transpose.columns through registers (dsl/ops/relayout.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "schedules/families/pointwise.h"

namespace oc {
namespace {

constexpr int64_t kMostColumns = 16;
constexpr int64_t kWayBytes = 4096, kWays = 8;  // of the first level of cache

// The numbers of columns a tile may have: powers of two that fit into the rows of the tensor, from 4 on where they can.
std::vector<int64_t> tile_columns(const Kernel& kernel, const Target& target) {
  const Node& node = kernel.anchor_node();
  if (node.op != "relayout" || kernel.output().dtype != DType::f32) return {};
  const Type &in = kernel.graph[node.inputs[0]].type, &out = kernel.graph[node.outputs[0]].type;
  if (out.shape.size() != 4 || in.layout.plain() == out.layout.plain()) return {};
  const Layout& blocked = in.layout.plain() ? out.layout : in.layout;
  if (blocked != channel_blocked(4, blocked.block(1))) return {};
  std::vector<int64_t> columns;
  const int64_t most = std::min<int64_t>({kMostColumns, target.lanes(4), out.shape[3].extent});
  for (int64_t n = most < 4 ? 2 : 4; n <= most; n *= 2) columns.push_back(n);
  return columns;
}

std::string reject(const Kernel& kernel, const Target& target, const Schedule& s) {
  if (std::string reason = pointwise_why_illegal(kernel, target, s); !reason.empty()) return reason;
  const int64_t columns = s["transpose.columns"];
  if (columns == 0 || std::ranges::count(tile_columns(kernel, target), columns) != 0) return {};
  return fmt::format("transpose columns={}: not of a relayout with rows of so many", columns);
}

// Tiles go through registers whole.
void settle(const Kernel& kernel, const Target& target, Schedule& s) {
  const int64_t columns = s["transpose.columns"];
  if (columns == 0) return pointwise_settle(kernel, target, s);
  const Type &in = kernel.graph[kernel.anchor_node().inputs[0]].type, &out = kernel.output();
  const Layout& blocked = in.layout.plain() ? out.layout : in.layout;
  const int64_t row = out.shape[3].extent;
  const int64_t tiles = physical_size(blocked, out.extents()) / (blocked.block(1) * row) * ceil_div(row, columns);
  s.values["vector.unroll"] = 1;
  s.values["parallel.tasks"] = fewest_tasks(s["parallel.tasks"], {tiles});
}

// Do the channels of a block, written side by side, fill their cache sets? A way has 4 KB, a set eight ways.
bool channels_collide(const Kernel& kernel) {
  const Type& in = kernel.graph[kernel.anchor_node().inputs[0]].type;
  if (in.layout.plain()) return false;
  const Type& out = kernel.output();
  const int64_t channel = out.bytes() / (out.shape[0].extent * out.shape[1].extent);
  const int64_t places = kWayBytes / std::gcd(channel, kWayBytes);
  return in.layout.block(1) >= kWays * places;
}

// Half a vector of columns: a tile of as many columns as lanes takes all the registers, and its shuffles more copies.
// But where lines leave the cache between two parts written to them, whole vectors.
Schedule fallback(const Kernel& kernel, const Target& target, int threads) {
  Schedule result = pointwise_fallback(kernel, target, threads);
  const std::vector<int64_t> possible = tile_columns(kernel, target);
  if (possible.empty()) return result;
  const int64_t lanes = target.lanes(4), wanted = channels_collide(kernel) ? lanes : std::max<int64_t>(4, lanes / 2);
  for (const int64_t columns : possible)
    if (columns <= wanted) result.values["transpose.columns"] = columns;
  return result;
}

Space space(const Kernel& kernel, const Target& target, int threads) {
  Space result = pointwise_space(kernel, target, threads);
  std::vector<int64_t> columns = tile_columns(kernel, target);
  if (!columns.empty()) {
    columns.insert(columns.begin(), 0);
    result.knobs.push_back({"transpose.columns", std::move(columns)});
  }
  return result;
}

// The dim whose elements lie side by side.
int innermost_dim(const Type& type) {
  if (!type.layout.blocks.empty()) return type.layout.blocks.back().dim;
  return type.layout.order.empty() ? static_cast<int>(type.shape.size()) - 1 : type.layout.order.back();
}

// Do the elements of a vector of the output lie apart in the input?
bool gathers(const Kernel& kernel) {
  const Node& node = kernel.anchor_node();
  const Type& in = kernel.graph[node.inputs[0]].type;
  if (node.op == "relayout") return innermost_dim(in) != innermost_dim(kernel.graph[node.outputs[0]].type);
  return node.op == "transpose" && node.attrs.integers("perm").back() != innermost_dim(in);
}

// One element after the other where they lie apart, but for tiles that go through registers.
std::vector<Nest> nests(const Kernel& kernel, const Target& target, const Schedule& s) {
  std::vector<Nest> result = pointwise_nests(kernel, target, s);
  if (!gathers(kernel)) return result;
  Nest& nest = result.front();
  const int of_anchor = kernel.input_of_anchor(0);  // tensors[0] is the output
  if (of_anchor >= 0) std::ranges::reverse(nest.tensors[1 + static_cast<size_t>(of_anchor)].dims);
  const int64_t columns = s["transpose.columns"];
  if (columns == 0) {
    nest.loads *= nest.lanes;
    return result;
  }
  const Type &in = kernel.graph[kernel.anchor_node().inputs[0]].type, &out = kernel.output();
  const int64_t block = std::max(in.layout.block(1), out.layout.block(1));
  nest.lanes = columns;
  nest.sums = nest.body = block;
  nest.loads = 2 * block;
  nest.held = columns + 2;
  nest.pieces = ceil_div(nest.extents[0] * nest.extents[1], block * columns);
  const bool from_plain = in.layout.plain();  // rows of the output are then columns of the input
  nest.loops = {{0, from_plain ? columns : block}, {1, from_plain ? block : columns}};
  return result;
}

// A tile of a relayout stands within a row.
std::vector<int64_t> least_extents(const Kernel& kernel, const Target&, const Schedule& s) {
  std::vector<int64_t> least(kernel.axes.size(), 1);
  if (s["transpose.columns"] > 0) least.at(3) = s["transpose.columns"];
  return least;
}

std::vector<Argument> grammar() {
  std::vector<Argument> result = pointwise_grammar();
  result.push_back({.name = "transpose.columns", .min = 0, .max = kMostColumns, .fallback = 0});
  return result;
}

}  // namespace

const FamilyInfo& family_movement() {
  static const FamilyInfo info = {.family = Family::movement,
                                  .version = 1,
                                  .grammar = grammar(),
                                  .space = space,
                                  .fallback = fallback,
                                  .why_illegal = reject,
                                  .packings = nullptr,
                                  .settle = settle,
                                  .nests = nests,
                                  .least_extents = least_extents};
  return info;
}

}  // namespace oc
