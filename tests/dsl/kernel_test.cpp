// What is known of a kernel before it has a schedule.
#include "dsl/kernel.h"

#include <gtest/gtest.h>

#include "opencompiler/dsl.h"

namespace oc {
namespace {

int64_t bytes(const char* text) {
  return analyse({text}, builtin_ops()).bytes;
}

TEST(Kernel, CountsEveryByteOnce) {
  EXPECT_EQ(bytes("graph { %0: f32[64,96] = input %1: f32[96,32] = weight %2: f32[64,32] = matmul(%0, %1) return %2 }"),
            (64 * 96 + 96 * 32 + 64 * 32) * 4);
}

TEST(Kernel, ReadsOfWhatItMovesNoMoreThanItGives) {
  EXPECT_EQ(bytes("graph { %0: i64[1] = input %1: f32[50257,768] = weight %2: f32[1,768] = gather(%1, %0) {axis=0} "
                  "return %2 }"),
            8 + 2 * 768 * 4);
  EXPECT_EQ(bytes("graph { %0: i64[100000] = input %1: f32[50257,768] = weight %2: f32[100000,768] = gather(%1, %0) "
                  "{axis=0} return %2 }"),
            100000 * 8 + (50257 + 100000) * 768 * 4);
  EXPECT_EQ(bytes("graph { %0: i64[9,8] = input %1: i64[2,8] = slice(%0) {sizes=[2,8], starts=[3,0], steps=[1,1]} "
                  "%2: f32[2,8] = cast(%1) {to=\"f32\"} return %2 }"),
            2 * 8 * (8 + 4));
}

TEST(Kernel, ReadsAllOfWhatItBlends) {
  EXPECT_EQ(bytes("graph { %0: f32[1,1,8,8] = input %1: f32[1,1,4,4] = resize(%0) {coordinate=\"half_pixel\", "
                  "mode=\"linear\", sizes=[1,1,4,4]} return %1 }"),
            (64 + 16) * 4);
}

}  // namespace
}  // namespace oc
