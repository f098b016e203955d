// A roofline estimate of one schedule: what its parts would take on one core, in cycles. Rough on purpose; it ranks
// schedules where nothing was measured yet, and its parts are features to learn from.
#pragma once

#include <vector>

#include "autotune/cost_models/cost_model.h"
#include "autotune/cost_models/traffic.h"

namespace oc {

inline constexpr double kFmaLatency = 4;  // cycles, of a current x86 core

struct Estimate {
  double arithmetic = 0;          // multiply-adds at the rate that the tile's sums allow
  double loads = 0;               // of the operands, from the first level
  double overhead = 0;            // of tiles and of loops: sums stored, counters, branches
  double spills = 0;              // of sums that registers do not hold
  double extra = 0;               // transforms, copies
  double jumps = 0;               // to rows of memory that nobody could ask for ahead
  double l1 = 0, l2 = 0, l3 = 0;  // what comes into each level from farther away
  double cycles = 0;              // of all together, on the busiest thread
  double ideal = 0;               // of the fewest operations at peak, or of every byte once

  [[nodiscard]] double efficiency() const { return cycles > 0 ? ideal / cycles : 0; }  // 0 … 1 or a little more
};

// What models see of a schedule.
struct ScheduleView {
  std::vector<Nest> nests;
  std::vector<Traffic> traffic;  // of each nest
  Estimate estimate;
};

// `least`: least_flops() of the kernel.
[[nodiscard]] ScheduleView look_at(const Setting& setting, double least, const Schedule& schedule);

// Vector registers that a tile wants: its sums and the operands on their way.
[[nodiscard]] int64_t registers_wanted(const Nest& nest);
// 0 … 1: multiply-adds under way, of those that hide their latency: the tile's sums, and those of the tiles after it
// that the core has begun already, many where tiles are short.
[[nodiscard]] double latency_hidden(const Nest& nest, const Target& target);
// The share of an even split that the busiest thread gets: 1 when all get the same, `threads` when one gets all.
[[nodiscard]] double imbalance(const Nest& nest, int threads);

}  // namespace oc
