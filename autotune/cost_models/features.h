// Kernel × Schedule × Target as numbers to learn from: always the same ones in the same order, always finite.
// Quantities that span decades are logarithms to base 2; what a kernel's family does not have is -1.
#pragma once

#include <string>
#include <vector>

#include "autotune/cost_models/cost_model.h"

namespace oc {

[[nodiscard]] const std::vector<std::string>& feature_names();
// Of schedules that fit the kernel; row after row.
[[nodiscard]] std::vector<float> features(const Setting& setting, std::span<const Schedule> schedules);

}  // namespace oc
