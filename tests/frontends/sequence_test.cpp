// Sequences and optionals: lists that the importer knows.
#include "tests/dsl/interpret.h"
#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

using ::onnx::TensorProto;

// p, q and r [1, 2] in a sequence "s", one op on it, and the result's elements as one tensor y.
struct Case {
  ModelBuilder model;
  Case() {
    model.input("p", {1, 2}).input("q", {1, 2}).input("r", {1, 2}).output("y");
    model.node("SequenceConstruct", {"p", "q", "r"}, {"s"});
  }
  Case& op(const std::string& name, std::vector<std::string> inputs, const std::vector<int64_t>& position) {
    if (!position.empty()) {
      model.int64s("at", {}, position);
      inputs.push_back("at");
    }
    model.node(name, inputs, {"t"}).named("the op");
    return *this;
  }
  ModelBuilder& joined() {
    model.node("ConcatFromSequence", {"t"}, {"y"}).integer("axis", 0);
    return model;
  }
  ModelBuilder& single() {
    model.node("Identity", {"t"}, {"y"});
    return model;
  }
};

// The model with p, q, r = [1, 1], [2, 2], [3, 3]: the first of each pair of floats.
std::vector<float> run(const ModelBuilder& model) {
  std::vector<Tensor> inputs;
  for (const float value : {1, 2, 3}) {
    inputs.push_back(make_tensor(DType::f32, {1, 2}));
    std::ranges::fill(inputs.back().as<float>(), value);
  }
  const Tensor result = interpret(import(model.bytes()), test_ops(), inputs).at(0);
  std::vector<float> values;
  for (size_t i = 0; i < result.as<float>().size(); i += 2) values.push_back(result.as<float>()[i]);
  return values;
}
using Floats = std::vector<float>;

TEST(Sequence, ElementsOfOneShapeAreStacked) {
  ModelBuilder stacked = Case().model;
  stacked.node("ConcatFromSequence", {"s"}, {"y"}).integer("axis", -1).integer("new_axis", 1);
  EXPECT_EQ(run(stacked), (Floats{1, 3, 2}));  // [1, 2, 3], twice

  ModelBuilder ranks;
  ranks.input("p", {1, 2, 3}).input("q", {}).output("y");
  ranks.node("SequenceConstruct", {"p", "q"}, {"s"});
  ranks.node("ConcatFromSequence", {"s"}, {"y"}).named("the op").integer("axis", 3).integer("new_axis", 1);
  expect_refused(ranks, {"'the op'", "[1, 2, 3] and [] cannot be stacked"});
}

TEST(Sequence, APartForEachOfABillionElementsIsRefused) {
  ModelBuilder m;
  m.input("x", {1000000000}).output("y");
  m.node("SplitToSequence", {"x"}, {"s"}).named("the op");
  m.node("SequenceLength", {"s"}, {"y"});
  expect_refused(m, {"'the op'", "1000000000 elements"});
}

TEST(Sequence, PositionsCountFromEitherEnd) {
  const auto at = [](int64_t i) { return Case().op("SequenceAt", {"s"}, {i}).single(); };
  EXPECT_EQ(run(at(0)), (Floats{1}));
  EXPECT_EQ(run(at(2)), (Floats{3}));
  EXPECT_EQ(run(at(-1)), (Floats{3}));
  EXPECT_EQ(run(at(-3)), (Floats{1}));
  for (const int64_t i : {int64_t{3}, int64_t{-4}, std::numeric_limits<int64_t>::min()})
    expect_refused(at(i), {"'the op'", "position " + std::to_string(i), "3 places"});

  const auto erased = [](const std::vector<int64_t>& i) { return Case().op("SequenceErase", {"s"}, i).joined(); };
  EXPECT_EQ(run(erased({0})), (Floats{2, 3}));
  EXPECT_EQ(run(erased({-2})), (Floats{1, 3}));
  EXPECT_EQ(run(erased({})), (Floats{1, 2}));
  for (const int64_t i : {3, -4}) expect_refused(erased({i}), {"'the op'", "position " + std::to_string(i)});

  const auto inserted = [](const std::vector<int64_t>& i) {
    return Case().op("SequenceInsert", {"s", "p"}, i).joined();
  };
  EXPECT_EQ(run(inserted({3})), (Floats{1, 2, 3, 1}));
  EXPECT_EQ(run(inserted({})), (Floats{1, 2, 3, 1}));
  EXPECT_EQ(run(inserted({-1})), (Floats{1, 2, 1, 3}));
  EXPECT_EQ(run(inserted({-3})), (Floats{1, 1, 2, 3}));
  for (const int64_t i : {4, -4}) expect_refused(inserted({i}), {"'the op'", "position " + std::to_string(i)});
}

TEST(Sequence, PositionsMustBeKnown) {
  Case c;
  c.model.input("at", {}, TensorProto::INT64);
  c.op("SequenceAt", {"s", "at"}, {});
  expect_refused(c.single(), {"'the op'", "position ('at') depend on the data", "--freeze at=…"});
}

TEST(Sequence, IsNoTensorAndATensorIsNone) {
  expect_refused(Case().op("Relu", {"s"}, {}).single(), {"'the op'", "input 0 is a sequence, must be a tensor"});
  expect_refused(Case().op("SequenceLength", {"p"}, {}).single(), {"'the op'", "is a tensor, must be a sequence"});
  expect_refused(Case().op("SequenceInsert", {"s", "s"}, {}).joined(), {"'the op'", "must be a tensor"});
  Case mixed;
  mixed.model.int64s("whole", {1, 2}, {1, 2});
  expect_refused(mixed.op("SequenceInsert", {"s", "whole"}, {}).joined(), {"'the op'", "of one type"});
  ModelBuilder empty;
  empty.input("x", {2}).output("y");
  empty.node("SequenceEmpty", {}, {"s"});
  empty.node("ConcatFromSequence", {"s"}, {"y"}).named("n").integer("axis", 0);
  expect_refused(empty, {"'n'", "empty sequence"});
}

TEST(Sequence, PartsOfATensor) {
  const auto parts = [](const std::vector<int64_t>& sizes, const Extents& shape, bool keep) {
    ModelBuilder m;
    m.input("x", {2, 5}).output("y").output("count");
    std::vector<std::string> inputs{"x"};
    if (!sizes.empty()) {
      m.int64s("sizes", shape, sizes);
      inputs.push_back("sizes");
    }
    m.int64s("last", {}, {-1});
    m.node("SplitToSequence", inputs, {"s"}).named("n").integer("axis", -1).integer("keepdims", keep ? 1 : 0);
    m.node("SequenceLength", {"s"}, {"count"});
    m.node("SequenceAt", {"s", "last"}, {"y"});
    return m;
  };
  const auto last = [](const ModelBuilder& m) { return output_shape(import(m.bytes())); };
  EXPECT_EQ(last(parts({2}, {}, true)), (Extents{2, 1}));
  EXPECT_EQ(last(parts({2}, {}, false)), (Extents{2, 1}));  // keepdims is for parts without sizes
  EXPECT_EQ(last(parts({1, 4}, {2}, true)), (Extents{2, 4}));
  EXPECT_EQ(last(parts({}, {}, true)), (Extents{2, 1}));
  EXPECT_EQ(last(parts({}, {}, false)), (Extents{2}));
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{2, 2}, {2, 4}, {-1, 6}})
    expect_refused(parts(sizes, {2}, true), {"'n'", "elements of dim 1"});
  for (const int64_t size : {0, -2}) expect_refused(parts({size}, {}, true), {"'n'", "cannot have the size"});
}

TEST(Sequence, IsMapped) {
  ModelBuilder body;
  body.input("each", {1, 2}).input("same", {1, 2}).output("sum");
  body.node("Add", {"each", "same"}, {"sum"});
  Case c;
  c.model.node("SequenceMap", {"s", "r"}, {"t"}).named("the op").body("body", body);
  EXPECT_EQ(run(c.joined()), (Floats{4, 5, 6}));
  Case shorter;
  shorter.model.node("SequenceConstruct", {"p"}, {"one"});
  shorter.model.node("SequenceMap", {"s", "one"}, {"t"}).named("the op").body("body", body);
  expect_refused(shorter.joined(), {"'the op'", "3 and 1 elements"});
}

// y = the elements of (c ? s : `other`)
ModelBuilder chosen(const std::string& other_op, const std::vector<std::string>& elements) {
  ModelBuilder then, otherwise;
  then.output("a").node("Identity", {"s"}, {"a"});
  otherwise.output("b").node(other_op, elements, {"b"});
  Case c;
  c.model.input("c", {}, TensorProto::BOOL);
  c.model.node("If", {"c"}, {"t"}).named("the op").body("then_branch", then).body("else_branch", otherwise);
  return c.joined();
}

TEST(Sequence, IsChosenElementByElement) {
  const Graph graph = import(chosen("SequenceConstruct", {"r", "q", "p"}).bytes());
  EXPECT_EQ(op_list(graph), "select select concat");  // the second is the same both ways
  expect_refused(chosen("SequenceConstruct", {"r", "q"}), {"'the op'", "a sequence of 3 and a sequence of 2"});
  expect_refused(chosen("Optional", {}), {"'the op'", "a sequence of 3 and an optional without a value"});
  expect_refused(chosen("Identity", {"p"}), {"'the op'", "a sequence of 3 and no sequence"});
  ImportOptions options;
  options.constants.emplace("c", make_tensor(DType::boolean, {}));
  EXPECT_EQ(output_shape(import(chosen("SequenceConstruct", {"r", "q"}).bytes(), options)), (Extents{2, 2}));
}

// y: the length of the sequence "x" of floats [n, 2], or whether the optional "x" holds one.
ModelBuilder of_input(bool sequence) {
  ModelBuilder m;
  m.output("y").output("z");
  ModelBuilder element;
  element.input("x", {"n", 2});
  auto& info = *m.graph().add_input();
  info.set_name("x");
  auto& type = sequence ? *info.mutable_type()->mutable_sequence_type()->mutable_elem_type()
                        : *info.mutable_type()->mutable_optional_type()->mutable_elem_type();
  type = element.graph().input(0).type();
  m.node(sequence ? "SequenceLength" : "OptionalHasElement", {"x"}, {"y"});
  m.node("Identity", {"x"}, {"z"});
  return m;
}

std::string names(const Graph& graph, const std::vector<ValueId>& values) {
  std::string list;
  for (ValueId value : values) list += graph[value].name + ' ';
  return list;
}

TEST(Sequence, GoesInAndOutElementByElement) {
  const ModelBuilder m = of_input(true);
  expect_refused(m, {"x  a sequence", "--shape x=N"});
  ImportOptions options;
  options.shapes = {{"x", {2}}, {"x[1]", {3, 2}}};
  const Graph two = import(m.bytes(), options);
  EXPECT_EQ(names(two, two.inputs), "x[0] x[1] ");
  EXPECT_EQ(names(two, two.outputs), "y z[0] z[1] ");
  EXPECT_EQ(output_shape(two, 1), (Extents{1, 2}));
  EXPECT_EQ(output_shape(two, 2), (Extents{3, 2}));
  options.shapes = {{"x", {0}}};
  const Graph none = import(m.bytes(), options);
  EXPECT_EQ(names(none, none.inputs) + names(none, none.outputs), "y ");
  const auto refused = [&](const std::map<std::string, Extents>& shapes, const std::string& why) {
    options.shapes = shapes;
    const std::string error = import_error(m, options);
    EXPECT_NE(error.find(why), std::string::npos) << error;
  };
  refused({{"x", {2, 3}}}, "the number of its elements");
  refused({{"x", {int64_t{1} << 40}}}, "the number of its elements");
  refused({{"x", {1}}, {"x[1]", {3, 2}}}, "a shape is given for 'x[1]', which is no input");
  refused({{"x", {1}}, {"x[0]", {3, 4}}}, "input 'x'");
  ModelBuilder twice = m;
  twice.input("x[0]", {2});
  options.shapes = {{"x", {1}}};
  EXPECT_NE(import_error(twice, options).find("another input has the name 'x[0]'"), std::string::npos);
}

TEST(Optional, GoesInAndOut) {
  const ModelBuilder m = of_input(false);
  expect_refused(m, {"x  an optional", "--shape x=N"});
  ImportOptions options;
  options.shapes = {{"x", {1}}, {"x[0]", {3, 2}}};
  const Graph one = import(m.bytes(), options);
  EXPECT_EQ(names(one, one.inputs), "x[0] ");
  EXPECT_EQ(names(one, one.outputs), "y z ");
  options.shapes = {{"x", {0}}};
  const Graph none = import(m.bytes(), options);
  EXPECT_EQ(names(none, none.inputs) + names(none, none.outputs), "y ");
  options.shapes = {{"x", {2}}};
  EXPECT_NE(import_error(m, options).find("up to 1"), std::string::npos);
}

TEST(Optional, HoldsOrHoldsNot) {
  const auto has = [](const std::vector<std::string>& inputs) {
    ModelBuilder m;
    m.input("x", {2}).output("y");
    m.node("Optional", inputs, {"o"});
    m.node("OptionalHasElement", {"o"}, {"y"});
    const Graph graph = import(m.bytes());
    return graph[graph.nodes.at(0).inputs.at(0)].data->bytes.at(0) != std::byte{0};
  };
  EXPECT_TRUE(has({"x"}));
  EXPECT_FALSE(has({}));
  const auto get = [](const std::vector<std::string>& inputs) {
    ModelBuilder m;
    m.input("x", {2}).output("y");
    m.node("Optional", inputs, {"o"});
    m.node("OptionalGetElement", {"o"}, {"e"}).named("n");
    m.node("Relu", {"e"}, {"y"});
    return m;
  };
  EXPECT_EQ(op_list(import(get({"x"}).bytes())), "relu");
  expect_refused(get({}), {"'n'", "without a value"});
}

}  // namespace
}  // namespace oc::test
