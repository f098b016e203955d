#include "autotune/cost_models/traffic.h"

#include <algorithm>
#include <cmath>

namespace oc {
namespace {

constexpr double kUsable = 0.8;  // of a level; other things lie there too
constexpr int64_t kLine = 64;

// Bytes of a tensor that a piece of the axes touches, in whole lines.
double footprint(const NestTensor& tensor, const std::vector<int64_t>& piece) {
  double bytes = 1;
  for (size_t d = 0; d < tensor.dims.size(); ++d) {
    int64_t extent = 1;
    for (const auto& [axis, stride] : tensor.dims[d]) extent += stride * (piece[static_cast<size_t>(axis)] - 1);
    if (d + 1 == tensor.dims.size()) extent = (extent * tensor.element + kLine - 1) / kLine * kLine;
    bytes *= static_cast<double>(extent);
  }
  return bytes;
}

bool walks(const NestTensor& tensor, int axis) {
  return std::ranges::any_of(tensor.dims, [axis](const auto& terms) {
    return std::ranges::any_of(terms, [axis](const auto& term) { return term.first == axis; });
  });
}

}  // namespace

Traffic traffic_of(const Nest& nest, const Target& target) {
  Traffic result;
  const size_t depth = nest.loops.size(), tensors = nest.tensors.size();
  std::vector<double> bytes((depth + 1) * tensors), total(depth + 1), trips(depth);
  std::vector<int64_t> piece = nest.extents;
  size_t tile = 0;  // outside the loops that a tile of the result is summed by
  for (size_t level = 0; level <= depth; ++level) {
    if (level > 0) {
      const auto [axis, step] = nest.loops[level - 1];
      int64_t& extent = piece[static_cast<size_t>(axis)];
      trips[level - 1] = std::ceil(static_cast<double>(extent) / static_cast<double>(step));
      extent = std::min(extent, step);
    }
    for (size_t t = 0; t < tensors; ++t) {
      const double part = footprint(nest.tensors[t], piece);
      bytes[level * tensors + t] = part;
      total[level] += part;
      const bool result_tensor = nest.tensors[t].role == NestTensor::Role::result;
      if (result_tensor && level > 0 && walks(nest.tensors[t], nest.loops[level - 1].axis)) tile = level;
    }
  }
  result.tile = total[tile];
  for (size_t t = 0; t < tensors; ++t) result.distinct[static_cast<size_t>(nest.tensors[t].role)] += bytes[t];

  const std::array<int64_t, kCacheLevels> sizes{target.l1_bytes, target.l2_bytes, target.l3_bytes};
  for (size_t cache = 0; cache < kCacheLevels; ++cache) {
    size_t level = 0;
    const double size = static_cast<double>(sizes[cache]);
    while (level < depth && total[level] > kUsable * size) ++level;
    result.held[cache] = total[level] / size;
    for (size_t t = 0; t < tensors; ++t) {
      double fetched = bytes[level * tensors + t];
      size_t around = level;
      while (around > 0 && !walks(nest.tensors[t], nest.loops[around - 1].axis)) --around;
      for (; around > 0; --around) fetched *= trips[around - 1];
      result.bytes[cache][static_cast<size_t>(nest.tensors[t].role)] += fetched;
    }
  }
  return result;
}

}  // namespace oc
