// What a machine allows a kernel at best.
#pragma once

#include "autotune/measurer.h"
#include "base/target.h"
#include "dsl/kernel.h"

namespace oc {

// Nanoseconds below which this kernel cannot come: its arithmetic at peak, or its bytes at the speed of the level they
// lie in. Weights come from memory in a model, activations out of the cache where they fit.
[[nodiscard]] double limit_ns(const Kernel& kernel, const Target& target, const Calibration& calibration);

}  // namespace oc
