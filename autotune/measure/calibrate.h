// What a machine can do at best: timed in each tuning run, which holds what it finds against that (limit.h).
#pragma once

#include "autotune/measurer.h"
#include "base/target.h"

namespace oc {

// Multiply-add peak with the vectors of `target` and read bandwidth from memory and from L2, each on `threads` threads
// at once, or as many as there are cores; less than a second. The target must run here. Starts threads: call it in a
// child.
[[nodiscard]] Calibration calibrate_host(const Target& target, int threads);

}  // namespace oc
