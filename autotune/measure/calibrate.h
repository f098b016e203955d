// What a machine can do at best: timed in each tuning run, which holds what it finds against that (limit.h).
#pragma once

#include <functional>

#include "autotune/measurer.h"
#include "base/target.h"

namespace oc {

// Multiply-add peak with the vectors of `target` and read bandwidth from memory and from L2, on `threads` threads at
// once, at most as many as there are cores; about a second. The target must run here. Starts threads: call it in a
// child.
[[nodiscard]] Calibration calibrate_host(const Target& target, int threads);

// Seconds that the shortest of several runs of `body`(thread) takes, each on `threads` threads at once. The threads
// stay between runs: new ones share a core at first, and look half as fast.
[[nodiscard]] double shortest_run(int threads, const std::function<void(int)>& body);

}  // namespace oc
