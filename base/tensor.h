// A dense array in host memory, row-major over its physical extents.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/layout.h"

namespace oc {

struct Tensor {
  DType dtype = DType::f32;
  Extents shape;  // logical
  Layout layout;
  std::vector<std::byte> bytes;  // physical_size(layout, shape) * dtype_size(dtype)

  bool operator==(const Tensor&) const = default;
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  template <class T>
  [[nodiscard]] std::span<T> as() {
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// Zero-filled, plain layout unless given. UserError when the size overflows or exceeds `kMaxTensorBytes`.
[[nodiscard]] Tensor make_tensor(DType dtype, Extents shape, Layout layout = {});
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 33;

// The same values in another layout: the one relayout function; weights, constants and conversions use it. Padding is
// zero. Rank ≤ 8.
[[nodiscard]] Tensor relayout(const Tensor& from, const Layout& to);

// Integer tensors (i64, i32, bool, u8) widened to int64; f32/f64 of integral value as well. InternalError otherwise.
[[nodiscard]] std::vector<int64_t> to_int64(const Tensor& tensor);
[[nodiscard]] Tensor int64_tensor(std::span<const int64_t> values, Extents shape);

}  // namespace oc
