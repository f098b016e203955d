#include "generators/alias.h"

#include <algorithm>
#include <numeric>

namespace oc {
namespace {

// One loop of a tensor's memory: `extent` positions of `dim`, `step` elements of that dim apart.
struct Loop {
  int64_t dim = 0, step = 1, extent = 1;
  bool operator==(const Loop&) const = default;
};

std::vector<int> dim_order(const Type& type) {
  if (!type.layout.order.empty()) return type.layout.order;
  std::vector<int> order(type.shape.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// The loops over the type's memory, outermost first, without those of one iteration and with neighbours merged. Two
// types with equal loops hold their elements, padding included, in the same order.
std::vector<Loop> memory_loops(const Type& type) {
  const Extents shape = type.extents();
  std::vector<Loop> loops;
  const auto add = [&](int64_t dim, int64_t step, int64_t extent) {
    if (extent == 1) return;
    if (!loops.empty() && loops.back().dim == dim && loops.back().step == step * extent) {
      loops.back() = {dim, step, loops.back().extent * extent};
    } else {
      loops.push_back({dim, step, extent});
    }
  };
  for (int dim : dim_order(type)) {
    const int64_t block = type.layout.block(dim);
    add(dim, block, (shape[dim] + block - 1) / block);
  }
  std::vector<int64_t> step(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) step[d] = type.layout.block(static_cast<int>(d));
  for (const Layout::Block& block : type.layout.blocks) {
    step[block.dim] /= block.size;
    add(block.dim, step[block.dim], block.size);
  }
  return loops;
}

// Bytes between two neighbouring blocks of `axis`, when `axis` is the outermost dim in memory that has more than one
// position (a range of it is then contiguous).
std::optional<int64_t> outermost_stride(const Type& type, int64_t axis) {
  const Extents shape = type.extents();
  int64_t stride = static_cast<int64_t>(dtype_size(type.dtype));
  for (const Layout::Block& block : type.layout.blocks) stride *= block.size;
  bool inside = false;
  for (int dim : dim_order(type)) {
    const int64_t block = type.layout.block(dim);
    const int64_t outer = (shape[dim] + block - 1) / block;
    if (dim == axis) {
      inside = true;
    } else if (inside) {
      stride *= outer;
    } else if (outer != 1) {
      return std::nullopt;
    }
  }
  return stride;
}

}  // namespace

bool moves_nothing(const Graph& graph, const Node& node) {
  const Type& from = graph[node.inputs[0]].type;
  const Type& to = graph[node.outputs[0]].type;
  if (from.dtype != to.dtype) return false;
  std::vector<Loop> before = memory_loops(from);
  const std::vector<Loop> after = memory_loops(to);
  if (node.op == "relayout") return before == after;
  if (node.op != "transpose") return false;
  const std::vector<int64_t> perm = node.attrs.integers("perm");
  for (Loop& loop : before) loop.dim = std::ranges::find(perm, loop.dim) - perm.begin();
  return before == after;
}

std::optional<int64_t> contiguous_slice(const Graph& graph, const Node& node) {
  if (node.op != "slice") return std::nullopt;
  const Type& from = graph[node.inputs[0]].type;
  const Type& to = graph[node.outputs[0]].type;
  if (from.layout != to.layout) return std::nullopt;
  const std::vector<int64_t> starts = node.attrs.integers("starts"), steps = node.attrs.integers("steps");
  const Extents whole = from.extents(), part = to.extents();
  int64_t offset = 0;
  int cut = 0;
  for (size_t d = 0; d < whole.size(); ++d) {
    if (whole[d] == part[d] && steps[d] == 1) continue;
    const int64_t block = from.layout.block(static_cast<int>(d));
    const bool ends_with_block = part[d] % block == 0 || starts[d] + part[d] == whole[d];
    const std::optional<int64_t> stride = outermost_stride(from, static_cast<int64_t>(d));
    if ((steps[d] != 1 && part[d] > 1) || ++cut > 1 || starts[d] % block != 0 || !ends_with_block || !stride)
      return std::nullopt;
    offset = starts[d] / block * *stride;
  }
  if (offset % kBufferAlignment != 0) return std::nullopt;
  return offset;
}

std::optional<std::vector<int64_t>> contiguous_concat(const Graph& graph, const Node& node) {
  if (node.op != "concat") return std::nullopt;
  const Type& whole = graph[node.outputs[0]].type;
  const int64_t axis = node.attrs.integer("axis");
  const int64_t block = whole.layout.block(static_cast<int>(axis));
  const std::optional<int64_t> stride = outermost_stride(whole, axis);
  if (!stride) return std::nullopt;
  std::vector<int64_t> offsets;
  int64_t at = 0;
  for (ValueId input : node.inputs) {
    const Type& part = graph[input].type;
    const int64_t offset = at / block * *stride;
    if (part.layout != whole.layout || at % block != 0 || offset % kBufferAlignment != 0) return std::nullopt;
    offsets.push_back(offset);
    at += part.extents()[axis];
  }
  return offsets;
}

}  // namespace oc
