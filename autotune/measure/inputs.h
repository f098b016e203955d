// The data kernels are checked and timed with: from a seed, in the layouts of the workload, within what ops may be
// given.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "dsl/kernel.h"

namespace oc {

enum class InputKind : uint8_t {
  // Activations: every second float input ReLU-like (half zeros, none negative), the others normal. Weights: normal
  // with
  // deviation 1/√K. What timing and the strict comparison use.
  usual,
  // The same with large values (±1000, one element in 97), denormals and −0 strewn in, and NaN and infinities on the
  // first and last elements of each activation; without NaN, infinities and large values when the group casts floats to
  // integers, where those are undefined. Weights stay usual.
  adversarial,
};

// One tensor per input of the workload, in the layout the workload states. Integer inputs that a gather takes as
// indices lie in [0, extent of the gathered axis); other integers and booleans are 0 or 1.
[[nodiscard]] std::vector<Tensor> make_inputs(const Kernel& kernel, uint64_t seed, InputKind kind);

// Inclusive upper end of the values that input i may take when it is of an integer type; see make_inputs.
[[nodiscard]] int64_t highest_integer(const Kernel& kernel, size_t i);

// Reduced elements behind one output: the product of the anchor's k axes.
[[nodiscard]] double reduced_elements(const Kernel& kernel);

}  // namespace oc
