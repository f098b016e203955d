// Machines as rows say them. A description proves itself: the machine that it describes hashes to the row's id.
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

}  // namespace oc
