// A space made small enough to time all of it.
#pragma once

#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"

namespace oc::testing {

struct Cut {
  KnobValues fixed;
  std::vector<Knob> knobs;
  std::vector<Schedule> starts;     // the formula's schedule, then those of the family's other algorithms
  std::vector<Schedule> schedules;  // all of them: distinct, legal and settled; the starts among them
};

// Of the kernel's space, at most `most` schedules: knobs lose values, those with most values first, until so few
// remain. What is left of a knob spreads over its range and has the values of every start, so that all algorithms
// survive. UserError when that cannot be.
[[nodiscard]] Cut cut_space(const Kernel& kernel, const Target& target, int threads, size_t most);

}  // namespace oc::testing
