// Ops that give another shape to the same elements, or ask for a shape.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {

Values identity(Call& n) {
  return {n.any(0)};
}

// At inference the input itself; the mask keeps everything.
Values dropout(Call& n) {
  demand_inference(n);
  if (n.has(2)) {
    const auto training = n.known_numbers(n.in(2));
    if (!training || training->empty() || training->at(0) != 0)
      user_error("training mode is not supported; export the model for inference");
  }
  Values results{n.in(0)};
  if (n.wants(1))
    results.push_back(n.expand(n.scalar(n.opset < 10 ? n.dtype(n.in(0)) : DType::boolean, 1), n.shape(n.in(0))));
  return results;
}

// [start, end) of the shape as i64; both clamped.
Values shape_of(Call& n) {
  const Extents shape = n.shape(n.in(0));
  const auto rank = static_cast<int64_t>(shape.size());
  const auto bound = [&](std::string_view name, int64_t fallback) {
    const int64_t value = n.integer(name, fallback);
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  const int64_t start = bound("start", 0), end = std::max(bound("end", rank), start);
  const std::span<const int64_t> part(shape.data() + start, static_cast<size_t>(end - start));
  return {n.constant(int64_tensor(part, {end - start}))};
}

Values size_of(Call& n) {
  const int64_t count = product(n.shape(n.in(0)));
  return {n.constant(int64_tensor({&count, 1}, {}))};
}

// 0 copies the input's extent (unless allowzero), one −1 takes what is left.
Values reshape(Call& n) {
  const ValueId x = n.in(0);
  const Extents in = n.shape(x);
  Extents shape = n.known_integers(1, "sizes");
  const bool allow_zero = n.flag("allowzero", false);
  ptrdiff_t open = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !allow_zero) {
      if (d >= in.size())
        user_error("its size 0 in dim {} copies an extent that an input of rank {} lacks", d, in.size());
      shape[d] = in[d];
    } else if (shape[d] == -1) {
      if (open >= 0) user_error("its sizes hold -1 twice");
      open = static_cast<ptrdiff_t>(d);
    } else if (shape[d] < 0) {
      user_error("its sizes hold {}", shape[d]);
    }
  }
  if (open >= 0) {
    shape[static_cast<size_t>(open)] = 1;
    const int64_t rest = product(shape), all = product(in);
    if (rest == 0 || all % rest != 0) user_error("{} elements cannot be divided into {} for its -1", all, rest);
    shape[static_cast<size_t>(open)] = all / rest;
  }
  return {n.reshape(x, shape)};
}

Values flatten(Call& n) {
  const Extents shape = n.shape(n.in(0));
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t given = n.integer("axis", 1);
  if (given < -rank || given > rank) user_error("axis {} is out of range for a tensor of rank {}", given, rank);
  const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
  const std::span<const int64_t> dims(shape);
  return {n.reshape(n.in(0), {product(dims.first(axis)), product(dims.subspan(axis))})};
}

Values squeeze(Call& n) {
  const Extents in = n.shape(n.in(0));
  const auto given = n.integers_or_input("axes", 1);
  const std::vector<int64_t> axes = given ? normal_axes(*given, n.rank(n.in(0))) : std::vector<int64_t>();
  Extents shape;
  for (size_t d = 0; d < in.size(); ++d) {
    const bool named = std::ranges::binary_search(axes, static_cast<int64_t>(d));
    if (named && in[d] != 1) user_error("dim {} has the extent {} and cannot be squeezed away", d, in[d]);
    if (!(named || (!given && in[d] == 1))) shape.push_back(in[d]);
  }
  return {n.reshape(n.in(0), shape)};
}

Values unsqueeze(Call& n) {
  const auto given = n.integers_or_input("axes", 1);
  if (!given) user_error("lacks its axes");
  const Extents in = n.shape(n.in(0));
  const auto rank = static_cast<int64_t>(in.size() + given->size());
  const std::vector<int64_t> axes = normal_axes(*given, rank);
  Extents shape;
  size_t next = 0;
  for (int64_t d = 0; d < rank; ++d) shape.push_back(std::ranges::binary_search(axes, d) ? 1 : in[next++]);
  return {n.reshape(n.in(0), shape)};
}

}  // namespace oc::from_onnx
