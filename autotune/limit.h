// What a machine allows a kernel at best.
#pragma once

#include "autotune/measurer.h"
#include "base/target.h"
#include "dsl/kernel.h"

namespace oc {

// Nanoseconds below which this kernel cannot come: the arithmetic of its cheapest algorithm at peak, or its bytes.
// Weights come from memory in a model; activations that fit the last cache at the speed of the second, which is
// measured.
[[nodiscard]] double limit_ns(const Kernel& kernel, const Target& target, const Calibration& calibration);

}  // namespace oc
