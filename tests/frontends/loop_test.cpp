// Loop and Scan: unrolled exactly as often as they run, or refused.
#include <limits>

#include "tests/dsl/interpret.h"
#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

using ::onnx::TensorProto;
using Floats = std::vector<float>;

// The floats of output `i` of the model, run by plain loops on these floats.
Floats run(const ModelBuilder& model, const std::vector<std::pair<Extents, Floats>>& inputs, size_t i = 0,
           const ImportOptions& options = {}) {
  std::vector<Tensor> given;
  for (const auto& [shape, values] : inputs) {
    given.push_back(make_tensor(DType::f32, shape));
    std::ranges::copy(values, given.back().as<float>().begin());
  }
  const Tensor result = interpret(import(model.bytes(), options), test_ops(), given).at(i);
  const auto values = result.as<float>();
  return {values.begin(), values.end()};
}

// A body of Loop that carries "a": (i, c, a) → (again, next, …), to be given nodes.
ModelBuilder body_of_loop() {
  ModelBuilder body;
  body.input("i", {}, TensorProto::INT64).input("c", {}, TensorProto::BOOL).input("a", {2});
  body.output("again").output("next");
  return body;
}

void add_bools(ModelBuilder& model, const std::string& name, bool value) {
  TensorProto& tensor = *model.graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::BOOL);
  tensor.add_int32_data(value ? 1 : 0);
}

// y, s = Loop(count, true, x): y ← y·w + i, w around the loop; s: all y before their change.
ModelBuilder counted_loop(int64_t count) {
  ModelBuilder body = body_of_loop();
  body.output("seen");
  body.node("Identity", {"c"}, {"again"});
  body.node("Cast", {"i"}, {"number"}).integer("to", TensorProto::FLOAT);
  body.node("Mul", {"a", "w"}, {"product"});
  body.node("Add", {"product", "number"}, {"next"});
  body.node("Identity", {"a"}, {"seen"});
  ModelBuilder model;
  model.input("x", {2}).output("y").output("s");
  model.floats("w", {2}, {2, 3});
  model.int64s("count", {}, {count});
  add_bools(model, "true", true);
  model.node("Loop", {"count", "true", "x"}, {"y", "s"}).named("the loop").body("body", body);
  return model;
}

TEST(Loop, IsUnrolled) {
  const ModelBuilder model = counted_loop(3);
  EXPECT_EQ(run(model, {{{2}, {1, 2}}}), (Floats{(2 + 0) * 2 * 2 + 1 * 2 + 2, (6 * 3 + 1) * 3 + 2}));
  EXPECT_EQ(run(model, {{{2}, {1, 2}}}, 1), (Floats{1, 2, 2, 6, 5, 19}));
  EXPECT_EQ(output_shape(import(model.bytes()), 1), (Extents{3, 2}));
}

TEST(Loop, OfNoIterationGivesWhatItBeganWith) {
  for (const int64_t count : {0, -4}) {
    ModelBuilder model = counted_loop(count);
    expect_refused(model, {"'the loop'", "declare the shape of 'seen'"});
    ModelBuilder declared(17);
    declared.input("seen", {2});
    *model.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_output(2) = declared.graph().input(0);
    EXPECT_EQ(run(model, {{{2}, {1, 2}}}), (Floats{1, 2}));
    EXPECT_EQ(output_shape(import(model.bytes()), 1), (Extents{0, 2}));
  }
}

TEST(Loop, TooLongIsRefused) {
  expect_refused(counted_loop(100'000'000), {"'the loop'", "a Loop of 100000000 iterations is unrolled"});
  // Nothing is computed: only the iterations themselves can be counted.
  ModelBuilder body = body_of_loop();
  body.node("Identity", {"c"}, {"again"});
  body.node("Identity", {"a"}, {"next"});
  ModelBuilder model;
  model.input("x", {2}).output("y");
  add_bools(model, "true", true);
  model.node("Loop", {"", "true", "x"}, {"y"}).named("n").body("body", body);
  expect_refused(model, {"'n'", "a Loop without a trip count"});
  NodeBuilder{*model.graph().mutable_node(0)}.node.set_input(1, "");
  expect_refused(model, {"'n'", "never ends"});
}

TEST(Loop, MustBeKnownToEnd) {
  ModelBuilder trips = counted_loop(3);
  trips.graph().mutable_initializer()->DeleteSubrange(1, 1);
  trips.input("count", {}, TensorProto::INT64);
  expect_refused(trips, {"'the loop'", "trip count ('count') depend on the data", "--freeze count=…"});
  ImportOptions options;
  options.constants.emplace("count", int64_tensor(std::vector<int64_t>{2}, {}));
  EXPECT_EQ(run(trips, {{{2}, {1, 2}}}, 0, options), (Floats{5, 19}));

  // The body goes on while the sum is small, which the data decide.
  ModelBuilder body = body_of_loop();
  body.node("Add", {"a", "x"}, {"next"});
  body.node("ReduceSum", {"next"}, {"sum"}).integer("keepdims", 0);
  body.node("Less", {"sum", "limit"}, {"again"});
  ModelBuilder data;
  data.input("x", {2}).output("y");
  data.floats("limit", {}, {10});
  data.int64s("count", {}, {9});
  add_bools(data, "true", true);
  data.node("Loop", {"count", "true", "x"}, {"y"}).named("n").body("body", body);
  expect_refused(data, {"'n'", "condition ('again') depend on the data", "--freeze x=…"});
}

TEST(Loop, EndsWhereItsConditionDoes) {
  // While i < 4, in a body that counts for itself.
  ModelBuilder body = body_of_loop();
  body.int64s("last", {}, {4});
  body.node("Less", {"i", "last"}, {"again"});
  body.node("Add", {"a", "x"}, {"next"});
  const auto model = [&](const std::string& count, const std::string& condition) {
    ModelBuilder m;
    m.input("x", {2}).output("y");
    m.int64s("count", {}, {3});
    m.int64s("much", {}, {std::numeric_limits<int64_t>::max()});
    add_bools(m, "true", true);
    add_bools(m, "false", false);
    m.node("Loop", {count, condition, "x"}, {"y"}).named("n").body("body", body);
    return m;
  };
  EXPECT_EQ(run(model("much", "true"), {{{2}, {1, 2}}}), (Floats{6, 12}));
  EXPECT_EQ(run(model("", "true"), {{{2}, {1, 2}}}), (Floats{6, 12}));
  EXPECT_EQ(run(model("count", "true"), {{{2}, {1, 2}}}), (Floats{4, 8}));
  EXPECT_EQ(run(model("count", "false"), {{{2}, {1, 2}}}), (Floats{1, 2}));
  EXPECT_EQ(run(model("count", ""), {{{2}, {1, 2}}}), (Floats{4, 8}));
  expect_refused(model("much", ""), {"'n'", "ends it early"});
  expect_refused(model("count", "x"), {"'n'", "must be one element of type bool"});
}

TEST(Loop, InALoopSeesBothAroundIt) {
  ModelBuilder inner = body_of_loop();
  inner.graph().mutable_input(2)->set_name("b");
  inner.node("Identity", {"c"}, {"again"});
  inner.node("Add", {"b", "a"}, {"sum"});  // a: of the outer iteration
  inner.node("Add", {"sum", "x"}, {"next"});
  ModelBuilder outer = body_of_loop();
  outer.int64s("twice", {}, {2});
  outer.graph().mutable_output(1)->set_name("after");
  outer.node("Identity", {"c"}, {"again"});
  outer.node("Loop", {"twice", "c", "a"}, {"after"}).named("inner").body("body", inner);
  ModelBuilder model;
  model.input("x", {2}).output("y");
  model.int64s("count", {}, {2});
  add_bools(model, "true", true);
  model.node("Loop", {"count", "true", "x"}, {"y"}).named("outer").body("body", outer);
  // a → a + 2·(a + x) = 3a + 2x
  EXPECT_EQ(run(model, {{{2}, {1, 2}}}), (Floats{3 * 5 + 2, 3 * 10 + 4}));
}

TEST(Loop, SharesTheConstantsOfItsBody) {
  ModelBuilder body = body_of_loop();
  body.floats("weights", {2}, {2, 3});
  body.node("Identity", {"c"}, {"again"});
  body.node("Mul", {"a", "weights"}, {"next"});
  ModelBuilder model;
  model.input("x", {2}).output("y");
  model.int64s("count", {}, {3});
  add_bools(model, "true", true);
  model.node("Loop", {"count", "true", "x"}, {"y"}).body("body", body);
  EXPECT_EQ(run(model, {{{2}, {1, 2}}}), (Floats{8, 54}));
  const Graph graph = import(model.bytes());
  EXPECT_EQ(std::ranges::count(graph.values, ValueKind::constant, &Value::kind), 1);
}

TEST(Loop, GathersASequenceWithinTheBudget) {
  ModelBuilder body = body_of_loop();
  body.node("Identity", {"c"}, {"again"});
  body.node("SequenceInsert", {"a", "x"}, {"next"});
  ModelBuilder model;
  model.input("x", {1, 2}).output("y");
  model.int64s("count", {}, {30});
  add_bools(model, "true", true);
  model.node("SequenceEmpty", {}, {"empty"});
  model.node("Loop", {"count", "true", "empty"}, {"all"}).named("n").body("body", body);
  model.node("ConcatFromSequence", {"all"}, {"y"}).integer("axis", 0);
  EXPECT_EQ(output_shape(import(model.bytes())), (Extents{30, 2}));
  ImportOptions options;
  options.fold_budget_bytes = 1000;  // each iteration makes the sequence anew: 4 · 30 · 31 / 2 bytes
  const std::string error = import_error(model, options);
  EXPECT_NE(error.find("its sequences take more bytes"), std::string::npos) << error;
}

TEST(Loop, BodiesThatDoNotFitAreRefused) {
  ModelBuilder model = counted_loop(2);
  auto& body = *model.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
  body.add_input()->set_name("more");
  expect_refused(model, {"'the loop'", "carries 1 values, its body has 4 inputs and 3 outputs"});
  ModelBuilder growing = counted_loop(2);  // "seen" has one shape, then another
  auto& nodes = *growing.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node();
  nodes[3].set_op_type("Concat");
  nodes[3].set_input(1, "product");
  NodeBuilder{nodes[3]}.integer("axis", 0);
  expect_refused(growing, {"'the loop'", "iteration 1", "(Mul)"});
  ModelBuilder none = counted_loop(2);
  none.graph().mutable_node(0)->clear_attribute();
  expect_refused(none, {"'the loop'", "'body'"});
}

// sum, z = Scan(initial, x): sum ← sum + element, z: all sums.
ModelBuilder running_sum(int64_t opset, const std::vector<DimSpec>& initial, const std::vector<DimSpec>& x) {
  ModelBuilder body;
  body.input("sum", {2}).input("next", {2}).output("after").output("z");
  body.node("Add", {"sum", "next"}, {"after"});
  body.node("Identity", {"after"}, {"z"});
  ModelBuilder model(opset);
  model.input("initial", initial).input("x", x).output("y").output("z");
  std::vector<std::string> inputs{"initial", "x"};
  if (opset < 9) inputs.insert(inputs.begin(), "");
  model.node("Scan", inputs, {"y", "z"}).named("n").integer("num_scan_inputs", 1).body("body", body);
  return model;
}

TEST(Scan, GoesAlongAnAxisEitherWay) {
  const auto scan = [](const std::string& attribute, int64_t value, const std::vector<DimSpec>& x) {
    ModelBuilder model = running_sum(17, {2}, x);
    NodeBuilder node{*model.graph().mutable_node(0)};
    if (!attribute.empty()) node.ints(attribute, {value});
    return model;
  };
  const std::pair<Extents, Floats> zero{{2}, {0, 0}}, rows{{3, 2}, {1, 2, 3, 4, 5, 6}},
      columns{{2, 3}, {1, 3, 5, 2, 4, 6}};
  EXPECT_EQ(run(scan("", 0, {3, 2}), {zero, rows}), (Floats{9, 12}));
  EXPECT_EQ(run(scan("", 0, {3, 2}), {zero, rows}, 1), (Floats{1, 2, 4, 6, 9, 12}));
  EXPECT_EQ(run(scan("scan_input_axes", -1, {2, 3}), {zero, columns}, 1), (Floats{1, 2, 4, 6, 9, 12}));
  EXPECT_EQ(run(scan("scan_input_directions", 1, {3, 2}), {zero, rows}, 1), (Floats{5, 6, 8, 10, 9, 12}));
  EXPECT_EQ(run(scan("scan_output_directions", 1, {3, 2}), {zero, rows}, 1), (Floats{9, 12, 4, 6, 1, 2}));
  EXPECT_EQ(run(scan("scan_output_axes", -1, {3, 2}), {zero, rows}, 1), (Floats{1, 4, 9, 2, 6, 12}));
  expect_refused(scan("scan_input_axes", 2, {3, 2}), {"'n'", "axis 2"});
  expect_refused(scan("scan_output_axes", 2, {3, 2}), {"'n'", "axis 2"});
  expect_refused(scan("scan_input_directions", 2, {3, 2}), {"'n'", "0 or 1"});
}

TEST(Scan, OfOpset8HasABatch) {
  ModelBuilder model = running_sum(8, {2, 2}, {2, 3, 2});
  const std::vector<std::pair<Extents, Floats>> inputs{{{2, 2}, {0, 0, 10, 10}},
                                                       {{2, 3, 2}, {1, 2, 3, 4, 5, 6, 1, 1, 1, 1, 1, 1}}};
  EXPECT_EQ(run(model, inputs), (Floats{9, 12, 13, 13}));
  EXPECT_EQ(run(model, inputs, 1), (Floats{1, 2, 4, 6, 9, 12, 11, 11, 12, 12, 13, 13}));
  model.graph().mutable_node(0)->set_input(0, "lengths");
  model.int64s("lengths", {2}, {3, 3});
  EXPECT_EQ(run(model, inputs), (Floats{9, 12, 13, 13}));
  model.graph().mutable_initializer(0)->set_int64_data(1, 2);
  expect_refused(model, {"'n'", "a sequence of 2 of 3 steps"});
}

TEST(Scan, OfDifferentLengthsIsRefused) {
  ModelBuilder body;
  body.input("a", {}).input("b", {}).output("z");
  body.node("Add", {"a", "b"}, {"z"});
  ModelBuilder model;
  model.input("x", {3}).input("w", {4}).output("y");
  model.node("Scan", {"x", "w"}, {"y"}).named("n").integer("num_scan_inputs", 2).body("body", body);
  expect_refused(model, {"'n'", "3 and 4 steps"});
  NodeBuilder{*model.graph().mutable_node(0)}.node.mutable_attribute(0)->set_i(3);
  expect_refused(model, {"'n'", "3 of them scanned"});
}

}  // namespace
}  // namespace oc::test
