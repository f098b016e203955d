#include "frontends/onnx/names.h"

#include <cstdint>

#include "base/utf8.h"

namespace oc::from_onnx {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr size_t kMaxName = 256;

bool is_control(std::string_view sequence) {
  const auto first = static_cast<uint8_t>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  return sequence.size() == 2 && first == 0xC2 && static_cast<uint8_t>(sequence[1]) < 0xA0;  // C1 controls
}

std::string clean(std::string_view text, bool keep_breaks) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, length);
    const bool kept_break = keep_breaks && (text[0] == '\n' || text[0] == '\t' || text[0] == '\r');
    if (length == 0 || (is_control(sequence) && !kept_break)) {
      result += kReplacement;
    } else {
      result += sequence;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

}  // namespace

std::string printable(std::string_view name) {
  std::string result = clean(name.substr(0, kMaxName + 4), false);
  if (result.size() <= kMaxName) return result;
  size_t cut = kMaxName;
  while ((static_cast<uint8_t>(result[cut]) & 0xC0) == 0x80) --cut;  // never inside a sequence
  return result.substr(0, cut) + "…";
}

std::string printable_text(std::string_view text) {
  return clean(text, true);
}

}  // namespace oc::from_onnx
