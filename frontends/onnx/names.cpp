#include "frontends/onnx/names.h"

#include <cstdint>

namespace oc::from_onnx {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr size_t kMaxName = 256;

// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 0 if there is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                        : (lead & 0xF0) == 0xE0        ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  uint8_t low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  return length;
}

bool is_control(std::string_view sequence) {
  const auto first = static_cast<uint8_t>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  return sequence.size() == 2 && first == 0xC2 && static_cast<uint8_t>(sequence[1]) < 0xA0;  // C1 controls
}

std::string clean(std::string_view text, bool keep_breaks) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t length = sequence_length(text);
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
