// UTF-8 as RFC 3629 and table 3-7 of Unicode have it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oc {

// The length of the well-formed sequence at the front of `text`, 0 if there is none; `text` is not empty.
[[nodiscard]] size_t utf8_length(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);
// Its code points; `text` must be UTF-8.
[[nodiscard]] std::u32string utf8_code_points(std::string_view text);
// False, and nothing is appended, for a surrogate and what is beyond U+10FFFF.
bool append_utf8(std::string& text, char32_t code_point);

}  // namespace oc
