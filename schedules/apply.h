// The only interpreter of schedules onto Halide; one file per family in apply/.
#pragma once

#include "dsl/lower.h"
#include "schedules/schedule.h"

namespace oc {

// Lowers the kernel with the schedule's weight packing and applies its directives. UserError when the schedule does not
// fit.
[[nodiscard]] Lowered apply_schedule(const Kernel& kernel, const OpTable& ops, const Target& target,
                                     const Schedule& schedule);

// What one family's apply/<family>.cpp gets: the lowered kernel to schedule in place.
struct ApplyCall {
  const Kernel& kernel;
  const Target& target;
  const Schedule& schedule;
  Lowered& lowered;
};
#define OC_FAMILY(name) void apply_##name(const ApplyCall& call);
#include "schedules/families.inc"
#undef OC_FAMILY

// The loops that the schedule makes, as text for people. Halide prints them to stderr, which this takes over: call it
// in a child.
[[nodiscard]] std::string print_loop_nest(const Kernel& kernel, const OpTable& ops, const Target& target,
                                          const Schedule& schedule);

// The oracle for schedules: every stage at root, sums in the order of their terms, no packing, no tiles. Slow.
[[nodiscard]] Lowered unscheduled(const Kernel& kernel, const OpTable& ops);

}  // namespace oc
