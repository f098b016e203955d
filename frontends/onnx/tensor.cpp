#include "frontends/onnx/tensor.h"

#include <array>
#include <bit>
#include <charconv>
#include <string>
#include <type_traits>

#include "base/error.h"
#include "frontends/onnx/external.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/names.h"

namespace oc::from_onnx {
namespace {

using ::onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "raw_data is little endian and copied as it is");

constexpr std::array<std::string_view, 29> kOnnxTypeNames{
    "undefined", "float",   "uint8",       "int8",       "uint16",      "int16",  "int32",     "int64",
    "string",    "bool",    "float16",     "double",     "uint32",      "uint64", "complex64", "complex128",
    "bfloat16",  "fp8e4m3", "fp8e4m3fnuz", "fp8e5m2",    "fp8e5m2fnuz", "uint4",  "int4",      "float4e2m1",
    "fp8e8m0",   "uint2",   "int2",        "float6e2m3", "float6e3m2"};

struct External {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  // −1: as many as the shape needs
};

int64_t parse_count(std::string_view key, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    user_error("external data: {} '{}' is not a number from 0 to 2^63 - 1", key, printable(text));
  return value;
}

External parse_external(const TensorProto& proto) {
  External result;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") result.location = entry.value();
    if (entry.key() == "offset") result.offset = parse_count("offset", entry.value());
    if (entry.key() == "length") result.length = parse_count("length", entry.value());
  }
  return result;
}

// Elements of typed fields, narrowed to the tensor's type.
template <class To, class Field>
void copy_field(const Field& field, Tensor& tensor) {
  To* out = tensor.as<To>().data();
  for (int i = 0; i < field.size(); ++i) out[i] = static_cast<To>(field[i]);
}

int typed_size(const TensorProto& proto, DType dtype) {
  switch (dtype) {
    case DType::f32: return proto.float_data_size();
    case DType::f64: return proto.double_data_size();
    case DType::i64: return proto.int64_data_size();
    case DType::u32:
    case DType::u64: return proto.uint64_data_size();
    default: return proto.int32_data_size();
  }
}

void copy_typed(const TensorProto& proto, Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32: return copy_field<float>(proto.float_data(), tensor);
    case DType::f64: return copy_field<double>(proto.double_data(), tensor);
    case DType::i64: return copy_field<int64_t>(proto.int64_data(), tensor);
    case DType::u64: return copy_field<uint64_t>(proto.uint64_data(), tensor);
    case DType::u32: return copy_field<uint32_t>(proto.uint64_data(), tensor);
    case DType::i32: return copy_field<int32_t>(proto.int32_data(), tensor);
    case DType::i16: return copy_field<int16_t>(proto.int32_data(), tensor);
    case DType::f16:
    case DType::bf16:
    case DType::u16: return copy_field<uint16_t>(proto.int32_data(), tensor);
    case DType::i8: return copy_field<int8_t>(proto.int32_data(), tensor);
    case DType::u8: return copy_field<uint8_t>(proto.int32_data(), tensor);
    case DType::boolean: return copy_field<bool>(proto.int32_data(), tensor);
  }
}

// Frees the data and keeps the name, which others point at. (Clearing a field would keep its capacity.)
void drop_data(TensorProto& proto) {
  delete proto.release_raw_data();
  std::remove_reference_t<decltype(*proto.mutable_float_data())>().Swap(proto.mutable_float_data());
  std::remove_reference_t<decltype(*proto.mutable_double_data())>().Swap(proto.mutable_double_data());
  std::remove_reference_t<decltype(*proto.mutable_int32_data())>().Swap(proto.mutable_int32_data());
  std::remove_reference_t<decltype(*proto.mutable_int64_data())>().Swap(proto.mutable_int64_data());
  std::remove_reference_t<decltype(*proto.mutable_uint64_data())>().Swap(proto.mutable_uint64_data());
}

// A file may hold any byte as a boolean; kernels rely on 0 and 1.
void normalise_booleans(Tensor& tensor) {
  if (tensor.dtype != DType::boolean) return;
  for (std::byte& b : tensor.bytes) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
}

void fill_external(const TensorProto& proto, const std::filesystem::path& folder, int64_t bytes, Tensor& tensor) {
  const External external = parse_external(proto);
  if (proto.has_raw_data() || typed_size(proto, tensor.dtype) > 0) user_error("has external data and data of its own");
  if (external.location.empty()) user_error("has external data without a location");
  if (external.location.find("_ORT_MEM_ADDR_") != std::string::npos)
    user_error("refers to memory of another program ('{}'); save the model with its weights",
               printable(external.location));
  if (external.length >= 0 && external.length != bytes)
    user_error("needs {} bytes, its external data is declared with {}", bytes, external.length);
  check_external(folder, external.location, external.offset, bytes);
  tensor = make_tensor(tensor.dtype, tensor.shape);
  read_external(folder, external.location, external.offset, tensor.bytes);
}

void fill_inline(const TensorProto& proto, int64_t elements, int64_t bytes, Tensor& tensor) {
  if (proto.has_raw_data() && !(proto.raw_data().empty() && elements > 0)) {
    const std::string& raw = proto.raw_data();
    if (static_cast<int64_t>(raw.size()) != bytes)
      user_error("needs {} bytes for its shape but holds {}", bytes, raw.size());
    const auto* data = reinterpret_cast<const std::byte*>(raw.data());
    tensor.bytes.assign(data, data + raw.size());
    return;
  }
  const int held = typed_size(proto, tensor.dtype);
  if (held != elements)
    user_error("needs {} elements of {} for its shape but holds {}", elements, dtype_name(tensor.dtype), held);
  tensor = make_tensor(tensor.dtype, tensor.shape);
  copy_typed(proto, tensor);
}

}  // namespace

Extents checked_shape(const TensorProto& proto) {
  Extents shape(proto.dims().begin(), proto.dims().end());
  for (int64_t extent : shape)
    if (extent < 0) user_error("has the negative dim {}", extent);
  return shape;
}

std::optional<DType> to_dtype(int64_t onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT: return DType::f32;
    case TensorProto::DOUBLE: return DType::f64;
    case TensorProto::FLOAT16: return DType::f16;
    case TensorProto::BFLOAT16: return DType::bf16;
    case TensorProto::INT8: return DType::i8;
    case TensorProto::UINT8: return DType::u8;
    case TensorProto::INT16: return DType::i16;
    case TensorProto::UINT16: return DType::u16;
    case TensorProto::INT32: return DType::i32;
    case TensorProto::UINT32: return DType::u32;
    case TensorProto::INT64: return DType::i64;
    case TensorProto::UINT64: return DType::u64;
    case TensorProto::BOOL: return DType::boolean;
    default: return std::nullopt;
  }
}

DType known_dtype(int64_t onnx_type) {
  if (const auto dtype = to_dtype(onnx_type)) return *dtype;
  const bool named = onnx_type >= 0 && onnx_type < std::ssize(kOnnxTypeNames);
  user_error("has the element type {}, which is not supported; convert the model to float32",
             named ? std::string(kOnnxTypeNames[static_cast<size_t>(onnx_type)]) : std::to_string(onnx_type));
}

namespace {

// Elements that are packed into bytes, in the file or as an int32 each.
void fill_packed(const TensorProto& proto, const std::filesystem::path& folder, const Format& format, Tensor& tensor) {
  const int64_t elements = element_count(tensor.shape), bytes = (elements * format.bits + 7) / 8;
  Tensor packed{DType::u8, {bytes}, {}, {}};
  if (proto.data_location() == TensorProto::EXTERNAL) {
    fill_external(proto, folder, bytes, packed);
  } else {
    fill_inline(proto, bytes, bytes, packed);
  }
  const std::string_view text(reinterpret_cast<const char*>(packed.bytes.data()), packed.bytes.size());
  tensor.bytes = unpacked(format, text, elements);
}

}  // namespace

std::shared_ptr<const Tensor> take_tensor(TensorProto& proto, const std::filesystem::path& folder) {
  auto tensor = std::make_shared<Tensor>();
  const Format* format = find_format(proto.data_type());
  tensor->dtype = stored_dtype(proto.data_type());
  tensor->shape = checked_shape(proto);
  if (proto.has_segment()) user_error("is stored in segments, which is not supported; save the model in one piece");
  const int64_t elements = element_count(tensor->shape);
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(dtype_size(tensor->dtype)), &bytes) ||
      bytes > kMaxTensorBytes)
    user_error("has {} elements, more than a tensor may have", elements);
  if (format != nullptr) {
    fill_packed(proto, folder, *format, *tensor);
  } else if (proto.data_location() == TensorProto::EXTERNAL) {
    fill_external(proto, folder, bytes, *tensor);
  } else {
    fill_inline(proto, elements, bytes, *tensor);
  }
  drop_data(proto);
  normalise_booleans(*tensor);
  return tensor;
}

}  // namespace oc::from_onnx
