// Which sources this compiler was built of.
#pragma once

#include <string_view>

namespace oc {

// A hash of every file of base, graph, dsl, schedules and generators, made by the build: equal sources, equal stamp.
[[nodiscard]] std::string_view source_stamp();

}  // namespace oc
