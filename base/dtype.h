// Element types. Names are those of ONNX shortened: f32, i64, bool, …
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace oc {

enum class DType : uint8_t { f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

[[nodiscard]] std::string_view dtype_name(DType type);
[[nodiscard]] std::optional<DType> parse_dtype(std::string_view name);
[[nodiscard]] size_t dtype_size(DType type);  // bytes per element
[[nodiscard]] bool dtype_is_float(DType type);

}  // namespace oc
