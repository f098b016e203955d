// What the reduction family's formulas and its interpreter share.
#pragma once

#include "schedules/families/common.h"

namespace oc {

// Is logical dim `dim` of the output one along which rows run?
[[nodiscard]] bool is_reduced(const Kernel& kernel, int dim);

// The rows of a reduction as a schedule sees them.
struct ReductionRows {
  bool along = true;       // vectors run along a row; else over neighbouring rows
  int64_t inner = 1;       // numbers in the innermost loop: of a row along its last axis, or of neighbouring rows
  int64_t lanes = 1;       // of a vector
  int64_t iterations = 1;  // rows, or vectors of neighbouring ones
};

[[nodiscard]] ReductionRows look_at_rows(const Kernel& kernel, const Target& target);

}  // namespace oc
