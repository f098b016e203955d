#include "frontends/onnx/ops/parts.h"

#include <numeric>

#include "base/error.h"

namespace oc::from_onnx {

ValueId times(Call& n, ValueId a, double b) {
  return n.emit("mul", {a, n.like(a, b)});
}

ValueId plus(Call& n, ValueId a, double b) {
  return n.emit("add", {a, n.like(a, b)});
}

ValueId bounded(Call& n, ValueId x, double low, double high) {
  return n.emit("clip", {x}, {{"min", low}, {"max", high}});
}

ValueId positions(Call& n, int64_t count, int64_t axis, int64_t rank) {
  n.spend(DType::i64, count);
  Extents shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(axis)] = count;
  Tensor result = make_tensor(DType::i64, shape);
  std::iota(result.as<int64_t>().begin(), result.as<int64_t>().end(), int64_t{0});
  return n.constant(std::move(result));
}

ValueId part(Call& n, ValueId x, int64_t axis, int64_t start, int64_t size, int64_t step) {
  const auto along = static_cast<size_t>(axis);
  Extents starts(static_cast<size_t>(n.rank(x)), 0), sizes = n.shape(x), steps(sizes.size(), 1);
  if (start == 0 && size == sizes[along] && step == 1) return x;
  starts[along] = start;
  sizes[along] = size;
  steps[along] = size > 1 ? step : 1;
  return n.emit("slice", {x}, {{"starts", starts}, {"sizes", sizes}, {"steps", steps}});
}

ValueId item(Call& n, ValueId x, int64_t axis, int64_t index) {
  Extents shape = n.shape(x);
  shape.erase(shape.begin() + axis);
  return n.with_format(n.reshape(part(n, x, axis, index, 1), shape), n.format(x));
}

ValueId joined(Call& n, const Values& tensors, int64_t axis) {
  if (tensors.size() == 1) return tensors[0];
  return n.with_format(n.emit("concat", tensors, {{"axis", axis}}), n.format(tensors.at(0)));
}

ValueId stacked(Call& n, const Values& tensors, int64_t axis) {
  Values with_axis;
  for (ValueId tensor : tensors) {
    Extents shape = n.shape(tensor);
    if (shape != n.shape(tensors[0]))
      user_error("tensors of [{}] and [{}] cannot be stacked", fmt::join(n.shape(tensors[0]), ", "),
                 fmt::join(shape, ", "));
    shape.insert(shape.begin() + axis, 1);
    with_axis.push_back(n.with_format(n.reshape(tensor, shape), n.format(tensor)));
  }
  return joined(n, with_axis, axis);
}

void check_vector(const Call& n, size_t i, std::string_view what, int64_t count) {
  if (n.shape(n.in(i)) != Extents{count})
    user_error("its {} (input {}) has the shape [{}], must be [{}]", what, i, fmt::join(n.shape(n.in(i)), ", "), count);
}

void demand_inference(const Call& n) {
  if (n.opset < 7 && !n.flag("is_test", false))
    user_error("is_test is 0, training, which is not supported; export the model for inference");
}

}  // namespace oc::from_onnx
