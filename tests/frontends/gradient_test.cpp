// Gradient: what differences say.
#include <cmath>

#include "tests/dsl/interpret.h"
#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

// y = op(a, b), or op(a), and its Gradient by a and b, or a.
struct Derived {
  ModelBuilder model;
  Derived(const std::string& op, const std::vector<std::string>& operands) {
    model.model.add_opset_import()->set_domain("ai.onnx.preview.training");
    model.model.mutable_opset_import(1)->set_version(1);
    for (const std::string& operand : operands) model.input(operand, {1});
    model.output("y");
    model.node(op, operands, {"y"});
    std::vector<std::string> by;
    for (const std::string& operand : operands) by.push_back("by " + operand);
    for (const std::string& name : by) model.output(name);
    NodeBuilder node =
        model.node("Gradient", operands, by).named("n").domain("ai.onnx.preview.training").text("y", "y");
    auto& xs = *node.node.add_attribute();
    xs.set_name("xs");
    xs.set_type(::onnx::AttributeProto::STRINGS);
    for (const std::string& operand : operands) xs.add_strings(operand);
  }
};

std::vector<double> run(const Graph& graph, const std::vector<double>& values) {
  std::vector<Tensor> inputs;
  for (const double value : values) {
    inputs.push_back(make_tensor(DType::f32, {1}));
    inputs.back().as<float>()[0] = static_cast<float>(value);
  }
  std::vector<double> results;
  for (const Tensor& result : interpret(graph, test_ops(), inputs)) results.push_back(result.as<float>()[0]);
  return results;
}

TEST(Gradient, IsThatOfDifferences) {
  constexpr double kStep = 1e-2;
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Neg", "Exp", "Log", "Sqrt", "Tanh"}) {
    SCOPED_TRACE(op);
    const bool binary = std::string("Add Sub Mul Div").find(op) != std::string::npos;
    const Graph graph =
        import(Derived(op, binary ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a"}).model.bytes());
    const std::vector<double> at = binary ? std::vector<double>{0.75, 1.5} : std::vector<double>{0.75};
    const std::vector<double> results = run(graph, at);
    for (size_t i = 0; i < at.size(); ++i) {
      std::vector<double> above = at, below = at;
      above[i] += kStep;
      below[i] -= kStep;
      EXPECT_NEAR(results[1 + i], (run(graph, above)[0] - run(graph, below)[0]) / (2 * kStep), 1e-3);
    }
  }
}

// y = (a·b)·a: a goes in twice.
TEST(Gradient, AddsUpWhatAValueIsUsedFor) {
  Derived d("Mul", {"a", "b"});
  auto& nodes = *d.model.graph().mutable_node();
  nodes[0].set_output(0, "product");
  d.model.node("Mul", {"product", "a"}, {"y"});
  EXPECT_EQ(run(import(d.model.bytes()), {3, 5}), (std::vector<double>{45, 30, 9}));
}

// Each is of the one before; what they make grows by a factor each time.
TEST(Gradient, OfManyGradientsEndsWithAnError) {
  ModelBuilder m;
  m.model.add_opset_import()->set_domain("ai.onnx.preview.training");
  m.model.mutable_opset_import(1)->set_version(1);
  m.input("a", {1}).output("y40");
  m.node("Tanh", {"a"}, {"y0"});
  for (int i = 1; i <= 40; ++i) {
    NodeBuilder node = m.node("Gradient", {"a"}, {"y" + std::to_string(i)})
                           .domain("ai.onnx.preview.training")
                           .text("y", "y" + std::to_string(i - 1));
    auto& xs = *node.node.add_attribute();
    xs.set_name("xs");
    xs.set_type(::onnx::AttributeProto::STRINGS);
    xs.add_strings("a");
  }
  expect_refused(m, {"Gradient", "the model makes more than"});
}

TEST(Gradient, OfNothingIsRefused) {
  for (const std::string& name : {std::string("none"), std::string("\xff"), std::string(5000, 'y')}) {
    Derived d("Tanh", {"a"});
    auto& node = *d.model.model.mutable_graph()->mutable_node(1);
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.name() == "y") attribute.set_s(name);
    expect_refused(d.model, {"which no node, input or initializer defines"});
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.name() == "y") attribute.clear_s();
    expect_refused(d.model, {"its y must be one number"});
  }
}

TEST(Gradient, OfWhatItCannotIsRefused) {
  expect_refused(Derived("Ceil", {"a"}).model, {"'n'", "(ceil) is not supported"});
  Derived elsewhere("Mul", {"a", "b"});
  elsewhere.model.graph().mutable_node(1)->set_input(0, "b");
  expect_refused(elsewhere.model, {"'n'", "input 0 is not 'a'"});
  Derived many("Exp", {"a"});
  many.model.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(2);
  expect_refused(many.model, {"'n'", "must be one number"});
}

}  // namespace
}  // namespace oc::test
