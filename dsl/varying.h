// Kernels for extents that are known only when they run. Two workloads of one model at two shapes say which extents
// vary: those in which they differ. What differs together is one symbol.
#pragma once

#include <optional>
#include <vector>

#include "dsl/kernel.h"

namespace oc {

// Do all of its ops ask for extents, so that it may be built before they are known?
[[nodiscard]] bool takes_sizes(const Kernel& kernel, const OpTable& ops);

// `kernel` with the extents that differ from `other`'s as symbols. Nullopt where the two differ in more than extents,
// or cannot be built before extents are known: a symbol would be 1, as a dim that broadcasts is, or be part of a weight
// that schedules pack or of a dim in blocks, or an op's algorithm depends on extents (not OpInfo::takes_sizes). Whether
// the family's schedules can do with it says schedules/schedule.h, `can_vary`.
[[nodiscard]] std::optional<Kernel> varying(const Kernel& kernel, const Kernel& other, const OpTable& ops);

// What the symbols of `kernel` are in `other`, in the order of their numbers; nullopt where other is not the same but
// for them.
[[nodiscard]] std::optional<std::vector<int64_t>> symbols_in(const Kernel& kernel, const Kernel& other,
                                                             const OpTable& ops);

// "%0.1=0 %3.0=0": where the symbols stand, as part of what names a kernel; "" when nothing varies.
[[nodiscard]] std::string print_symbols(const Kernel& kernel);

}  // namespace oc
