#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

Graph without_empty(std::string_view text) {
  const Target target = host_target();
  Graph graph = eliminate_empty(parse_graph(text), {all_ops(), target});
  verify(graph, all_ops());
  return graph;
}

// `text` becomes a graph of the ops `ops` in which no node reads or makes an empty tensor.
void expect_ops(std::string_view text, const std::vector<std::string>& ops) {
  SCOPED_TRACE(text);
  const Graph graph = without_empty(text);
  std::vector<std::string> found;
  for (const Node& node : graph.nodes) {
    found.push_back(node.op);
    for (const ValueId value : node.inputs) EXPECT_GT(element_count(graph[value].type.extents()), 0) << node.op;
    for (const ValueId value : node.outputs) EXPECT_GT(element_count(graph[value].type.extents()), 0) << node.op;
  }
  EXPECT_EQ(found, ops);
  EXPECT_EQ(graph.outputs.size(), parse_graph(text).outputs.size());
}

TEST(EliminateEmpty, WhatHasNoElementsIsNotComputed) {
  expect_ops("graph { %0: f32[0,3] = input %1: f32[0,3] = exp(%0) return %1 }", {});
  expect_ops("graph { %0: f32[0,3] = input %1: f32[1,3] = input %2: f32[0,3] = add(%0, %1) return %2 }", {});
  expect_ops("graph { %0: f32[0,3] = input %1: f32[3,4] = weight %2: f32[0,4] = matmul(%0, %1) return %2 }", {});
  expect_ops("graph { %0: f32[2,3] = input %1: f32[3,0] = input %2: f32[2,0] = matmul(%0, %1) return %2 }", {});
  expect_ops(
      "graph { %0: f32[2,3] = input %1: f32[0,3] = slice(%0) {sizes=[0,3], starts=[0,0], steps=[1,1]} "
      "%2: f32[0,3] = exp(%1) %3: f32[2,3] = exp(%0) return %2, %3 }",
      {"exp"});
}

TEST(EliminateEmpty, ProductsOverNothingAreZero) {
  expect_ops(
      "graph { %0: f32[2,0] = input %1: f32[0,4] = input %2: f32[2,4] = matmul(%0, %1) "
      "%3: f32[2,4] = exp(%2) return %3 }",
      {"expand", "exp"});
  const Graph graph =
      without_empty("graph { %0: f32[2,0] = input %1: f32[0,4] = input %2: f32[2,4] = matmul(%0, %1) return %2 }");
  const std::vector<Tensor> results = outputs_of(graph, random_inputs(graph, 1));
  for (const float x : results[0].as<float>()) EXPECT_EQ(x, 0);
}

TEST(EliminateEmpty, ConcatLeavesEmptyPartsOut) {
  expect_ops(
      "graph { %0: f32[0,3] = input %1: f32[2,3] = input %2: f32[1,3] = input "
      "%3: f32[3,3] = concat(%0, %1, %2) {axis=0} return %3 }",
      {"concat"});
  expect_ops("graph { %0: f32[0,3] = input %1: f32[0,3] = input %2: f32[0,3] = concat(%0, %1) {axis=0} return %2 }",
             {});
}

TEST(EliminateEmpty, ReductionsOfNothingAreTheirNeutralElements) {
  const Graph graph = without_empty(
      "graph { %0: f32[2,0] = input %1: f32[2,1] = reduce_sum(%0) {axes=[1]} %2: f32[2,1] = reduce_max(%0) {axes=[1]} "
      "%3: f32[2,1] = exp(%1) return %2, %3 }");
  EXPECT_EQ(graph.nodes.size(), 1U);
  const std::vector<Tensor> results = outputs_of(graph, random_inputs(graph, 1));
  EXPECT_EQ(results[0].as<float>()[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(results[1].as<float>()[1], 1);
}

TEST(EliminateEmpty, ElementsOfAnEmptyDimAreRefused) {
  const auto error = [](std::string_view text) {
    return error_of<UserError>([&] { verify_import(parse_graph(text), all_ops()); });
  };
  EXPECT_NE(error("graph { %0: f32[0,3] = input %1: i64[2] = input %2: f32[2,3] = gather(%0, %1) {axis=0} return %2 }")
                .find("gather: indices into dim 0, which has no elements"),
            std::string::npos);
  EXPECT_EQ(error("graph { %0: f32[0,3] = input %1: i64[0] = input %2: f32[0,3] = gather(%0, %1) {axis=0} return %2 }"),
            "");
}

}  // namespace
}  // namespace oc::test
