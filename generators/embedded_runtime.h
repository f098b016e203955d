// The embedded runtime's object files, compiled by our build for every architecture (runtime/CMakeLists.txt).
#pragma once

#include <string_view>
#include <vector>

namespace oc {

struct EmbeddedObject {
  std::string_view name;  // of its source file: pool, library, …
  std::string_view bytes;
};

// `arch` as in Target; InternalError if there are none for it.
[[nodiscard]] std::vector<EmbeddedObject> embedded_runtime(std::string_view arch);

}  // namespace oc
