// How many bytes a nest moves between the levels of cache.
#pragma once

#include <array>

#include "base/target.h"
#include "schedules/nest.h"

namespace oc {

inline constexpr size_t kCacheLevels = 3;
inline constexpr size_t kTensorRoles = 3;  // NestTensor::Role

struct Traffic {
  // Bytes that come into each level from farther away, by role. Of the loops, a level holds what the outermost ones
  // touch whose bytes fit into most of it; a tensor is fetched anew by every loop around them, but for those next to
  // them that do not walk it.
  std::array<std::array<double, kTensorRoles>, kCacheLevels> bytes{};
  std::array<double, kTensorRoles> distinct{};  // bytes, each counted once
  std::array<double, kCacheLevels> held{};      // bytes of what fits, as a share of the level
  double tile = 0;                              // bytes that one register tile reads and writes
  // Of the weights, which come from memory in a model: run_of(), the shortest, and how often the loops jump to another
  // run there. Fetching ahead has to find its way anew each time.
  double run = 0, jumps = 0;

  [[nodiscard]] double into(size_t level) const { return bytes[level][0] + bytes[level][1] + bytes[level][2]; }
};

// Bytes of a tensor that lie side by side in the order in which the loops ask for them, whole lines at least.
[[nodiscard]] double run_of(const Nest& nest, const NestTensor& tensor);

[[nodiscard]] Traffic traffic_of(const Nest& nest, const Target& target);

}  // namespace oc
