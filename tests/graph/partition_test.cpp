#include "graph/partition.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/compare.h"
#include "graph/pass.h"
#include "graph/text.h"
#include "tests/dsl/interpret.h"
#include "tests/graph/graphs.h"
#include "tests/graph/random_graph.h"

namespace oc::test {
namespace {

Partition parts(const std::string& text) {
  const Graph graph = parse_graph(text);
  verify(graph, all_ops());
  return partition(graph, all_ops());
}

// x [1,2,3,3] and a convolution that keeps its shape, %3 "c"; then `rest`, which gives "y", %9.
std::string conv(std::string_view rest) {
  return fmt::format(R"(graph {{
    %0 "x": f32[1,2,3,3] = input
    %1: f32[2,2,1,1] = constant {{1, 2, 3, 4}}
    %2: f32[2] = constant {{5, 6}}
    %3 "c": f32[1,2,3,3] = conv(%0, %1, %2) {} "Conv_0"
    {}
    return %9 }})",
                     kPoint, rest);
}

TEST(Partition, ConvolutionBiasResidualAndReluAreOneKernel) {
  const Partition p = parts(conv("%4: f32[1,2,3,3] = add(%0, %3) %9 \"y\": f32[1,2,3,3] = relu(%4)"));
  ASSERT_EQ(p.groups.size(), 1U);
  const Group& group = p.groups[0];
  EXPECT_EQ(group.nodes, (std::vector<NodeId>{NodeId(0), NodeId(1), NodeId(2)}));
  EXPECT_EQ(group.anchor, NodeId(0));
  EXPECT_EQ(group.inputs, (std::vector<ValueId>{ValueId(0), ValueId(1), ValueId(2)}));
  EXPECT_EQ(group.reason, "'y' is an output of the graph");
}

// x·sigmoid(x): everything that reads the convolution's result ends in one product.
TEST(Partition, APathThatForksAndMeetsAgainIsTaken) {
  const Partition p = parts(conv("%4: f32[1,2,3,3] = sigmoid(%3) %9: f32[1,2,3,3] = mul(%3, %4)"));
  ASSERT_EQ(p.groups.size(), 1U);
  EXPECT_EQ(p.groups[0].nodes.size(), 3U);
}

TEST(Partition, TwoAnchorsAreTwoKernels) {
  const Partition p = parts(
      conv(fmt::format("%4 \"r\": f32[1,2,3,3] = relu(%3) %9: f32[1,2,3,3] = conv(%4, %1) {} \"Conv_1\"", kPoint)));
  ASSERT_EQ(p.groups.size(), 2U);
  EXPECT_EQ(p.groups[0].nodes.size(), 2U);
  EXPECT_EQ(p.groups[0].reason, "'r' is read by conv 'Conv_1', a kernel of its own that reads it whole");
}

TEST(Partition, ViewsHaveNoKernel) {
  const Partition p = parts(conv("%4: f32[18] = reshape(%3) {shape=[18]} \"Flat\" %9: f32[18] = relu(%4)"));
  EXPECT_EQ(p.views, (std::vector<NodeId>{NodeId(1)}));
  ASSERT_EQ(p.groups.size(), 2U);
  EXPECT_EQ(p.groups[0].reason, "'c' is read through the view reshape 'Flat'");
  EXPECT_FALSE(p.groups[1].anchor.valid());
}

TEST(Partition, TheReasonToStopIsTheNextReader) {
  EXPECT_EQ(parts(conv("%9: f32[1,3,2,3] = transpose(%3) {perm=[0,2,1,3]} \"T\"")).groups[0].reason,
            "'c' is read by transpose 'T', which moves elements");
  EXPECT_EQ(parts(conv("%4: f32[4,2,3,3] = input %9: f32[4,2,3,3] = add(%3, %4) \"A\"")).groups[0].reason,
            "'c' is broadcast or laid out anew by add 'A'");
  const std::string forked = conv("%4: f32[1,2,3,3] = relu(%3) \"R\" %9: f32[1,2,3,3] = abs(%3)");
  Graph graph = parse_graph(forked);
  graph.outputs.push_back(graph.nodes[1].outputs[0]);
  EXPECT_EQ(partition(graph, all_ops()).groups[0].reason,
            "'c' is read by 2 nodes with no common elementwise end, the first relu 'R'");
}

TEST(Partition, AnOutputOnTheWayEndsTheKernel) {
  Graph graph = parse_graph(conv("%9: f32[1,2,3,3] = relu(%3)"));
  graph.outputs.push_back(ValueId(3));
  const Partition p = partition(graph, all_ops());
  ASSERT_EQ(p.groups.size(), 2U);
  EXPECT_EQ(p.groups[0].reason, "'c' is an output of the graph");
}

TEST(Partition, KernelsDoNotGrowWithoutEnd) {
  std::string text = "graph { %0: f32[2] = input ";
  for (int i = 1; i <= 40; ++i) text += fmt::format("%{}: f32[2] = tanh(%{}) ", i, i - 1);
  const Partition p = parts(text + "return %40 }");
  EXPECT_EQ(p.groups.size(), 3U);
  for (const Group& group : p.groups) EXPECT_LE(group.nodes.size(), 16U);
}

TEST(Partition, CheapProducersMoveIntoAnAnchorThatReadsOnce) {
  const std::string text =
      "graph {{ %0: f32[4,5] = input %1: f32[4,5] = {}(%0) %2: f32[4,1] = reduce_sum(%1) {{axes=[1]}} return %2 }}";
  EXPECT_EQ(parts(fmt::format(fmt::runtime(text), "abs")).groups.size(), 1U);
  EXPECT_EQ(parts(fmt::format(fmt::runtime(text), "exp")).groups.size(), 2U);
  // A convolution reads every element many times.
  EXPECT_EQ(parts(fmt::format("graph {{ %0: f32[1,1,3,3] = input %1: f32[1,1,3,3] = abs(%0) "
                              "%2: f32[1,1,1,1] = constant {{2}} %3: f32[1,1,3,3] = conv(%1, %2) {} return %3 }}",
                              kPoint))
                .groups.size(),
            2U);
}

// ---- properties of every partition

void expect_well_formed(const Graph& graph, const Partition& p) {
  std::vector<int> seen(graph.nodes.size(), 0);
  for (NodeId view : p.views) {
    EXPECT_EQ(traits(all_ops(), graph[view].op).kind, OpKind::view);
    ++seen[view.index];
  }
  for (const Group& group : p.groups) {
    int anchors = 0;
    for (NodeId node : group.nodes) {
      const OpKind kind = traits(all_ops(), graph[node].op).kind;
      EXPECT_NE(kind, OpKind::view);
      anchors += kind != OpKind::elementwise;
      ++seen[node.index];
    }
    EXPECT_LE(anchors, 1);
    EXPECT_EQ(anchors == 1, group.anchor.valid());
    EXPECT_FALSE(group.reason.empty());
  }
  EXPECT_TRUE(std::ranges::all_of(seen, [](int times) { return times == 1; }));
}

Tensor reshaped(Tensor t, const Extents& shape) {
  t.shape = shape;
  return t;
}

// Runs the groups' own graphs, in order, on what the groups before made.
std::vector<Tensor> run_groups(const Graph& model, const Partition& p, const std::vector<Tensor>& inputs) {
  const Graph graph = without_layouts(model);
  std::map<ValueId, Tensor> known;
  for (size_t i = 0; i < inputs.size(); ++i) known[graph.inputs[i]] = inputs[i];
  const std::function<Tensor(ValueId)> value = [&](ValueId id) {
    if (graph[id].data != nullptr) return *graph[id].data;
    if (const auto found = known.find(id); found != known.end()) return found->second;
    return reshaped(value(graph[graph[id].producer].inputs[0]), graph[id].type.extents());  // a view
  };
  for (const Group& group : p.groups) {
    Graph kernel = without_layouts(group_graph(model, group, all_ops()));
    for (size_t i = 0; i < group.inputs.size(); ++i)
      kernel.values[i].data =
          std::make_shared<const Tensor>(reshaped(value(group.inputs[i]), kernel.values[i].type.extents()));
    known[group.output] = reshaped(interpret(kernel, all_ops(), {})[0], graph[group.output].type.extents());
  }
  std::vector<Tensor> outputs;
  for (ValueId output : graph.outputs) outputs.push_back(value(output));
  return outputs;
}

TEST(Partition, KernelsOneAfterTheOtherComputeWhatTheModelDoes) {
  for (uint32_t seed = 100; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = random_graph(seed, 16);
    const Target target = parse_target(seed % 2 == 0 ? "x86-64-avx2" : "x86-64-sse41");
    const std::vector<Tensor> inputs = random_inputs(graph, seed);
    const std::vector<Tensor> expected = outputs_of(graph, inputs);
    for (const Graph& model : {graph, optimize(graph, {all_ops(), target})}) {
      const Partition p = partition(model, all_ops());
      expect_well_formed(model, p);
      const std::vector<Tensor> found = run_groups(model, p, inputs);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) EXPECT_LE(err(found[i], expected[i]), 1e-4) << print_graph(model);
    }
  }
}

}  // namespace
}  // namespace oc::test
