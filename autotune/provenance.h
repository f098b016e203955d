// Where trials come from, as rows say it: what the code was built for, and the program.
#pragma once

#include <optional>
#include <string>

#include "base/target.h"
#include "tuning_db/machine.h"

namespace oc {

// The target that a trial's code was built for on that machine: caches are no part of its features. nullopt where these
// are no target, or the machine has caches that none has.
[[nodiscard]] std::optional<Target> target_on(const std::string& features, const Machine& machine);

// Our version, the toolchain and the schedule languages: trials of another build are suspect.
[[nodiscard]] BuildRow current_build();
// Its row_id, worked out once.
[[nodiscard]] const std::string& current_build_id();

}  // namespace oc
