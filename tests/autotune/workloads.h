// Small real workloads.
#pragma once

#include <fmt/format.h>

#include <string>

#include "autotune/tune.h"

namespace oc {
const OpTable& builtin_ops();  // opencompiler/dsl.h, without Halide.h
}

namespace oc::testing {

inline Kernel kernel_of(const std::string& text) {
  return analyse({text}, builtin_ops());
}

inline TuneTask matmul_task(const std::string& name, int64_t m, int64_t k, int64_t n) {
  return {kernel_of(fmt::format("graph \"\" {{\n  %0: f32[{0},{1}] = input\n  %1: f32[{1},{2}] = weight\n"
                                "  %2: f32[{0},{2}] = matmul(%0, %1)\n  return %2\n}}\n",
                                m, k, n)),
          1, name};
}

}  // namespace oc::testing
