#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

TEST(EliminateDead, NodesThatNoOutputNeedsGo) {
  expect_pass(eliminate_dead,
              "graph { %0 \"x\": f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = neg(%1) %3: f32[2] = relu(%0) "
              "return %3 }",
              "graph { %0 \"x\": f32[2] = input %1: f32[2] = relu(%0) return %1 }");
}

TEST(EliminateDead, InputsStayThoughNobodyReadsThem) {
  expect_untouched(eliminate_dead,
                   "graph { %0 \"x\": f32[2] = input %1 \"y\": f32[2] = input %2: f32[2] = relu(%0) return %2 }");
}

TEST(EliminateDead, WhatIsReadThroughAnOutputStays) {
  expect_untouched(eliminate_dead,
                   "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = neg(%1) return %1, %2, %1 }");
}

TEST(EliminateDead, NodesComeIntoOrder) {
  Graph graph = parse_graph(
      "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = neg(%1) %3: f32[2] = abs(%0) return %2, %3 }");
  const Graph ordered = graph;
  std::swap(graph.nodes[0], graph.nodes[1]);
  for (size_t n = 0; n < 2; ++n) graph[graph.nodes[n].outputs[0]].producer = NodeId(n);
  const Target target = host_target();
  EXPECT_EQ(print_graph(eliminate_dead(graph, {all_ops(), target})), print_graph(ordered));
}

TEST(EliminateCommon, EqualNodesBecomeOne) {
  expect_pass(eliminate_common,
              "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = exp(%0) %3: f32[2] = sub(%1, %2) "
              "return %3 }",
              "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = sub(%1, %1) return %2 }");
}

TEST(EliminateCommon, WholeChainsBecomeOne) {
  expect_pass(eliminate_common,
              "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = exp(%0) %3: f32[2] = neg(%1) "
              "%4: f32[2] = neg(%2) %5: f32[2] = add(%3, %4) return %5 }",
              "graph { %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = neg(%1) %3: f32[2] = add(%2, %2) "
              "return %3 }");
}

TEST(EliminateCommon, CommutativeOperandsMayStandInAnyOrder) {
  expect_pass(eliminate_common,
              "graph { %0: f32[2] = input %1: f32[2] = input %2: f32[2] = add(%0, %1) %3: f32[2] = add(%1, %0) "
              "%4: f32[2] = mul(%2, %3) return %4 }",
              "graph { %0: f32[2] = input %1: f32[2] = input %2: f32[2] = add(%0, %1) %3: f32[2] = mul(%2, %2) "
              "return %3 }");
  expect_untouched(eliminate_common,
                   "graph { %0: f32[2] = input %1: f32[2] = input %2: f32[2] = sub(%0, %1) %3: f32[2] = sub(%1, %0) "
                   "%4: f32[2] = mul(%2, %3) return %4 }");
}

TEST(EliminateCommon, EqualConstantsBecomeOneButNotZeroesOfOtherSigns) {
  expect_pass(eliminate_common,
              "graph { %0: f32[2] = input %1: f32[2] = constant {1, 2} %2: f32[2] = add(%0, %1) "
              "%3: f32[2] = constant {1, 2} %4: f32[2] = mul(%2, %3) return %4 }",
              "graph { %0: f32[2] = input %1: f32[2] = constant {1, 2} %2: f32[2] = add(%0, %1) "
              "%3: f32[2] = mul(%2, %1) return %3 }");
  expect_untouched(eliminate_common,
                   "graph { %0: f32[1] = input %1: f32[1] = constant {0} %2: f32[1] = add(%0, %1) "
                   "%3: f32[1] = constant {-0} %4: f32[1] = add(%2, %3) return %4 }");
  expect_untouched(eliminate_common,
                   "graph { %0: f32[2] = input %1: f32[2,1] = constant {1, 2} %2: f32[2,2] = add(%0, %1) "
                   "%3: f32[2] = constant {1, 2} %4: f32[2,2] = add(%2, %3) return %4 }");
}

TEST(EliminateCommon, OtherAttributesAreOtherNodes) {
  expect_untouched(eliminate_common,
                   "graph { %0: f32[2] = input %1: f32[2] = leaky_relu(%0) {alpha=0.1} "
                   "%2: f32[2] = leaky_relu(%0) {alpha=0.2} %3: f32[2] = add(%1, %2) return %3 }");
}

// Callers ask for outputs by name.
TEST(EliminateCommon, TwoOutputsStayTwo) {
  expect_untouched(eliminate_common,
                   "graph { %0: f32[2] = input %1 \"a\": f32[2] = exp(%0) %2 \"b\": f32[2] = exp(%0) return %1, %2 }");
}

TEST(EliminateCommon, AnOutputGivesItsNameToTheNodeThatStays) {
  expect_pass(eliminate_common,
              "graph { %0: f32[2] = input %1 \"a\": f32[2] = exp(%0) %2: f32[2] = neg(%1) %3 \"b\": f32[2] = exp(%0) "
              "return %3, %2 }",
              "graph { %0: f32[2] = input %1 \"b\": f32[2] = exp(%0) %2: f32[2] = neg(%1) return %1, %2 }");
}

// Convolutions choose their layouts freely: equal but for the layout is not equal.
TEST(EliminateCommon, OtherLayoutsAreOtherNodes) {
  expect_untouched(eliminate_common, R"(graph {
    %0: f32[1,2,2,2] = input
    %1: f32[8,2,1,1] = constant {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
    %2: f32[1,8,2,2] = conv(%0, %1) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}
    %3: f32[1,8,2,2] aBcd8b = conv(%0, %1) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}
    %4: f32[1,8,2,2] = relu(%2)
    %5: f32[1,8,2,2] aBcd8b = relu(%3)
    return %4, %5 })");
}

}  // namespace
}  // namespace oc::test
