#include "dsl/ops/host_scalar.h"

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

namespace oc {
namespace {

float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  const uint32_t exponent = (h >> 10) & 31, mantissa = h & 1023;
  if (exponent == 0)
    return std::copysign(std::ldexp(static_cast<float>(mantissa), -24), std::bit_cast<float>(sign | 0x3f800000));
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t to_f16(float value) {
  const auto sign = static_cast<uint16_t>((std::bit_cast<uint32_t>(value) >> 16) & 0x8000);
  if (std::isnan(value)) return sign | 0x7e00;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0F) return sign | 0x7c00;
  if (magnitude < 6.103515625e-05F)
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  const auto bits = std::bit_cast<uint32_t>(magnitude);
  const uint32_t rounded = bits + 0xfff + ((bits >> 13) & 1);
  return static_cast<uint16_t>(sign | static_cast<uint16_t>((rounded >> 13) - (112 << 10)));
}

uint64_t unsigned_integer(const Scalar& value) {
  const bool large = value.is_float && value.f >= 9.2233720368547758e18;
  if (!large) return static_cast<uint64_t>(value.integer());
  return value.f < 1.8446744073709552e19 ? static_cast<uint64_t>(value.f) : std::numeric_limits<uint64_t>::max();
}

}  // namespace

int64_t Scalar::integer() const {
  if (!is_float) return i;
  if (std::isnan(f)) return 0;
  if (f >= 9.2233720368547758e18) return std::numeric_limits<int64_t>::max();
  if (f <= -9.2233720368547758e18) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(f);
}

Scalar load_scalar(const Tensor& tensor, int64_t element) {
  const auto at = static_cast<size_t>(element);
  auto integer = [](auto v) { return Scalar{false, static_cast<int64_t>(v), 0}; };
  auto real = [](double v) { return Scalar{true, 0, v}; };
  switch (tensor.dtype) {
    case DType::f32: return real(tensor.as<float>()[at]);
    case DType::f64: return real(tensor.as<double>()[at]);
    case DType::f16: return real(from_f16(tensor.as<uint16_t>()[at]));
    case DType::bf16: return real(from_bf16(tensor.as<uint16_t>()[at]));
    case DType::i8: return integer(tensor.as<int8_t>()[at]);
    case DType::u8: return integer(tensor.as<uint8_t>()[at]);
    case DType::i16: return integer(tensor.as<int16_t>()[at]);
    case DType::u16: return integer(tensor.as<uint16_t>()[at]);
    case DType::i32: return integer(tensor.as<int32_t>()[at]);
    case DType::u32: return integer(tensor.as<uint32_t>()[at]);
    case DType::i64: return integer(tensor.as<int64_t>()[at]);
    case DType::u64: return {false, static_cast<int64_t>(tensor.as<uint64_t>()[at]), 0, true};
    case DType::boolean: return integer(tensor.as<uint8_t>()[at] != 0);
  }
  return {};
}

Scalar integer_bound(DType dtype, bool largest) {
  const auto of = [largest]<class T>(T) {
    return Scalar{false, static_cast<int64_t>(largest ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min()),
                  0, std::is_same_v<T, uint64_t>};
  };
  switch (dtype) {
    case DType::i8: return of(int8_t{});
    case DType::u8: return of(uint8_t{});
    case DType::i16: return of(int16_t{});
    case DType::u16: return of(uint16_t{});
    case DType::i32: return of(int32_t{});
    case DType::u32: return of(uint32_t{});
    case DType::u64: return of(uint64_t{});
    case DType::boolean: return {false, largest ? 1 : 0, 0};
    default: return of(int64_t{});
  }
}

void store_scalar(Tensor& tensor, int64_t element, const Scalar& value) {
  const auto at = static_cast<size_t>(element);
  switch (tensor.dtype) {
    case DType::f32: tensor.as<float>()[at] = static_cast<float>(value.real()); break;
    case DType::f64: tensor.as<double>()[at] = value.real(); break;
    case DType::f16: tensor.as<uint16_t>()[at] = to_f16(static_cast<float>(value.real())); break;
    case DType::bf16: tensor.as<uint16_t>()[at] = to_bf16(static_cast<float>(value.real())); break;
    case DType::i8: tensor.as<int8_t>()[at] = static_cast<int8_t>(value.integer()); break;
    case DType::u8: tensor.as<uint8_t>()[at] = static_cast<uint8_t>(value.integer()); break;
    case DType::i16: tensor.as<int16_t>()[at] = static_cast<int16_t>(value.integer()); break;
    case DType::u16: tensor.as<uint16_t>()[at] = static_cast<uint16_t>(value.integer()); break;
    case DType::i32: tensor.as<int32_t>()[at] = static_cast<int32_t>(value.integer()); break;
    case DType::u32: tensor.as<uint32_t>()[at] = static_cast<uint32_t>(value.integer()); break;
    case DType::i64: tensor.as<int64_t>()[at] = value.integer(); break;
    case DType::u64: tensor.as<uint64_t>()[at] = unsigned_integer(value); break;
    case DType::boolean: tensor.as<uint8_t>()[at] = value.is_float ? value.f != 0 : value.i != 0; break;
  }
}

}  // namespace oc
