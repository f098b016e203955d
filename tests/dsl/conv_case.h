// Convolutions of many shapes under the schedules of the forms that multiply matrices.
#pragma once

#include <vector>

#include "opencompiler/dsl.h"
#include "schedules/schedule.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {

struct ConvShape {
  Extents x, w, pads;
  Extents strides = {1, 1}, dilations = {1, 1};
  bool transposed = false;
};

struct ConvCase {
  OpCase op;
  Kernel kernel;
};

// Input and output in channel blocks of `block`.
ConvCase conv_case(const ConvShape& shape, int64_t block, int64_t group = 1);

// The formula's schedules, and of those far from them that are legal each third, from the `turn`th on.
std::vector<Schedule> product_schedules(const Kernel& kernel, const Target& target, int64_t form, int turn);

// The output under schedule `s`.
Tensor run_schedule(const Kernel& kernel, const Target& target, const Schedule& s, const std::vector<Tensor>& inputs);

}  // namespace oc::test
