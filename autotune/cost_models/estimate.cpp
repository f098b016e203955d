#include "autotune/cost_models/estimate.h"

#include <algorithm>
#include <cmath>

#include "schedules/families/common.h"

namespace oc {
namespace {

// Of a current x86 core; bytes are those at best, without a miss. The others were chosen so that schedules of tuned
// models come out in the order they were measured in, that of loads too.
constexpr double kFromL2 = 64;        // bytes a cycle
constexpr double kFromL3 = 32;        // bytes a cycle
constexpr double kCopied = 24;        // bytes a cycle, written and read again
constexpr double kLoads = 4;          // a cycle, from the first level
constexpr double kWindow = 200;       // instructions ahead of the oldest one that is not done
constexpr double kTileCycles = 5;     // to enter and leave a register tile
constexpr double kSumCycles = 1;      // to begin and store a sum of it
constexpr double kLoopCycles = 0.5;   // of one turn of an innermost loop
constexpr double kSpillCycles = 8;    // of a sum that goes to memory and back, a step
constexpr double kJumpCycles = 25;    // to a row in memory: the latency, of which some sixteen are under way at a time
constexpr double kHidden = 0.6;       // of what is not the bottleneck runs beside it
constexpr double kTaskCycles = 3000;  // to hand out a task

// Register tiles, each of `depth` steps, that so many vector operations are.
double tiles_of(const Nest& nest, double vectors) {
  return vectors / static_cast<double>(std::max<int64_t>(1, nest.sums * nest.depth));
}

}  // namespace

int64_t registers_wanted(const Nest& nest) {
  return nest.sums + nest.held;
}

double latency_hidden(const Nest& nest, const Target& target) {
  const auto sums = static_cast<double>(nest.sums);
  const double tile = static_cast<double>(nest.depth) * (sums + static_cast<double>(nest.loads));
  return std::min(1.0, sums * (1 + kWindow / tile) / (kFmaLatency * target.vector_fmas));
}

double imbalance(const Nest& nest, int threads) {
  if (threads <= 1) return 1;
  const double pieces = static_cast<double>(std::max<int64_t>(1, nest.pieces));
  const double tasks = std::min(pieces, static_cast<double>(std::max<int64_t>(1, nest.tasks)));
  const double each = std::ceil(pieces / tasks);  // pieces a task
  const double rounds = std::ceil(std::ceil(pieces / each) / threads);
  return std::max(1.0, std::min(rounds * each, pieces) * threads / pieces);
}

namespace {

Estimate estimate(const Setting& setting, double least, const std::vector<Nest>& nests,
                  const std::vector<Traffic>& traffic) {
  const Target& target = setting.target;
  Estimate sum;
  for (size_t i = 0; i < nests.size(); ++i) {
    const Nest& nest = nests[i];
    const double fmas = target.vector_fmas, sums = static_cast<double>(nest.sums);
    const double vectors = nest.flops / 2 * nest.computed / static_cast<double>(nest.lanes);
    const double share = imbalance(nest, setting.threads) / setting.threads;  // of the work, on the busiest thread
    Estimate part;
    part.arithmetic = vectors / fmas / latency_hidden(nest, target);
    part.loads = vectors / sums * static_cast<double>(nest.loads) / kLoads;
    const double tiles = tiles_of(nest, vectors);
    part.overhead = tiles * (kTileCycles + kSumCycles * sums) +
                    kLoopCycles * vectors / static_cast<double>(std::max<int64_t>(1, nest.body));
    const auto spilled = static_cast<double>(std::max<int64_t>(0, registers_wanted(nest) - target.vector_registers));
    part.spills = kSpillCycles * spilled * vectors / sums;
    part.extra = nest.extra_ops / fmas + nest.extra_bytes / kCopied;
    part.l1 = traffic[i].into(0) / kFromL2;
    part.l2 = traffic[i].into(1) / kFromL3;
    part.l3 = traffic[i].into(2) / kMemoryBytes;
    part.jumps = traffic[i].jumps * kJumpCycles;
    for (const auto member : {&Estimate::arithmetic, &Estimate::loads, &Estimate::overhead, &Estimate::spills,
                              &Estimate::extra, &Estimate::jumps, &Estimate::l1, &Estimate::l2, &Estimate::l3})
      sum.*member += part.*member * share;
    const double core = std::max(part.arithmetic, part.loads) + part.overhead + part.spills;
    const double all = core + part.l1 + part.l2 + part.l3 + part.jumps,
                 most = std::max({core, part.l1, part.l2, part.l3 + part.jumps});
    sum.cycles += share * (most + (1 - kHidden) * (all - most) + part.extra);
    if (nest.tasks > 1) sum.cycles += kTaskCycles * static_cast<double>(nest.tasks) / setting.threads;
  }
  const double peak = 2.0 * target.vector_fmas * target.lanes(4);
  sum.ideal = std::max(least / peak, static_cast<double>(setting.kernel.bytes) / kFromL3) / setting.threads;
  sum.cycles = std::max(sum.cycles, 1.0);
  return sum;
}

}  // namespace

ScheduleView look_at(const Setting& setting, double least, const Schedule& schedule) {
  ScheduleView view{.nests = loop_nests(setting.kernel, setting.target, schedule)};
  for (const Nest& nest : view.nests) view.traffic.push_back(traffic_of(nest, setting.target));
  view.estimate = estimate(setting, least, view.nests, view.traffic);
  return view;
}

}  // namespace oc
