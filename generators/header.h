// The C header of a library: clean C99 and C++.
#pragma once

#include <string>

#include "generators/interface.h"
#include "generators/plan.h"

namespace oc {

[[nodiscard]] std::string make_header(const Interface& interface, const Plan& plan);

}  // namespace oc
