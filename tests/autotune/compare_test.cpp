#include "base/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace oc {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

double error(std::vector<float> a, std::vector<float> b) {
  return err(std::span<const float>(a), std::span<const float>(b));
}

TEST(Compare, EqualArraysAreZeroApart) {
  EXPECT_EQ(error({1, -2, 0}, {1, -2, 0}), 0);
  EXPECT_EQ(error({}, {}), 0);
  EXPECT_EQ(error({0, 0}, {0, -0.0f}), 0);
}

TEST(Compare, LargeElementsAreComparedToThemselvesSmallOnesToATenthOfTheLargest) {
  EXPECT_NEAR(error({101, 10}, {100, 10}), 0.01, 1e-6);
  EXPECT_NEAR(error({100, 0.5f}, {100, 0}), 0.5 / 10, 1e-6);
}

TEST(Compare, NanAndInfinitiesMustStandInTheSamePlaces) {
  EXPECT_EQ(error({kNan, kInf, -kInf, 1}, {kNan, kInf, -kInf, 1}), 0);
  EXPECT_TRUE(std::isinf(error({kNan, 1}, {1, 1})));
  EXPECT_TRUE(std::isinf(error({1, 1}, {kNan, 1})));
  EXPECT_TRUE(std::isinf(error({kInf}, {-kInf})));
  EXPECT_TRUE(std::isinf(error({kInf}, {3e38f})));
  EXPECT_NEAR(error({kInf, 2.02f}, {kInf, 2}), 0.01, 1e-6) << "infinities do not set the scale";
}

TEST(Compare, AnythingIsInfinitelyFarFromAllZerosAndFromAnotherSize) {
  EXPECT_TRUE(std::isinf(error({1e-30f}, {0})));
  EXPECT_TRUE(std::isinf(error({1}, {1, 1})));
}

TEST(Compare, IntegersAreExact) {
  const Tensor a = int64_tensor(std::vector<int64_t>{1, 2, 3}, {3});
  Tensor b = a;
  EXPECT_EQ(err(a, b), 0);
  b.as<int64_t>()[2] = 4;
  EXPECT_TRUE(std::isinf(err(a, b)));
  b = a;
  b.shape = {3, 1};
  EXPECT_TRUE(std::isinf(err(a, b)));
}

TEST(Compare, HalvesAreWidened) {
  const uint16_t one_bf16 = 0x3f80, next_bf16 = 0x3f81, one_f16 = 0x3c00, next_f16 = 0x3c01, small_f16 = 1;
  const auto bytes = [](const uint16_t& value) { return std::as_bytes(std::span(&value, 1)); };
  EXPECT_NEAR(err(DType::bf16, bytes(next_bf16), bytes(one_bf16)), 1.0 / 128, 1e-9);
  EXPECT_NEAR(err(DType::f16, bytes(next_f16), bytes(one_f16)), 1.0 / 1024, 1e-9);
  EXPECT_NEAR(err(DType::f16, bytes(small_f16), bytes(one_f16)), 1 - std::ldexp(1.0, -24), 1e-9);
}

TEST(Compare, TensorsOfDifferentLayoutsCompareByElement) {
  Tensor plain = make_tensor(DType::f32, {1, 3, 2, 2});
  for (size_t i = 0; i < 12; ++i) plain.as<float>()[i] = static_cast<float>(i + 1);
  const Tensor blocked = relayout(plain, parse_layout("aBcd4b", 4));
  EXPECT_EQ(err(blocked, plain), 0);
  EXPECT_EQ(err(plain, blocked), 0);
}

TEST(Compare, KernelToleranceGrowsWithTheRootOfTheSum) {
  EXPECT_DOUBLE_EQ(kernel_tolerance(0), 1e-5);
  EXPECT_DOUBLE_EQ(kernel_tolerance(1), 1e-5);
  EXPECT_DOUBLE_EQ(kernel_tolerance(576), 24e-5);
}

}  // namespace
}  // namespace oc
