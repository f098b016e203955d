#include "base/compare.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace oc {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

float widen_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

float widen_f16(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31)
    return fraction != 0 ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

// a and b agree as far as numbers that are not finite go: both NaN, or the same infinity, or both finite.
bool same_kind(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return true;
}

template <class T>
double float_err(std::span<const T> a, std::span<const T> b) {
  if (a.size() != b.size()) return kInfinity;
  double scale = 0;
  for (const T x : b)
    if (std::isfinite(x)) scale = std::max(scale, std::abs(static_cast<double>(x)));
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    if (!same_kind(x, y)) return kInfinity;
    if (!std::isfinite(y) || x == y) continue;
    worst = std::max(worst, std::abs(x - y) / std::max(std::abs(y), 0.1 * scale));
  }
  return worst;
}

// Objects of type T from bytes of any alignment.
template <class T>
std::vector<T> objects(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

std::vector<float> widen(std::span<const std::byte> bytes, float (*one)(uint16_t)) {
  std::vector<float> values;
  for (const uint16_t bits : objects<uint16_t>(bytes)) values.push_back(one(bits));
  return values;
}

}  // namespace

double err(std::span<const float> a, std::span<const float> b) {
  return float_err(a, b);
}
double err(std::span<const double> a, std::span<const double> b) {
  return float_err(a, b);
}

double err(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b) {
  if (a.size() != b.size()) return kInfinity;
  switch (dtype) {
    case DType::f32: return float_err<float>(objects<float>(a), objects<float>(b));
    case DType::f64: return float_err<double>(objects<double>(a), objects<double>(b));
    case DType::f16: return float_err<float>(widen(a, widen_f16), widen(b, widen_f16));
    case DType::bf16: return float_err<float>(widen(a, widen_bf16), widen(b, widen_bf16));
    default: return std::ranges::equal(a, b) ? 0.0 : kInfinity;
  }
}

double err_where_finite(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b) {
  if (dtype != DType::f32) return err(dtype, a, b);
  if (a.size() != b.size()) return kInfinity;
  const std::vector<float> all = objects<float>(a), reference = objects<float>(b);
  std::vector<float> x, y;
  for (size_t i = 0; i < all.size(); ++i) {
    if (std::isfinite(all[i])) {
      x.push_back(all[i]);
      y.push_back(reference[i]);
    }
  }
  return 2 * x.size() < all.size() ? kInfinity : float_err<float>(x, y);
}

double err(const Tensor& a, const Tensor& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) return kInfinity;
  if (a.layout == b.layout) return err(a.dtype, a.bytes, b.bytes);
  return err(a.dtype, a.bytes, relayout(b, a.layout).bytes);
}

double kernel_tolerance(double k) {
  return 1e-5 * std::sqrt(std::max(k, 1.0));
}

}  // namespace oc
