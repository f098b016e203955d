// What the fuzz targets share: an input is refused with a UserError or taken; anything else ends the process.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"

namespace oc::fuzz {

// Calls f with the input as text.
template <class F>
int feed(const uint8_t* data, size_t size, F&& f) {
  try {
    f(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const UserError&) {
  }
  return 0;
}

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace oc::fuzz
