#include "autotune/measure/inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace oc {
namespace {

// splitmix64: one multiplication chain a number; inputs of 100 MB take a fraction of a second.
struct Noise {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // About normal, deviation 1: the sum of four 16-bit uniforms, shifted and scaled.
  float normal() {
    const uint64_t bits = next();
    const auto sum =
        static_cast<int64_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48));
    return static_cast<float>(sum - 131070) * 2.643e-5f;  // √3 / 65536
  }
};

uint16_t to_bf16(float value) {
  if (std::isnan(value)) return 0x7fc0;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Rounds to the nearest half, ties away; values beyond its range become infinite, below it zero.
uint16_t to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x1p-14f)
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::lround(magnitude * 0x1p24f)));
  return static_cast<uint16_t>(sign | (((bits & 0x7fffffff) - 0x38000000 + 0x1000) >> 13));
}

bool casts_floats_to_integers(const Kernel& kernel) {
  return std::ranges::any_of(kernel.graph.nodes, [&](const Node& node) {
    return node.op == "cast" && dtype_is_float(kernel.graph[node.inputs[0]].type.dtype) &&
           !dtype_is_float(kernel.graph[node.outputs[0]].type.dtype);
  });
}

void strew(std::vector<float>& values, bool finite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (size_t i = 5; i < values.size(); i += 97) values[i] = 1e-40f;
  for (size_t i = 7; i < values.size(); i += 97) values[i] = -0.0f;
  if (finite) return;
  for (size_t i = 11; i < values.size(); i += 97) values[i] = i % 2 == 0 ? 1000.0f : -1000.0f;
  const size_t n = values.size();
  if (n < 8) return;  // so few: they would leave nothing finite to compare
  values[0] = kNan;
  values[1] = kInfinity;
  values[n - 2] = -kInfinity;
  values[n - 1] = kNan;
}

template <class T, class Convert>
void store(Tensor& tensor, const std::vector<float>& values, Convert convert) {
  std::ranges::transform(values, tensor.as<T>().begin(), convert);
}

void store_floats(Tensor& tensor, const std::vector<float>& values) {
  switch (tensor.dtype) {
    case DType::f64: return store<double>(tensor, values, [](float x) { return static_cast<double>(x); });
    case DType::f16: return store<uint16_t>(tensor, values, to_f16);
    case DType::bf16: return store<uint16_t>(tensor, values, to_bf16);
    default: return store<float>(tensor, values, [](float x) { return x; });
  }
}

template <class T>
void store_integers(Tensor& tensor, Noise& noise, int64_t highest) {
  for (T& value : tensor.as<T>()) value = static_cast<T>(noise.next() % static_cast<uint64_t>(highest + 1));
}

void fill_integers(Tensor& tensor, Noise& noise, int64_t highest) {
  switch (dtype_size(tensor.dtype)) {
    case 1: return store_integers<uint8_t>(tensor, noise, std::min<int64_t>(highest, 127));
    case 2: return store_integers<uint16_t>(tensor, noise, std::min<int64_t>(highest, 32767));
    case 4: return store_integers<uint32_t>(tensor, noise, std::min<int64_t>(highest, INT32_MAX));
    default: return store_integers<uint64_t>(tensor, noise, highest);
  }
}

}  // namespace

double reduced_elements(const Kernel& kernel) {
  double k = 1;
  for (const Axis& axis : kernel.axes)
    if (sums_over(axis.role)) k *= static_cast<double>(axis.extent);
  return k;
}

int64_t highest_integer(const Kernel& kernel, size_t i) {
  int64_t highest = kernel.input(i).dtype == DType::boolean ? 1 : -1;
  for (const Node& node : kernel.graph.nodes) {
    if (node.op != "gather" || node.inputs.size() < 2 || node.inputs[1] != kernel.graph.inputs[i]) continue;
    const Type& gathered = kernel.graph[node.inputs[0]].type;
    const int64_t last = gathered.extents().at(static_cast<size_t>(node.attrs.integer("axis", 0))) - 1;
    highest = highest < 0 ? last : std::min(highest, last);
  }
  return highest < 0 ? 1 : std::max<int64_t>(highest, 0);
}

std::vector<Tensor> make_inputs(const Kernel& kernel, uint64_t seed, InputKind kind) {
  std::vector<Tensor> inputs;
  const float weight_scale = static_cast<float>(1.0 / std::sqrt(reduced_elements(kernel)));
  const bool finite = casts_floats_to_integers(kernel);
  for (size_t i = 0; i < kernel.graph.inputs.size(); ++i) {
    const Type& type = kernel.input(i);
    Tensor tensor = make_tensor(type.dtype, type.extents());
    Noise noise{seed * 0x100000001b3ull + i};
    if (dtype_is_float(type.dtype)) {
      std::vector<float> values(static_cast<size_t>(element_count(tensor.shape)));
      const bool weight = kernel.is_weight(i);
      const bool rectified = !weight && i % 2 == 0;
      for (float& value : values) {
        value = noise.normal() * (weight ? weight_scale : 1.0f);
        if (rectified) value = std::max(value, 0.0f);
      }
      if (kind == InputKind::adversarial && !weight) strew(values, finite);
      store_floats(tensor, values);
    } else {
      fill_integers(tensor, noise, highest_integer(kernel, i));
    }
    inputs.push_back(relayout(tensor, type.layout));
  }
  return inputs;
}

}  // namespace oc
