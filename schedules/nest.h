// What a schedule makes of a kernel, as numbers for cost models: the loops that walk its tensors, and the register tile
// at their bottom. A description of what costs most, not a program: what a family leaves out is small or the same for
// all its schedules.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/layout.h"

namespace oc {

struct NestTensor {
  enum class Role : uint8_t { input, weight, result };  // result: also sums that lie in memory meanwhile
  Role role = Role::input;
  int64_t element = 4;  // bytes
  // Per dim, innermost in memory last: the (axis, stride) pairs whose sum is the index.
  std::vector<std::vector<std::pair<int, int64_t>>> dims;
  Layout layout = {};  // of these dims, where they lie in blocks; blocks of the last one are innermost
};

// A loop over an axis in pieces of `step`, the last of which may be cut or shifted.
struct NestLoop {
  int axis = 0;
  int64_t step = 1;
};

struct Nest {
  std::vector<int64_t> extents;  // by axis
  std::vector<NestLoop> loops;   // outermost first; what the last ones leave is the register tile
  std::vector<NestTensor> tensors;

  double flops = 0;        // that are wanted
  double computed = 1;     // operations carried out for each one wanted: tails, lanes without work
  double extra_ops = 0;    // vector operations beside: transforms, sums across lanes
  double extra_bytes = 0;  // written and read again beside the tensors: copies, padded inputs

  // The register tile: `sums` vectors of `lanes` numbers add up side by side for `depth` steps; a step reads `loads`
  // vectors or single numbers, and holds `held` of them at a time. `body`: statements unrolled in the innermost loop.
  int64_t lanes = 1, sums = 1, loads = 1, held = 1, depth = 1, body = 1;

  int64_t pieces = 1, tasks = 1;  // iterations of the outer loops that `tasks` tasks share
};

}  // namespace oc
