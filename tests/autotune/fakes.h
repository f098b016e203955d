// A Measurer without clock and compiler: times come from a formula over the schedule.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "autotune/measurer.h"
#include "autotune/strategy.h"
#include "autotune/tune.h"

namespace oc::testing {

// A register-tiling-like landscape over the contraction grammar: 4704 points, about 40 % of them legal, one basin with
// interactions and a rough floor. Minimum 1000 ns.
inline Space tiling_space() {
  Space space{Family::contraction, {}, {}};
  space.knobs = {{"tile.m", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}},
                 {"tile.n", {1, 2, 3, 4, 5, 6}},
                 {"unroll.k", {1, 2, 4, 8}},
                 {"order.inner", {0, 1}},
                 {"block.m", {0, 1, 2, 4, 8, 16, 32}}};
  space.legal = [](const Schedule& s) { return s["tile.m"] * s["tile.n"] < 32; };
  return space;
}

inline double tiling_time(const Schedule& s) {
  const auto m = static_cast<double>(s["tile.m"]), n = static_cast<double>(s["tile.n"]);
  double time = 1000 + 40 * std::abs(m - 9) + 120 * std::abs(n - 3) + 15 * std::abs(m * n - 27);
  time += 30 * std::abs(std::log2(static_cast<double>(s["unroll.k"])) - 1) * (s["order.inner"] == 1 ? 3 : 1);
  time += s["order.inner"] == 0 ? 0 : 150;
  time += 25 * std::abs(std::log2(static_cast<double>(s["block.m"]) + 1) - 3.2);
  return time;
}

inline Schedule tiling_start() {
  return tiling_space().at({0, 0, 0, 1, 0});
}

// The fastest legal time, by looking at all points.
inline double tiling_best() {
  const Space space = tiling_space();
  double best = 1e30;
  Point point(space.knobs.size(), 0);
  for (;;) {
    const Schedule schedule = space.at(point);
    if (space.legal(schedule)) best = std::min(best, tiling_time(schedule));
    size_t knob = 0;
    while (knob < point.size() && ++point[knob] == space.knobs[knob].values.size()) point[knob++] = 0;
    if (knob == point.size()) return best;
  }
}

class FakeMeasurer : public Measurer {
 public:
  std::function<double(const Kernel&, const Schedule&)> time = [](const Kernel&, const Schedule&) { return 1000.0; };
  std::function<TrialStatus(const Schedule&)> status = [](const Schedule&) { return TrialStatus::ok; };
  double noise = 0;            // relative, one standard deviation of each sample
  double trial_seconds = 0.1;  // how far the fake clock moves per measurement
  Seconds* clock = nullptr;

  std::vector<std::pair<std::string, std::string>> measured;  // workload hash, schedule text
  std::vector<std::optional<double>> hopeless;                // as given to measure
  int duels = 0;
  std::vector<std::string> prepared;

  Calibration calibrate() override { return {1e11, 2e10, 1e11}; }
  void prepare(const Kernel&, const Schedule& schedule) override { prepared.push_back(print_schedule(schedule)); }

  Measurement measure(const Kernel& kernel, const Schedule& schedule, std::optional<double> hopeless_ns) override {
    measured.emplace_back(kernel.workload.hash(), print_schedule(schedule));
    hopeless.push_back(hopeless_ns);
    if (clock != nullptr) *clock += Seconds(trial_seconds);
    const TrialStatus found = status(schedule);
    if (found != TrialStatus::ok) return {.status = found, .message = "as the test wants"};
    return {.samples_ns = samples(time(kernel, schedule), 15), .message = {}};
  }

  std::optional<Duel> duel(const Kernel& kernel, const Schedule& candidate, const Schedule& incumbent) override {
    ++duels;
    return Duel{samples(time(kernel, candidate), 15), samples(time(kernel, incumbent), 15)};
  }

 private:
  std::vector<int64_t> samples(double center, int count) {
    std::normal_distribution<double> spread(0, 1);
    std::vector<int64_t> result;
    for (int i = 0; i < count; ++i)
      result.push_back(std::max<int64_t>(1, std::llround(center * (1 + noise * spread(random_)))));
    return result;
  }
  std::mt19937_64 random_{7};
};

}  // namespace oc::testing
