// Where trials come from, as rows say it: the machine, what the code was built for, and the program.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/target.h"
#include "tuning_db/records.h"

namespace oc {

[[nodiscard]] MachineRow describe(const Machine& machine);
// What a row says of its machine, but for `cores`; nullopt if it does not say it, or not in our words.
[[nodiscard]] std::optional<Machine> described_machine(const MachineRow& row);
// By hash; rows that do not say it are left out.
[[nodiscard]] std::map<std::string, Machine> described_machines(const std::vector<MachineRow>& rows);

// The target that a trial's code was built for on that machine: caches are no part of its features. nullopt where these
// are no target, or the machine has caches that none has.
[[nodiscard]] std::optional<Target> target_on(const std::string& features, const Machine& machine);

// Our version, the toolchain and the schedule languages: trials of another build are suspect.
[[nodiscard]] BuildRow current_build();
// Its row_id, worked out once.
[[nodiscard]] const std::string& current_build_id();

}  // namespace oc
