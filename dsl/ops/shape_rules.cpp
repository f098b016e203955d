#include "dsl/ops/shape_rules.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace oc {
namespace {

Dim broadcast_dim(const Dim& a, const Dim& b) {
  if (a == b || b.extent == 1) return a;
  if (a.extent == 1) return b;
  if (a.known() && b.known()) user_error("extents {} and {} do not broadcast", a.extent, b.extent);
  return a.known() ? a : b;
}

}  // namespace

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim da = i + a.size() >= rank ? a[i + a.size() - rank] : Dim(1);
    const Dim db = i + b.size() >= rank ? b[i + b.size() - rank] : Dim(1);
    out[i] = broadcast_dim(da, db);
  }
  return out;
}

int64_t broadcast_offset(std::span<const int64_t> index, std::span<const int64_t> shape) {
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d)
    offset = offset * shape[d] + (shape[d] == 1 ? 0 : index[index.size() - shape.size() + d]);
  return offset;
}

void for_each_index(std::span<const int64_t> shape,
                    const std::function<void(const Extents& index, int64_t linear)>& visit) {
  const int64_t count = element_count(shape);
  Extents index(shape.size(), 0);
  for (int64_t linear = 0; linear < count; ++linear) {
    visit(index, linear);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

void check_axis(std::string_view op, int64_t axis, size_t rank) {
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) user_error("{}: axis {} of a tensor of rank {}", op, axis, rank);
}

void require_float(const NodeView& node) {
  if (!dtype_is_float(node.in(0).dtype))
    user_error("{} of {}: needs a floating-point type", node.node.op, dtype_name(node.in(0).dtype));
}

void copy_element(const Tensor& source, int64_t from, Tensor& target, int64_t to) {
  const size_t size = dtype_size(source.dtype);
  std::memcpy(target.bytes.data() + static_cast<size_t>(to) * size,
              source.bytes.data() + static_cast<size_t>(from) * size, size);
}

}  // namespace oc
