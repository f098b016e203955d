#include <gtest/gtest.h>

#include "graph/fold.h"
#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

TEST(FoldConstants, KnownArithmeticBecomesAConstant) {
  expect_pass(fold_constants,
              "graph { %0: f32[2] = input %1: f32[2] = constant {1, 2} %2: f32[1] = constant {3} "
              "%3 \"sum\": f32[2] = add(%1, %2) %4: f32[2] = mul(%0, %3) return %4 }",
              "graph { %0: f32[2] = input %1 \"sum\": f32[2] = constant {4, 5} %2: f32[2] = mul(%0, %1) return %2 }");
}

TEST(FoldConstants, ChainsAndMovementFold) {
  expect_pass(fold_constants,
              "graph { %0: i64[3] = input %1: i64[2,2] = constant {1, 2, 3, 4} "
              "%2: i64[2,2] = transpose(%1) {perm=[1,0]} %3: i64[4] = reshape(%2) {shape=[4]} "
              "%4: i64[3] = slice(%3) {sizes=[3], starts=[3], steps=[-1]} %5: i64[3] = add(%0, %4) return %5 }",
              "graph { %0: i64[3] = input %1: i64[3] = constant {4, 2, 3} %2: i64[3] = add(%0, %1) return %2 }");
}

TEST(FoldConstants, AnOutputMayBecomeAConstant) {
  expect_pass(fold_constants, "graph { %0: f32[1] = constant {2} %1 \"y\": f32[1] = neg(%0) return %1 }",
              "graph { %0 \"y\": f32[1] = constant {-2} return %0 }");
}

TEST(FoldConstants, WhatDependsOnAnInputStays) {
  expect_untouched(fold_constants,
                   "graph { %0: f32[2] = input %1: f32[2] = constant {1, 2} %2: f32[2] = add(%0, %1) return %2 }");
}

// It fails when it is run, and it may stand in a branch that need not be run.
TEST(FoldConstants, ASelectThatChoosesAnAbsentSideStays) {
  const std::string text =
      "graph { %0: bool[] = constant {0} %1: f32[2] = constant {1, 2} %2 \"y\": f32[2] = select(%0, %1, _) return %2 }";
  EXPECT_EQ(print_graph(fold_constants(parse_graph(text), {all_ops(), host_target()})), normal(text));
  expect_pass(fold_constants,
              "graph { %0: bool[] = constant {0} %1: f32[2] = constant {1, 2} %2 \"y\": f32[2] = select(%0, _, %1) "
              "return %2 }",
              "graph { %0 \"y\": f32[2] = constant {1, 2} return %0 }");
}

TEST(FoldConstants, NanAndInfinityComeOutAsTheyWouldAtRunTime) {
  expect_pass(fold_constants,
              "graph { %0: f32[3] = input %1: f32[3] = constant {nan, -1, 0} %2: f32[3] = relu(%1) "
              "%3: f32[3] = reciprocal(%2) %4: f32[3] = mul(%0, %3) return %4 }",
              "graph { %0: f32[3] = input %1: f32[3] = constant {nan, inf, inf} %2: f32[3] = mul(%0, %1) return %2 }");
}

TEST(FoldConstants, OpsWithoutAHostEvaluatorStay) {
  expect_untouched(fold_constants,
                   "graph { %0: f32[1,1] = constant {2} %1: f32[1,1] = constant {3} %2: f32[1,1] = matmul(%0, %1) "
                   "return %2 }");
}

// 2^28 elements of 4 bytes are a GiB; the pass may spend 256 MiB.
TEST(FoldConstants, BombsStayWhereTheyAre) {
  const std::string text =
      "graph { %0: f32[1] = constant {2} %1: f32[268435456] = expand(%0) {shape=[268435456]} return %1 }";
  const Target target = host_target();
  EXPECT_EQ(print_graph(fold_constants(parse_graph(text), {all_ops(), target})), normal(text));
}

TEST(FoldConstants, TheBudgetTellsByHowMuchItWasMissed) {
  const Graph graph = parse_graph("graph { %0: f32[1] = constant {2} %1: f32[8] = expand(%0) {shape=[8]} return %1 }");
  int64_t budget = 32;
  EXPECT_TRUE(evaluate_node(graph, graph.nodes[0], all_ops(), budget).has_value());
  EXPECT_EQ(budget, 0);
  budget = 30;
  EXPECT_FALSE(evaluate_node(graph, graph.nodes[0], all_ops(), budget).has_value());
  EXPECT_EQ(budget, -2);
}

}  // namespace
}  // namespace oc::test
