#include "tests/graph/graphs.h"

#include <gtest/gtest.h>

#include <random>

#include "base/compare.h"
#include "dsl/ops/host_scalar.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"
#include "tests/dsl/interpret.h"

namespace oc::test {

const OpSet& all_ops() {
  static const OpSet ops = op_set(builtin_ops());
  return ops;
}

std::vector<Tensor> random_inputs(const Graph& graph, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> real(-2, 2);
  std::vector<Tensor> result;
  for (ValueId input : graph.inputs) {
    const Type& type = graph[input].type;
    Tensor t = make_tensor(type.dtype, type.extents());
    for (int64_t i = 0; i < element_count(t.shape); ++i)
      store_scalar(t, i,
                   dtype_is_float(t.dtype) ? Scalar{true, 0, real(random)}
                                           : Scalar{false, static_cast<int64_t>(random() % 2), 0});
    result.push_back(std::move(t));
  }
  return result;
}

Graph without_layouts(Graph graph) {
  for (Value& value : graph.values) {
    value.type.layout = {};
    if (value.data != nullptr) value.data = std::make_shared<const Tensor>(relayout(*value.data, {}));
  }
  // The interpreter knows no relayout: between plain tensors it is a reshape.
  for (Node& node : graph.nodes) {
    if (node.op != "relayout") continue;
    node.op = "reshape";
    node.attrs = {{"shape", graph[node.outputs[0]].type.extents()}};
  }
  return graph;
}

std::vector<Tensor> outputs_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  return interpret(without_layouts(graph), all_ops(), inputs);
}

void expect_same_outputs(const Graph& before, const Graph& after) {
  const std::vector<Tensor> inputs = random_inputs(before, 3);
  const std::vector<Tensor> expected = outputs_of(before, inputs), found = outputs_of(after, inputs);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_LE(err(found[i], expected[i]), 1e-5) << "output " << i;
}

std::string normal(std::string_view text) {
  return print_graph(parse_graph(text));
}

void expect_pass(PassFunction pass, std::string_view before, std::string_view after, std::string_view target) {
  const Target cpu = parse_target(target);
  const Graph graph = parse_graph(before);
  SCOPED_TRACE(before);
  ASSERT_NO_THROW(verify(graph, all_ops()));
  const Graph result = pass(graph, {all_ops(), cpu});
  EXPECT_EQ(print_graph(result), normal(after));
  ASSERT_NO_THROW(verify(result, all_ops()));
  expect_same_outputs(graph, result);
}

void expect_untouched(PassFunction pass, std::string_view text, std::string_view target) {
  expect_pass(pass, text, text, target);
}

}  // namespace oc::test
