// Text in the cells of a terminal: wide characters take two, what is not printable or no UTF-8 shows as "?".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oc::cli {

// In exactly so many cells: padded with blanks, or cut, "…" in the last one.
[[nodiscard]] std::string fit_cells(std::string_view text, size_t cells);
[[nodiscard]] size_t count_cells(std::string_view text);

}  // namespace oc::cli
