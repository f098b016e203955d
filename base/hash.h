// Content hashes: 128-bit XXH3 as 32 lower-case hex digits. They find rows and cache entries; whoever trusts a hit
// compares the full text as well.
#pragma once

#include <string>
#include <string_view>

namespace oc {

[[nodiscard]] std::string content_hash(std::string_view bytes);

}  // namespace oc
