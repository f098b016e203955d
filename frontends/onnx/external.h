// Weights that stand in files beside the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace oc::from_onnx {

// Reads `into.size()` bytes at `offset` of the file `location`, a relative path below `folder`. Every component of the
// path is opened without following links and ".." is refused, so nothing outside the folder can be reached, also when
// the folder changes meanwhile; the file must be a regular one with a single name (a hard link may lead anywhere).
// UserError otherwise and when the file is too short. `folder` empty: UserError.
void read_external(const std::filesystem::path& folder, std::string_view location, int64_t offset,
                   std::span<std::byte> into);
// The size check alone, before anything is allocated for the bytes.
void check_external(const std::filesystem::path& folder, std::string_view location, int64_t offset, int64_t length);

}  // namespace oc::from_onnx
