// NumPy's .npy files (format versions 1 and 2, C order, little endian).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/tensor.h"

namespace oc::cli {

// The bytes of a file called `file`. UserError names it and what is wrong.
[[nodiscard]] Tensor parse_npy(std::string_view bytes, std::string_view file);
[[nodiscard]] std::string print_npy(const Tensor& tensor, std::string_view file);
[[nodiscard]] Tensor read_npy(const std::filesystem::path& path);
// An array of Python's strings (dtype <U7 and the like) as u8 with one more dim: each a row of UTF-8 filled up with
// zero bytes. UserError for other arrays, and for strings that hold zeros or surrogates.
[[nodiscard]] Tensor parse_npy_texts(std::string_view bytes, std::string_view file);
[[nodiscard]] Tensor read_npy_texts(const std::filesystem::path& path);
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace oc::cli
