#include "autotune/limit.h"

#include <gtest/gtest.h>

#include "opencompiler/dsl.h"

namespace oc {
namespace {

const Calibration kMachine{.flops = 100e9, .bandwidth = 10e9, .cached_bandwidth = 40e9};

double limit(const char* text) {
  return limit_ns(analyse({text}, builtin_ops()), parse_target("x86-64-avx2"), kMachine);
}

TEST(Limit, IsArithmeticOrBytesWhateverTakesLonger) {
  // 2 · 512³ operations; 1 MB of weights from memory, 2 MB from the cache
  EXPECT_NEAR(limit("graph { %0: f32[512,512] = input %1: f32[512,512] = weight %2: f32[512,512] = matmul(%0, %1) "
                    "return %2 }"),
              2.0 * 512 * 512 * 512 / 100, 1);
  EXPECT_NEAR(limit("graph { %0: f32[1,512] = input %1: f32[512,512] = weight %2: f32[1,512] = matmul(%0, %1) "
                    "return %2 }"),
              512 * 512 * 4 / 10.0 + 1024 * 4 / 40.0, 1);
}

TEST(Limit, OfALookupIsThatOfItsRow) {
  EXPECT_NEAR(limit("graph { %0: i64[1] = input %1: f32[50257,768] = weight %2: f32[1,768] = gather(%1, %0) {axis=0} "
                    "return %2 }"),
              768 * 4 / 10.0 + (8 + 768 * 4) / 40.0, 1);
}

}  // namespace
}  // namespace oc
