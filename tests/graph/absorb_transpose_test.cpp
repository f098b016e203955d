#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

TEST(AbsorbTranspose, AProductReadsItsOperandsTransposed) {
  expect_pass(absorb_transpose,
              "graph { %0: f32[4,3] = input %1: f32[5,4] = input %2: f32[3,4] = transpose(%0) {perm=[1,0]} "
              "%3: f32[4,5] = transpose(%1) {perm=[1,0]} %4: f32[3,5] = matmul(%2, %3) return %4 }",
              "graph { %0: f32[4,3] = input %1: f32[5,4] = input "
              "%2: f32[3,5] = matmul(%0, %1) {a_perm=[1,0], b_perm=[1,0]} return %2 }");
}

// Attention: heads side by side in a row of the projections.
TEST(AbsorbTranspose, HeadsAreReadWhereTheyStand) {
  expect_pass(absorb_transpose,
              "graph { %0: f32[1,5,2,3] = input %1: f32[1,4,2,3] = input "
              "%2: f32[1,2,5,3] = transpose(%0) {perm=[0,2,1,3]} %3: f32[1,2,3,4] = transpose(%1) {perm=[0,2,3,1]} "
              "%4: f32[1,2,5,4] = matmul(%2, %3) return %4 }",
              "graph { %0: f32[1,5,2,3] = input %1: f32[1,4,2,3] = input "
              "%2: f32[1,2,5,4] = matmul(%0, %1) {a_perm=[0,2,1,3], b_perm=[0,2,3,1]} return %2 }");
}

TEST(AbsorbTranspose, PermutationsCombine) {
  expect_pass(absorb_transpose,
              "graph { %0: f32[3,4] = input %1: f32[2,4,5] = input %2: f32[4,5,2] = transpose(%1) {perm=[1,2,0]} "
              "%3: f32[2,3,5] = matmul(%0, %2) {b_perm=[2,0,1]} return %3 }",
              "graph { %0: f32[3,4] = input %1: f32[2,4,5] = input "
              "%2: f32[2,3,5] = matmul(%0, %1) {b_perm=[0,1,2]} return %2 }");
}

TEST(AbsorbTranspose, WhatOthersReadStays) {
  expect_untouched(absorb_transpose,
                   "graph { %0: f32[3,4] = input %1: f32[5,4] = input %2: f32[4,5] = transpose(%1) {perm=[1,0]} "
                   "%3: f32[3,5] = matmul(%0, %2) return %2, %3 }");
}

}  // namespace
}  // namespace oc::test
