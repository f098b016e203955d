#include "tuning_db/machine.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace oc {

MachineRow describe(const Machine& machine) {
  const nlohmann::json description = {{"vendor", machine.vendor},     {"model", machine.model},
                                      {"family", machine.family},     {"model_number", machine.model_number},
                                      {"stepping", machine.stepping}, {"features", machine.features},
                                      {"l1_bytes", machine.l1_bytes}, {"l2_bytes", machine.l2_bytes},
                                      {"l3_bytes", machine.l3_bytes}, {"core_kinds", machine.core_kinds}};
  return {machine.hash(), description.dump()};
}

std::optional<Machine> described_machine(const MachineRow& row) {
  try {
    const nlohmann::json all = nlohmann::json::parse(row.description);
    // The library casts whatever number stands there, which for one out of range is undefined.
    if (std::ranges::any_of(all, [](const auto& value) { return value.is_number_float(); })) return std::nullopt;
    Machine machine{.vendor = all.at("vendor"),
                    .model = all.at("model"),
                    .family = all.at("family"),
                    .model_number = all.at("model_number"),
                    .stepping = all.at("stepping"),
                    .features = all.at("features"),
                    .l1_bytes = all.at("l1_bytes"),
                    .l2_bytes = all.at("l2_bytes"),
                    .l3_bytes = all.at("l3_bytes"),
                    .core_kinds = all.at("core_kinds")};
    if (machine.hash() != row.hash) return std::nullopt;
    return machine;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::map<std::string, Machine> described_machines(const std::vector<MachineRow>& rows) {
  std::map<std::string, Machine> machines;
  for (const MachineRow& row : rows)
    if (std::optional<Machine> machine = described_machine(row)) machines.emplace(row.hash, std::move(*machine));
  return machines;
}

}  // namespace oc
