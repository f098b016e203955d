// Kernels of every family in every size.
#pragma once

#include <string>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"

namespace oc::test {

// Extents on both sides of vector widths and tiles.
inline constexpr int64_t kSizes[] = {1, 2, 3, 7, 15, 17, 31, 33, 127};
inline constexpr const char* kTargets[] = {"host", "x86-64-avx2", "arm-64-linux"};

// All families, with n for most extents; blocked activations as the target's vectors want them.
[[nodiscard]] std::vector<Kernel> kernels(int64_t n, const Target& target);

// The loops as Halide lowers them. Made in a process of its own, so that equal ones are equal texts.
[[nodiscard]] std::string lowered_text(const Kernel& kernel, const Target& target, const Schedule& schedule);

}  // namespace oc::test
