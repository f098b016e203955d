// Runs lowered kernels in this process through Halide's JIT, and computes what they should give.
#pragma once

#include <vector>

#include "base/target.h"
#include "base/tensor.h"
#include "dsl/lower.h"

namespace oc::test {

// A workload of the single op `op` for the case; its inputs are the case's, weights as weights.
[[nodiscard]] Workload case_workload(const OpInfo& op, const OpCase& c);
// Inputs of the case, filled from a seed within its ranges, in the layouts of the workload.
[[nodiscard]] std::vector<Tensor> case_inputs(const OpCase& c, uint32_t seed);
// Packs weight inputs as `packings` says, runs, returns the output in its own layout.
// Behind each tensor, or before it, lies memory that may not be touched.
enum class Edge : uint8_t { end, begin };
[[nodiscard]] Tensor run(Lowered& lowered, const Kernel& kernel, const std::vector<Tensor>& inputs,
                         const Packings& packings, const Target& target, Edge edge = Edge::end);
// The op's result by plain loops in double precision, independent of Halide. Layout: the kernel's output.
[[nodiscard]] Tensor reference(const OpInfo& op, const Kernel& kernel, const std::vector<Tensor>& inputs);

}  // namespace oc::test
