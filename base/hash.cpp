#include "base/hash.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL  // header only: nothing to link
#include <xxhash.h>

namespace oc {

std::string content_hash(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

}  // namespace oc
