#include "generators/cpu_features.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "runtime/embedded/abi.h"

namespace oc {
namespace {

enum : uint32_t { kEax, kEbx, kEcx, kEdx };

constexpr uint32_t bits(std::initializer_list<int> numbers) {
  uint32_t mask = 0;
  for (int n : numbers) mask |= uint32_t{1} << n;
  return mask;
}

struct Row {
  std::string_view feature;
  uint32_t leaf, subleaf, reg, mask;
};

// Halide hands LLVM the oldest processor that has a feature (sse41: Nehalem, avx: Sandy Bridge, avx2: Haswell, …), so
// what LLVM may use of it unasked is needed as well. Bits: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
constexpr auto kX86 = std::to_array<Row>({
    {"sse41", 1, 0, kEcx, bits({0 /*sse3*/, 9 /*ssse3*/, 13 /*cx16*/, 19 /*sse4.1*/, 20 /*sse4.2*/, 23 /*popcnt*/})},
    {"avx", 1, 0, kEcx, bits({27 /*osxsave*/, 28 /*avx*/})},
    {"avx", OC_LEAF_XCR0, 0, 0, bits({1 /*xmm*/, 2 /*ymm*/})},
    {"f16c", 1, 0, kEcx, bits({29})},
    {"fma", 1, 0, kEcx, bits({12})},
    {"avx2", 1, 0, kEcx, bits({12 /*fma*/, 22 /*movbe*/, 29 /*f16c*/})},
    {"avx2", 7, 0, kEbx, bits({3 /*bmi*/, 5 /*avx2*/, 8 /*bmi2*/})},
    {"avx2", 0x80000001, 0, kEcx, bits({5 /*lzcnt*/})},
    {"avxvnni", 7, 1, kEax, bits({4})},
    {"avx512", 7, 0, kEbx, bits({16 /*f*/, 28 /*cd*/})},
    {"avx512", OC_LEAF_XCR0, 0, 0, bits({5 /*masks*/, 6 /*zmm*/, 7 /*zmm16…*/})},
    {"avx512_skylake", 7, 0, kEbx, bits({17 /*dq*/, 30 /*bw*/, 31 /*vl*/})},
    {"avx512_cannonlake", 7, 0, kEbx, bits({21 /*ifma*/})},
    {"avx512_cannonlake", 7, 0, kEcx, bits({1 /*vbmi*/})},
    {"avx512_zen4", 7, 0, kEcx,
     bits({6 /*vbmi2*/, 8 /*gfni*/, 9 /*vaes*/, 10 /*vpclmulqdq*/, 11 /*vnni*/, 12 /*bitalg*/, 14 /*vpopcntdq*/})},
    {"avx512_zen4", 7, 1, kEax, bits({5 /*bf16*/})},
    {"avx512_zen5", 7, 1, kEax, bits({4 /*avxvnni*/})},
    {"avx512_sapphirerapids", 7, 0, kEdx, bits({23 /*fp16*/})},
});

// Linux: getauxval(AT_HWCAP), arch/arm64/include/uapi/asm/hwcap.h.
constexpr uint32_t kHwcap = 16;
constexpr auto kArm = std::to_array<Row>({
    {"arm_dot_prod", kHwcap, 0, 0, bits({20 /*asimddp*/})},
    {"arm_fp16", kHwcap, 0, 0, bits({9 /*fphp*/, 10 /*asimdhp*/})},
});

template <size_t n>
std::vector<CpuNeed> collect(const Target& target, const std::array<Row, n>& rows) {
  std::vector<CpuNeed> needs;
  for (const Row& row : rows)
    if (target.has(row.feature)) needs.push_back({row.leaf, row.subleaf, row.reg, row.mask, std::string(row.feature)});
  for (const std::string& feature : target.features)
    if (std::ranges::none_of(rows, [&](const Row& row) { return row.feature == feature; }))
      internal_error("no test is known for the feature '{}' of target {}", feature, target.name());
  return needs;
}

}  // namespace

std::vector<CpuNeed> cpu_needs(const Target& target) {
  return target.arch == "arm-64" ? collect(target, kArm) : collect(target, kX86);
}

}  // namespace oc
