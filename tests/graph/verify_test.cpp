#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/pass.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

std::string fault(const Graph& graph) {
  return error_of<InternalError>([&] { verify(graph, all_ops()); });
}
std::string fault(const std::string& text) {
  return fault(parse_graph(text));
}

Graph two_nodes() {
  return parse_graph(R"(graph "g" {
    %0 "x": f32[2] = input
    %1 "a": f32[2] = relu(%0) "first"
    %2 "b": f32[2] = abs(%1) "second"
    return %2 })");
}

TEST(Verify, AcceptsWhatIsWellFormed) {
  EXPECT_EQ(fault(two_nodes()), "");
}

TEST(Verify, ASelectHasTwoSidesOfWhichOneMayBeAbsent) {
  const auto select = [](const std::string& inputs) {
    return fault("graph \"g\" { %0 \"c\": bool[] = input %1 \"x\": f32[2] = input %2 \"y\": f32[2] = select(" + inputs +
                 ") \"s\" return %2 }");
  };
  EXPECT_EQ(select("%0, %1, _"), "");
  EXPECT_EQ(select("%0, _, %1"), "");
  EXPECT_EQ(select("%0, _, _"), "graph 'g': node 0 's' (select): select: both sides are absent");
  for (const auto& [inputs, count] : {std::pair("%0", 1), std::pair("%0, %1", 2)})
    EXPECT_EQ(
        select(inputs),
        fmt::format("graph 'g': node 0 's' (select): select: takes a condition and two sides, one of which may be "
                    "absent; it has {} inputs",
                    count));
}

TEST(Verify, RefusesNodesOutOfOrderAndCycles) {
  Graph graph = two_nodes();
  graph.nodes[0].inputs = {graph.nodes[1].outputs[0]};
  EXPECT_EQ(fault(graph), "graph 'g': node 0 'first' (relu): reads value 2 'b' before it is computed");
  EXPECT_EQ(error_of<InternalError>([&] { (void)compact(graph); }),
            "graph 'g': a cycle goes through node 0 'first' (relu)");
}

TEST(Verify, RefusesIdsThatDoNotExist) {
  Graph graph = two_nodes();
  graph.nodes[1].inputs = {ValueId(7)};
  EXPECT_EQ(fault(graph), "graph 'g': node 1 'second' (abs): an input's id does not exist");
  graph = two_nodes();
  graph.outputs = {ValueId(7)};
  EXPECT_EQ(fault(graph), "graph 'g': an output's id does not exist");
  graph = two_nodes();
  graph.inputs = {ValueId(7)};
  EXPECT_EQ(fault(graph), "graph 'g': an input's id does not exist");
  graph = two_nodes();
  graph.nodes[0].outputs = {ValueId()};
  EXPECT_EQ(fault(graph), "graph 'g': node 0 'first' (relu): an output's id does not exist");
}

TEST(Verify, RefusesValuesWithTwoOriginsOrNone) {
  Graph graph = two_nodes();
  graph.nodes[1].outputs = {ValueId(1)};
  EXPECT_EQ(fault(graph), "graph 'g': node 1 'second' (abs): its output 1 has another producer");
  graph = two_nodes();
  graph.nodes.pop_back();
  EXPECT_EQ(fault(graph), "graph 'g': value 2 'b' is never computed");
  graph = two_nodes();
  graph.inputs = {ValueId(0), ValueId(0)};
  EXPECT_EQ(fault(graph), "graph 'g': input 'x' is listed twice");
  graph = two_nodes();
  graph.inputs.clear();
  EXPECT_EQ(fault(graph), "graph 'g': input value 0 'x' is not among the graph's inputs");
}

TEST(Verify, RefusesTypesThatTheOpDoesNotGive) {
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[3] = relu(%0) return %1 }"),
            "graph '': node 0 '' (relu): output 0 is stated as f32[3] but is f32[2]");
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: i64[2] = relu(%0) return %1 }"),
            "graph '': node 0 '' (relu): output 0 is stated as i64[2] but is f32[2]");
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[3] = input %2: f32[3] = add(%0, %1) return %2 }"),
            "graph '': node 0 '' (add): extents 2 and 3 do not broadcast");
}

TEST(Verify, RefusesWrongSignatures) {
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[2] = frobnicate(%0) return %1 }"),
            "graph '': node 0 '' (frobnicate): unknown op");
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[2] = relu(%0, %0) return %1 }"),
            "graph '': node 0 '' (relu): has 2 inputs");
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[2] = add(%0, _) return %1 }"),
            "graph '': node 0 '' (add): input 1 is absent but required");
  EXPECT_EQ(fault("graph { %0: f32[2] = input (%1, %2): (f32[2], f32[2]) = relu(%0) return %1 }"),
            "graph '': node 0 '' (relu): has 2 outputs instead of 1");
}

// The rules of ops with any number of inputs look at all of them.
TEST(Verify, RefusesAbsentInputsOfVariadicOps) {
  EXPECT_EQ(fault("graph { %0: f32[2] = input %1: f32[2] = concat(%0, _) {axis=0} return %1 }"),
            "graph '': node 0 '' (concat): input 1 is absent but required");
}

TEST(Verify, RefusesWrongAttributes) {
  const std::string x = "graph { %0: f32[2] = input %1: f32[2] = ";
  EXPECT_EQ(fault(x + "leaky_relu(%0) return %1 }"), "graph '': node 0 '' (leaky_relu): attribute 'alpha' is missing");
  EXPECT_EQ(fault(x + "leaky_relu(%0) {alpha=1} return %1 }"),
            "graph '': node 0 '' (leaky_relu): attribute 'alpha' is not a number");
  EXPECT_EQ(fault(x + "relu(%0) {alpha=1.0} return %1 }"), "graph '': node 0 '' (relu): unknown attribute 'alpha'");
}

TEST(Verify, RefusesLayoutsAgainstTheRules) {
  EXPECT_EQ(fault("graph { %0: f32[1,8,2,2] aBcd8b = input %1: f32[1,8,2,2] = relu(%0) return %1 }"),
            "graph '': node 0 '' (relu): an operand f32[1,8,2,2] of layout 'aBcd8b' meets an output of layout 'abcd'");
  EXPECT_EQ(fault("graph { %0: f32[8] A8a = input %1: f32[8] = relu(%0) return %1 }"),
            "graph '': node 0 '' (relu): an operand f32[8] of layout 'A8a' meets an output of layout 'a'");
  EXPECT_EQ(fault("graph { %0: f32[2,2] = input %1: f32[2,2] ba = transpose(%0) {perm=[1,0]} return %1 }"),
            "graph '': node 0 '' (transpose): its output must be plain");
  EXPECT_EQ(
      fault("graph { %0: f32[1,8,2,2] = input %1: f32[1,8,2,2] aBcd8b = relayout(%0) {to=\"aBcd4b\"} return %1 }"),
      "graph '': node 0 '' (relayout): its output has the layout aBcd8b");
  // An operand that is broadcast along the channels has none to block.
  EXPECT_EQ(fault("graph { %0: f32[1,8,2,2] aBcd8b = input %1: f32[1,1,2,2] = input "
                  "%2: f32[1,8,2,2] aBcd8b = add(%0, %1) return %2 }"),
            "");
}

TEST(Verify, RefusesConstantsThatAreNotWhatTheySay) {
  Graph graph = parse_graph("graph { %0 \"c\": f32[2] = constant {1, 2} %1: f32[2] = relu(%0) return %1 }");
  Tensor tensor = *graph.values[0].data;
  tensor.bytes.pop_back();
  graph.values[0].data = std::make_shared<const Tensor>(tensor);
  EXPECT_EQ(fault(graph), "graph '': constant 0 'c' f32[2] holds 7 bytes");
  tensor.shape = {3};
  graph.values[0].data = std::make_shared<const Tensor>(tensor);
  EXPECT_EQ(fault(graph), "graph '': constant 0 'c' is stated as f32[2] but holds another type");
}

TEST(Verify, AnImportersGraphIsAUsersMistake) {
  const Graph graph = parse_graph("graph { %0: f32[2] = input %1: f32[3] = relu(%0) return %1 }");
  EXPECT_EQ(error_of<UserError>([&] { verify_import(graph, all_ops()); }),
            "graph '': node 0 '' (relu): output 0 is stated as f32[3] but is f32[2]");
}

TEST(Verify, SymbolicDimsMayBeStatedMoreExactlyThanTheRuleGives) {
  EXPECT_EQ(fault("graph { %0: f32[n,2] = input %1: f32[n,2] = relu(%0) return %1 }"), "");
  EXPECT_EQ(fault("graph { %0: f32[n,2] = input %1: f32[5,2] = relu(%0) return %1 }"), "");
}

}  // namespace
}  // namespace oc::test
