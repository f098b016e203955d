#include "autotune/cost_models/traffic.h"

#include <algorithm>
#include <cmath>

#include "schedules/families/common.h"

namespace oc {
namespace {

constexpr double kUsable = 0.8;  // of a level; other things lie there too

int64_t extent_of(const NestTensor& tensor, size_t dim, const std::vector<int64_t>& piece) {
  int64_t extent = 1;
  for (const auto& [axis, stride] : tensor.dims[dim]) extent += stride * (piece[static_cast<size_t>(axis)] - 1);
  return extent;
}

// Bytes of a tensor that a piece of the axes touches, in whole lines.
double footprint(const NestTensor& tensor, const std::vector<int64_t>& piece) {
  double bytes = 1;
  for (size_t d = 0; d < tensor.dims.size(); ++d) {
    int64_t extent = extent_of(tensor, d, piece);
    if (d + 1 == tensor.dims.size()) extent = (extent * tensor.element + kCacheLine - 1) / kCacheLine * kCacheLine;
    bytes *= static_cast<double>(extent);
  }
  return bytes;
}

bool walks(const NestTensor& tensor, int axis) {
  return std::ranges::any_of(tensor.dims, [axis](const auto& terms) {
    return std::ranges::any_of(terms, [axis](const auto& term) { return term.first == axis; });
  });
}

// A dim of the array that a tensor is in memory: `count` pieces of `unit` elements along a dim of the tensor.
struct Place {
  size_t dim = 0;
  int64_t unit = 1, count = 1;
};

// Innermost first.
std::vector<Place> places_of(const NestTensor& tensor, const std::vector<int64_t>& extents) {
  std::vector<Place> places;
  std::vector<int64_t> unit(tensor.dims.size(), 1);
  for (auto block = tensor.layout.blocks.rbegin(); block != tensor.layout.blocks.rend(); ++block) {
    const auto dim = static_cast<size_t>(block->dim);
    places.push_back({dim, unit[dim], block->size});
    unit[dim] *= block->size;
  }
  for (size_t i = tensor.dims.size(); i-- > 0;) {
    const size_t dim = tensor.layout.order.empty() ? i : static_cast<size_t>(tensor.layout.order[i]);
    places.push_back({dim, unit[dim], (extent_of(tensor, dim, extents) + unit[dim] - 1) / unit[dim]});
  }
  return places;
}

// Elements in memory from one index along `dim` to the next but `step`.
int64_t distance_of(const std::vector<Place>& places, size_t dim, int64_t step) {
  int64_t stride = 1, distance = 0;
  for (const Place& place : places) {
    if (place.dim == dim && place.unit <= step) distance = step / place.unit * stride;
    stride *= place.count;
  }
  return distance;
}

}  // namespace

double run_of(const Nest& nest, const NestTensor& tensor) {
  std::vector<int64_t> piece = nest.extents;
  std::vector<int64_t> trips;
  for (const auto& [axis, step] : nest.loops) {
    int64_t& extent = piece[static_cast<size_t>(axis)];
    trips.push_back((extent + step - 1) / step);
    extent = std::min(extent, step);
  }
  const std::vector<Place> places = places_of(tensor, nest.extents);
  int64_t run = 1;
  for (const Place& place : places) {
    const int64_t wanted = (extent_of(tensor, place.dim, piece) + place.unit - 1) / place.unit;
    run *= std::min(wanted, place.count);
    if (wanted < place.count) break;
  }
  for (size_t level = nest.loops.size(); level-- > 0;) {
    if (trips[level] <= 1) continue;
    int64_t step = 0;
    for (size_t dim = 0; dim < tensor.dims.size(); ++dim)
      for (const auto& [axis, stride] : tensor.dims[dim])
        if (axis == nest.loops[level].axis)
          step = std::max(step, distance_of(places, dim, stride * nest.loops[level].step));
    if (step > run) break;
    run += step * (trips[level] - 1);
  }
  return static_cast<double>(std::max(kCacheLine, run * tensor.element));
}

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
      if (cache + 1 < kCacheLevels || nest.tensors[t].role != NestTensor::Role::weight) continue;
      const double run = run_of(nest, nest.tensors[t]);
      result.run = result.run == 0 ? run : std::min(result.run, run);
      result.jumps += fetched / run;
    }
  }
  return result;
}

}  // namespace oc
