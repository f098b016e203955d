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

  [[nodiscard]] double into(size_t level) const { return bytes[level][0] + bytes[level][1] + bytes[level][2]; }
};

[[nodiscard]] Traffic traffic_of(const Nest& nest, const Target& target);

}  // namespace oc
