// NumPy's .npz files: a zip archive of one .npy file a tensor.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace oc::cli {

// By name; stored or deflated entries. UserError names the path and what is wrong.
[[nodiscard]] std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);
// Uncompressed, as numpy.savez. UserError over 4 GiB.
void write_npz(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace oc::cli
