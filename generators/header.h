// The C header of a library: clean C99 and C++.
#pragma once

#include <cstdint>
#include <string>

#include "generators/interface.h"

namespace oc {

[[nodiscard]] std::string make_header(const Interface& interface, int64_t arena_bytes);

}  // namespace oc
