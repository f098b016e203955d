// NumPy's .npy files (format versions 1 and 2, C order, little endian).
#pragma once

#include <filesystem>

#include "base/tensor.h"

namespace oc::cli {

[[nodiscard]] Tensor read_npy(const std::filesystem::path& path);  // UserError names the path and what is wrong
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace oc::cli
