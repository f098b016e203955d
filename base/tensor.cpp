#include "base/tensor.h"

#include <algorithm>
#include <type_traits>

#include "base/error.h"

namespace oc {
namespace {

// For each physical dim, outermost first: which logical dim it walks and by how much one step moves.
struct Walk {
  int dim;
  int64_t extent;
  int64_t step;
};

std::vector<Walk> walks(const Layout& layout, std::span<const int64_t> shape) {
  std::vector<Walk> result;
  if (layout.plain()) {
    for (size_t d = 0; d < shape.size(); ++d) result.push_back({static_cast<int>(d), shape[d], 1});
    return result;
  }
  const Extents extents = physical_extents(layout, shape);
  std::vector<int64_t> remaining(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) remaining[d] = layout.block(static_cast<int>(d));
  for (size_t i = 0; i < layout.order.size(); ++i)
    result.push_back({layout.order[i], extents[i], remaining[layout.order[i]]});
  for (const Layout::Block& b : layout.blocks) {
    remaining[b.dim] /= b.size;
    result.push_back({b.dim, b.size, remaining[b.dim]});
  }
  return result;
}

// Element offset of every value of each logical dim; an element's offset is the sum over its dims.
std::vector<std::vector<int64_t>> offsets(const Layout& layout, std::span<const int64_t> shape) {
  const std::vector<Walk> w = walks(layout, shape);
  std::vector<std::vector<int64_t>> table(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    table[d].resize(shape[d]);
    for (int64_t i = 0; i < shape[d]; ++i) {
      int64_t stride = 1, rest = 0;
      for (size_t k = w.size(); k-- > 0;) {
        if (w[k].dim == static_cast<int>(d)) rest += (i / w[k].step % w[k].extent) * stride;
        stride *= w[k].extent;
      }
      table[d][i] = rest;
    }
  }
  return table;
}

template <class T>
void copy_elements(const Tensor& from, Tensor& to) {
  const auto source = offsets(from.layout, from.shape);
  const auto target = offsets(to.layout, to.shape);
  const T* src = from.as<T>().data();
  T* dst = to.as<T>().data();
  const size_t rank = from.shape.size();
  if (rank == 0) {
    *dst = *src;
    return;
  }
  const size_t inner = static_cast<size_t>(from.shape[rank - 1]);
  Extents index(rank, 0);
  for (;;) {
    int64_t s = 0, d = 0;
    for (size_t k = 0; k + 1 < rank; ++k) {
      s += source[k][index[k]];
      d += target[k][index[k]];
    }
    for (size_t i = 0; i < inner; ++i) dst[d + target[rank - 1][i]] = src[s + source[rank - 1][i]];
    size_t k = rank - 1;
    for (; k-- > 0;) {
      if (++index[k] < from.shape[k]) break;
      index[k] = 0;
    }
    if (k == SIZE_MAX) return;
  }
}

}  // namespace

Tensor make_tensor(DType dtype, Extents shape, Layout layout) {
  const int64_t count = physical_size(layout, shape);
  const auto size = static_cast<int64_t>(dtype_size(dtype));
  if (count > kMaxTensorBytes / size)
    user_error("a tensor of {} {} elements exceeds the limit of {} bytes", count, dtype_name(dtype), kMaxTensorBytes);
  return {dtype, std::move(shape), std::move(layout), std::vector<std::byte>(static_cast<size_t>(count * size))};
}

Tensor relayout(const Tensor& from, const Layout& to) {
  if (from.layout == to || (from.layout.plain() && to.plain())) {
    Tensor same = from;
    same.layout = to;
    return same;
  }
  Tensor result = make_tensor(from.dtype, from.shape, to);
  if (element_count(from.shape) == 0) return result;
  switch (dtype_size(from.dtype)) {
    case 1: copy_elements<uint8_t>(from, result); break;
    case 2: copy_elements<uint16_t>(from, result); break;
    case 4: copy_elements<uint32_t>(from, result); break;
    default: copy_elements<uint64_t>(from, result); break;
  }
  return result;
}

std::vector<int64_t> to_int64(const Tensor& tensor) {
  std::vector<int64_t> values;
  auto widen = [&](auto span) {
    for (auto v : span) {
      if constexpr (std::is_floating_point_v<decltype(v)>)  // the cast below is undefined outside these bounds
        if (!(v >= -0x1p63 && v < 0x1p63)) internal_error("a {} tensor holds {}", dtype_name(tensor.dtype), v);
      const auto wide = static_cast<int64_t>(v);
      if (static_cast<decltype(v)>(wide) != v)
        internal_error("a {} tensor holds a value that is no integer", dtype_name(tensor.dtype));
      values.push_back(wide);
    }
  };
  switch (tensor.dtype) {
    case DType::i64: widen(tensor.as<int64_t>()); break;
    case DType::i32: widen(tensor.as<int32_t>()); break;
    case DType::i16: widen(tensor.as<int16_t>()); break;
    case DType::i8: widen(tensor.as<int8_t>()); break;
    case DType::u8:
    case DType::boolean: widen(tensor.as<uint8_t>()); break;
    case DType::u16: widen(tensor.as<uint16_t>()); break;
    case DType::u32: widen(tensor.as<uint32_t>()); break;
    case DType::f32: widen(tensor.as<float>()); break;
    case DType::f64: widen(tensor.as<double>()); break;
    default: internal_error("a {} tensor where integers are needed", dtype_name(tensor.dtype));
  }
  return values;
}

Tensor int64_tensor(std::span<const int64_t> values, Extents shape) {
  Tensor t = make_tensor(DType::i64, std::move(shape));
  std::ranges::copy(values, t.as<int64_t>().begin());
  return t;
}

}  // namespace oc
