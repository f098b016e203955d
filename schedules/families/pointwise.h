// Elementwise and movement kernels have one loop structure: every output element once, vectors along the innermost
// physical loop. They differ in what reads cost.
#pragma once

#include "schedules/families/common.h"

namespace oc {

// Do only two to four elements of the output lie side by side, inside a dim of a vector or more? Vectors then run along
// that dim.
[[nodiscard]] bool interleaves(const Kernel& kernel, const Target& target);

[[nodiscard]] std::vector<Argument> pointwise_grammar();
[[nodiscard]] Space pointwise_space(const Kernel& kernel, const Target& target, int threads);
[[nodiscard]] Schedule pointwise_fallback(const Kernel& kernel, const Target& target, int threads);
[[nodiscard]] std::string pointwise_why_illegal(const Kernel& kernel, const Target& target, const Schedule& schedule);
// Vectors no longer than a row, tasks no more than there are.
void pointwise_settle(const Kernel& kernel, const Target& target, Schedule& schedule);
// One pass over the output and all that it reads.
[[nodiscard]] std::vector<Nest> pointwise_nests(const Kernel& kernel, const Target& target, const Schedule& schedule);
// Extent of the innermost physical loop of the output.
[[nodiscard]] int64_t innermost_extent(const Type& out);

}  // namespace oc
