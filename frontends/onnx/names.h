// Names from a model, made fit for messages, terminals and text files.
#pragma once

#include <string>
#include <string_view>

namespace oc::from_onnx {

// Valid UTF-8 without control characters; each offending byte becomes U+FFFD. Cut after 256 bytes, with "…".
[[nodiscard]] std::string printable(std::string_view name);
// The same without a limit: metadata values may be long and keep their line breaks and tabs.
[[nodiscard]] std::string printable_text(std::string_view text);

}  // namespace oc::from_onnx
