// Constants, and ops that we can only evaluate: their results must be known at import.
#include <cmath>
#include <cstring>
#include <tuple>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/tensor.h"
#include "frontends/onnx/texts.h"

namespace oc::from_onnx {
namespace {

Tensor float_tensor(const ::google::protobuf::RepeatedField<float>& values, Extents shape) {
  Tensor tensor = make_tensor(DType::f32, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  return tensor;
}

Tensor int_tensor(const ::google::protobuf::RepeatedField<int64_t>& values, Extents shape) {
  return int64_tensor({values.data(), static_cast<size_t>(values.size())}, std::move(shape));
}

// Shapes given as data: no negative extents.
Extents known_shape(const Call& n, size_t i) {
  Extents shape = n.known_integers(i, "sizes");
  for (int64_t extent : shape)
    if (extent < 0) user_error("its sizes hold {}", extent);
  return shape;
}

[[noreturn]] void refuse_range(auto start, auto limit, auto delta) {
  user_error("a range from {} to {} by {} has no length", start, limit, delta);
}

ValueId float_range(Call& n, DType dtype) {
  std::vector<double> bounds;
  for (size_t i = 0; i < 3; ++i) bounds.push_back(n.demand_number(i, "bounds"));
  const double steps = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(std::abs(steps) < 1e15)) refuse_range(bounds[0], bounds[1], bounds[2]);
  const int64_t count = std::max<int64_t>(static_cast<int64_t>(steps), 0);
  n.spend(dtype, count);
  Tensor wide = make_tensor(DType::f64, {count});
  for (int64_t i = 0; i < count; ++i)
    wide.as<double>()[static_cast<size_t>(i)] = bounds[0] + static_cast<double>(i) * bounds[2];
  return n.cast(n.constant(std::move(wide)), dtype);
}

// Doubles would round beyond 2^53. Unsigned: the way from start to limit, and i · delta on it, may be up to 2^64.
ValueId integer_range(Call& n, DType dtype) {
  std::vector<int64_t> bounds;
  for (size_t i = 0; i < 3; ++i) bounds.push_back(n.demand_integer(i, "bounds"));
  const auto [start, limit, delta] = std::tuple(bounds[0], bounds[1], bounds[2]);
  const auto from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(limit), by = static_cast<uint64_t>(delta);
  const bool up = delta > 0;
  uint64_t count = 0;
  if (delta != 0 && (up ? start < limit : start > limit))
    count = ((up ? to - from : from - to) - 1) / (up ? by : -by) + 1;
  if (delta == 0 || count > uint64_t{INT64_MAX}) refuse_range(start, limit, delta);
  n.spend(dtype, static_cast<int64_t>(count));
  Tensor wide = make_tensor(DType::i64, {static_cast<int64_t>(count)});
  for (uint64_t i = 0; i < count; ++i) wide.as<int64_t>()[i] = static_cast<int64_t>(from + i * by);
  return n.cast(n.constant(std::move(wide)), dtype);
}

bool is_zero(const std::byte* element, const Tensor& tensor) {
  const size_t size = dtype_size(tensor.dtype);
  for (size_t b = 0; b < size; ++b) {
    const bool sign_byte = dtype_is_float(tensor.dtype) && b + 1 == size;
    if ((element[b] & std::byte(sign_byte ? 0x7F : 0xFF)) != std::byte{0}) return false;
  }
  return true;
}

}  // namespace

Values constant(Call& n) {
  if (n.proto.attribute_size() != 1) user_error("has {} attributes, needs one value", n.proto.attribute_size());
  ::onnx::AttributeProto& attr = *n.proto.mutable_attribute(0);
  const std::string& kind = attr.name();
  if (kind == "value" && attr.has_t()) return {take_constant(n.import, *attr.mutable_t())};
  if (kind == "value_float")
    return {n.constant([&] {
      Tensor t = make_tensor(DType::f32, {});
      t.as<float>()[0] = attr.f();
      return t;
    }())};
  if (kind == "value_string") return {add_texts(n.import, {}, [&](int64_t) { return attr.s(); })};
  if (kind == "value_strings")
    return {add_texts(n.import, {attr.strings_size()}, [&](int64_t i) { return attr.strings(static_cast<int>(i)); })};
  n.spend(DType::i64, std::max(attr.floats_size(), attr.ints_size()));  // anew in each iteration of a loop
  if (kind == "value_floats") return {n.constant(float_tensor(attr.floats(), {attr.floats_size()}))};
  const int64_t integer = attr.i();
  if (kind == "value_int") return {n.constant(int64_tensor({&integer, 1}, {}))};
  if (kind == "value_ints") return {n.constant(int_tensor(attr.ints(), {attr.ints_size()}))};
  user_error("a constant given as '{}' is not supported; dense tensors are", kind);
}

Values constant_of_shape(Call& n) {
  const Extents shape = known_shape(n, 0);
  ValueId value = n.scalar(DType::f32, 0);
  if (const auto* attr = n.attribute("value"); attr != nullptr) {
    if (!attr->has_t()) user_error("attribute 'value' must be a tensor");
    ::onnx::TensorProto copy = attr->t();
    static_cast<void>(known_dtype(copy.data_type()));
    value = n.import.graph.add_constant({}, take_tensor(copy, n.import.folder));
    if (product(n.shape(value)) != 1) user_error("attribute 'value' must hold one element");
    value = n.reshape(value, {});
  }
  return {n.expand(value, shape)};
}

Values range(Call& n) {
  const DType dtype = n.dtype(n.in(0));
  for (size_t i = 1; i < 3; ++i)
    if (n.dtype(n.in(i)) != dtype) user_error("its inputs are of different types");
  if (dtype_is_float(dtype)) return {float_range(n, dtype)};
  if (dtype == DType::i64 || dtype == DType::i32 || dtype == DType::i16) return {integer_range(n, dtype)};
  user_error("a range of {} is not supported", dtype_name(dtype));
}

// [rank, count]: the coordinates of the elements that are not 0, in row-major order.
Values non_zero(Call& n) {
  const Tensor* x = &n.demand(n.in(0), "elements");
  const size_t rank = x->shape.size(), size = dtype_size(x->dtype);
  std::vector<int64_t> found;
  const int64_t count = element_count(x->shape);
  for (int64_t i = 0; i < count; ++i)
    if (!is_zero(x->bytes.data() + static_cast<size_t>(i) * size, *x)) found.push_back(i);
  const auto columns = static_cast<int64_t>(found.size());
  int64_t cells = 0;
  if (__builtin_mul_overflow(columns, static_cast<int64_t>(rank), &cells)) user_error("its result is too large");
  n.spend(DType::i64, cells);
  Tensor result = make_tensor(DType::i64, {static_cast<int64_t>(rank), columns});
  const auto out = result.as<int64_t>();
  for (size_t c = 0; c < found.size(); ++c)
    for (size_t d = rank; d-- > 0; found[c] /= x->shape[d]) out[d * found.size() + c] = found[c] % x->shape[d];
  return {n.constant(std::move(result))};
}

// Ones on the k-th diagonal of a matrix.
Values eye_like(Call& n) {
  const Extents shape = n.shape(n.in(0));
  if (shape.size() != 2) user_error("its input has rank {}, must be a matrix", shape.size());
  const DType dtype = n.attribute("dtype") != nullptr ? known_dtype(n.integer("dtype")) : n.dtype(n.in(0));
  const int64_t k = n.integer("k", 0);
  n.spend(DType::f32, product(shape));
  Tensor eye = make_tensor(DType::f32, shape);
  for (int64_t row = 0; row < shape[0]; ++row)
    if (k >= -row && k < shape[1] - row) eye.as<float>()[static_cast<size_t>(row * shape[1] + row + k)] = 1;
  return {n.cast(n.constant(std::move(eye)), dtype)};
}

}  // namespace oc::from_onnx
