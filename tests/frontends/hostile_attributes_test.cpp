// Attributes that are broken or made to harm: each is a UserError that names the file and the node.
#include <limits>

#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

using ::onnx::TensorProto;

TEST(Attributes, OfTheWrongTypeOrLength) {
  const auto conv = [](const auto& with) {
    ModelBuilder m = image_model();
    m.floats("w", {2, 4, 3, 3}, std::vector<float>(72, 1));
    auto node = m.node("Conv", {"x", "w"}, {"y"}).named("the conv");
    with(node);
    return m;
  };
  using Node = NodeBuilder;
  expect_refused(conv([](Node& n) { n.ints("dilations", {1}); }), {"'the conv'", "dilations"});
  expect_refused(conv([](Node& n) { n.ints("dilations", {0, 1}); }), {"'the conv'", "dilations"});
  expect_refused(conv([](Node& n) { n.ints("strides", {0, 1}); }), {"'the conv'", "strides"});
  expect_refused(conv([](Node& n) { n.ints("strides", {-1, 1}); }), {"'the conv'", "strides"});
  expect_refused(conv([](Node& n) { n.ints("strides", {std::numeric_limits<int64_t>::max(), 1}); }),
                 {"'the conv'", "strides"});
  expect_refused(conv([](Node& n) { n.ints("pads", {1, 1}); }), {"'the conv'", "pads"});
  expect_refused(conv([](Node& n) { n.ints("pads", {std::numeric_limits<int64_t>::max(), 0, 1, 0}); }),
                 {"'the conv'", "pads"});
  expect_refused(conv([](Node& n) { n.ints("kernel_shape", {3}); }), {"'the conv'"});
  expect_refused(conv([](Node& n) { n.integer("strides", 1); }), {"'the conv'", "strides"});
  expect_refused(conv([](Node& n) { n.text("group", "2"); }), {"'the conv'", "group"});
  expect_refused(conv([](Node& n) { n.integer("group", 0); }), {"'the conv'", "group"});
  expect_refused(conv([](Node& n) { n.integer("group", 3); }), {"'the conv'", "group"});
  expect_refused(conv([](Node& n) { n.text("auto_pad", "LEFT"); }), {"'the conv'", "auto_pad"});
}

TEST(Attributes, OfPoolsSplitsAndShapes) {
  ModelBuilder pool = image_model();
  pool.node("MaxPool", {"x"}, {"y"}).ints("kernel_shape", {0, 2}).named("n");
  expect_refused(pool, {"'n'"});
  ModelBuilder large = image_model();
  large.node("MaxPool", {"x"}, {"y"}).ints("kernel_shape", {9, 9}).named("n");
  expect_refused(large, {"'n'"});
  ModelBuilder split = image_model();
  split.int64s("sizes", {2}, {1, 2});
  split.node("Split", {"x", "sizes"}, {"y", "z"}).integer("axis", 1).named("n");
  expect_refused(split, {"'n'"});
  ModelBuilder negative = image_model();
  negative.int64s("sizes", {2}, {-1, 5});
  negative.node("Split", {"x", "sizes"}, {"y", "z"}).integer("axis", 1).named("n");
  expect_refused(negative, {"'n'"});
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{3, -1},
                                            {-1, -1},
                                            {5, 5},
                                            {-2, 4},
                                            {1, 1, 1, 1, 1, 0},
                                            {int64_t{1} << 62, 4},
                                            {int64_t{1} << 32, int64_t{1} << 32, 256}}) {
    ModelBuilder m = image_model();
    m.int64s("shape", {static_cast<int64_t>(shape.size())}, shape);
    m.node("Reshape", {"x", "shape"}, {"y"}).named("n");
    expect_refused(m, {"'n'"});
  }
  for (const int64_t axis : {int64_t{4}, int64_t{-5}, std::numeric_limits<int64_t>::min()}) {
    ModelBuilder m = image_model();
    m.node("Softmax", {"x"}, {"y"}).integer("axis", axis).named("n");
    expect_refused(m, {"'n'", "axis"});
  }
  ModelBuilder perm = image_model();
  perm.node("Transpose", {"x"}, {"y"}).ints("perm", {0, 1, 1, 9}).named("n");
  expect_refused(perm, {"'n'"});
  ModelBuilder gather;
  gather.input("x", {"n", 3}).input("i", {2}, TensorProto::INT64).output("y");
  ImportOptions options;
  options.shapes["x"] = {0, 3};
  gather.node("Gather", {"x", "i"}, {"y"}).named("n");
  EXPECT_NE(import_error(gather, options).find("'n'"), std::string::npos) << import_error(gather, options);
  ModelBuilder dtype = image_model();
  dtype.input("k", {1, 4, 8, 8}, TensorProto::INT64);
  dtype.node("Add", {"x", "k"}, {"y"}).named("n");
  expect_refused(dtype, {"'n'", "i64"});
}

TEST(Attributes, PaddingIsLessThanTheWindow) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    const auto pool = [&](const std::vector<int64_t>& pads, int64_t dilation) {
      ModelBuilder m = image_model(19);
      m.node(op, {"x"}, {"y"})
          .ints("kernel_shape", {2, 2})
          .ints("pads", pads)
          .ints("dilations", {dilation, 1})
          .named("n");
      return m;
    };
    expect_refused(pool({2, 0, 0, 0}, 1), {"'n'", "'pads' holds 2"});
    expect_refused(pool({0, 0, 0, 5}, 1), {"'n'", "'pads' holds 5"});
    EXPECT_EQ(import_error(pool({1, 1, 1, 1}, 1)), "");
    EXPECT_EQ(import_error(pool({2, 1, 2, 1}, 2)), "");
  }
}

TEST(Attributes, OutputPaddingIsLessThanStrideOrDilation) {
  const auto transposed = [](const std::vector<int64_t>& padding, int64_t stride, int64_t dilation) {
    ModelBuilder m = image_model();
    m.floats("w", {4, 1, 3, 3}, std::vector<float>(36, 1));
    m.node("ConvTranspose", {"x", "w"}, {"y"})
        .ints("output_padding", padding)
        .ints("strides", {stride, stride})
        .ints("dilations", {dilation, dilation})
        .named("n");
    return m;
  };
  expect_refused(transposed({9, 9}, 1, 1), {"'n'", "'output_padding' holds 9"});
  expect_refused(transposed({0, 1}, 1, 1), {"'n'", "'output_padding' holds 1"});
  expect_refused(transposed({-1, 0}, 1, 1), {"'n'", "'output_padding'"});
  EXPECT_EQ(import_error(transposed({1, 1}, 2, 1)), "");
  EXPECT_EQ(import_error(transposed({1, 1}, 1, 2)), "");
}

TEST(Attributes, OfOldOpsets) {
  const auto old = [](const char* op, int type, const std::vector<std::string>& inputs) {
    ModelBuilder m(6);
    m.input("x", {1, 4, 8, 8}, type).input("c", {4}, type).output("y");
    m.node(op, inputs, {"y"}).named("n");
    return m;
  };
  const auto attribute = [](ModelBuilder m, const char* name, int64_t value) {
    NodeBuilder{*m.graph().mutable_node(0)}.integer(name, value);
    return m;
  };
  for (const auto& [op, type] : {std::pair{"Pow", TensorProto::FLOAT}, {"Xor", TensorProto::BOOL}}) {
    const ModelBuilder channels = attribute(old(op, type, {"x", "c"}), "broadcast", 1);
    EXPECT_EQ(import_error(attribute(channels, "axis", 1)), "");
    expect_refused(attribute(channels, "axis", 4), {"'n'", "axis 4"});
  }
  for (const ModelBuilder& model : {old("Dropout", TensorProto::FLOAT, {"x"}),
                                    old("BatchNormalization", TensorProto::FLOAT, {"x", "c", "c", "c", "c"})}) {
    expect_refused(model, {"'n'", "is_test is 0"});
    EXPECT_EQ(import_error(attribute(model, "is_test", 1)), "");
  }
}

TEST(Attributes, NumbersThatAreNoIntegersAreNotCutToThem) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const char* op : {"CumSum", "TopK"}) {
    ModelBuilder m = image_model();
    m.floats("i", {1}, {kInfinity});
    m.node(op, {"x", "i"}, {"y"}).named("n");
    expect_refused(m, {"'n'", "is f32, must be an integer"});
  }
  ModelBuilder window;
  window.output("y").floats("size", {}, {kInfinity});
  window.node("HannWindow", {"size"}, {"y"}).named("n");
  expect_refused(window, {"'n'", "its size (input 0) is f32"});
  ModelBuilder hot;
  hot.input("i", {3}, TensorProto::INT64).output("y").floats("depth", {}, {kInfinity});
  hot.floats("values", {2}, {0, 1});
  hot.node("OneHot", {"i", "depth", "values"}, {"y"}).named("n");
  expect_refused(hot, {"'n'", "its depth is inf"});
}

TEST(Attributes, OfResizesAreBoundedBeforeTheyAreComputedWith) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto resize = [](const std::vector<float>& roi, int64_t size) {
    ModelBuilder m = image_model(19);
    m.floats("roi", {8}, roi);
    m.int64s("sizes", {4}, {1, 4, 8, size});
    m.node("Resize", {"x", "roi", "", "sizes"}, {"y"})
        .text("mode", "cubic")
        .text("coordinate_transformation_mode", "tf_crop_and_resize")
        .named("n");
    return m;
  };
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 1e30F})
    expect_refused(resize({0, 0, 0, bad, 1, 1, 1, 1}, 9), {"'n'", "a roi of"});
  const std::vector<float> whole{0, 0, 0, 0, 1, 1, 1, 1};
  EXPECT_EQ(import_error(resize(whole, 100)), "");
  expect_refused(resize(whole, std::numeric_limits<int64_t>::max()), {"'n'", "output extent"});
  ImportOptions options;
  options.fold_budget_bytes = 1000;  // the indices and weights of 4 taps take 6400
  const std::string error = import_error(resize(whole, 100), options);
  EXPECT_NE(error.find("left for folding"), std::string::npos) << error;
}

TEST(Attributes, ElementTypesAreNotCutToTheirLowBits) {
  constexpr int64_t kFloatAndMore = (int64_t{1} << 32) + TensorProto::FLOAT;
  for (const auto& [op, attr] : {std::pair("Cast", "to"), std::pair("EyeLike", "dtype"), std::pair("BitCast", "to")}) {
    ModelBuilder m(26);
    m.input("x", {4, 4}).output("y");
    m.node(op, {"x"}, {"y"}).integer(attr, kFloatAndMore).named("n");
    expect_refused(m, {"'n'", "4294967297"});
  }
}

// The elements of Range(start, limit, delta), an output of the model.
std::vector<int64_t> range_of(int64_t start, int64_t limit, int64_t delta) {
  ModelBuilder m;
  m.output("y");
  m.int64s("a", {}, {start});
  m.int64s("b", {}, {limit});
  m.int64s("c", {}, {delta});
  m.node("Range", {"a", "b", "c"}, {"y"}).named("n");
  const Graph graph = import(m.bytes());
  const auto elements = graph[graph.nodes.at(0).inputs.at(0)].data->as<int64_t>();
  return {elements.begin(), elements.end()};
}

TEST(Attributes, RangesOfIntegersAreExact) {
  using List = std::vector<int64_t>;
  constexpr int64_t kBig = int64_t{1} << 53, kMax = std::numeric_limits<int64_t>::max(),
                    kMin = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(range_of(kBig + 1, kBig + 4, 1), (List{kBig + 1, kBig + 2, kBig + 3}));
  EXPECT_EQ(range_of(kMax - 2, kMax, 1), (List{kMax - 2, kMax - 1}));
  EXPECT_EQ(range_of(kMin + 2, kMin, -1), (List{kMin + 2, kMin + 1}));
  EXPECT_EQ(range_of(kMin, kMax, int64_t{1} << 62), (List{kMin, kMin / 2, 0, -(kMin / 2)}));
  EXPECT_EQ(range_of(kMax, kMin, kMin), (List{kMax, -1}));
  EXPECT_EQ(range_of(0, 7, 3), (List{0, 3, 6}));
  EXPECT_EQ(range_of(0, 6, 3), (List{0, 3}));
  EXPECT_EQ(range_of(1, -2, -2), (List{1, -1}));
  for (const int64_t delta : {0, 1}) {
    ModelBuilder m;
    m.output("y");
    m.int64s("a", {}, {kMin});
    m.int64s("b", {}, {kMax});
    m.int64s("c", {}, {delta});
    m.node("Range", {"a", "b", "c"}, {"y"}).named("n");
    expect_refused(m, {"'n'", "no length"});
  }
}

// The integers that Unique gives for [[3, 1], [2, 1], [3, 1]]: all four outputs.
std::vector<std::vector<int64_t>> unique_of(const std::vector<std::pair<std::string, int64_t>>& attributes) {
  ModelBuilder m;
  m.int64s("x", {3, 2}, {3, 1, 2, 1, 3, 1});
  for (const char* name : {"y", "first", "whose", "often"}) m.output(name);
  NodeBuilder node = m.node("Unique", {"x"}, {"y", "first", "whose", "often"});
  for (const auto& [name, value] : attributes) node.integer(name, value);
  const Graph graph = import(m.bytes());
  std::vector<std::vector<int64_t>> results;
  for (ValueId output : graph.outputs) {
    const auto elements = graph[graph[graph[output].producer].inputs.at(0)].data->as<int64_t>();
    results.emplace_back(elements.begin(), elements.end());
  }
  return results;
}

TEST(Attributes, UniqueOfElementsRowsAndColumns) {
  using Lists = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(unique_of({}), (Lists{{1, 2, 3}, {1, 2, 0}, {2, 0, 1, 0, 2, 0}, {3, 1, 2}}));
  EXPECT_EQ(unique_of({{"sorted", 0}}), (Lists{{3, 1, 2}, {0, 1, 2}, {0, 1, 2, 1, 0, 1}, {2, 3, 1}}));
  EXPECT_EQ(unique_of({{"axis", 0}}), (Lists{{2, 1, 3, 1}, {1, 0}, {1, 0, 1}, {1, 2}}));
  EXPECT_EQ(unique_of({{"axis", -1}}), (Lists{{1, 3, 1, 2, 1, 3}, {1, 0}, {1, 0}, {1, 1}}));
  ModelBuilder data;
  data.input("x", {3}).output("y");
  data.node("Unique", {"x"}, {"y"}).named("n");
  expect_refused(data, {"'n'", "elements ('x') depend on the data"});
  ModelBuilder nan;
  nan.floats("x", {2}, {1, std::numeric_limits<float>::quiet_NaN()});
  nan.output("y");
  nan.node("Unique", {"x"}, {"y"}).named("n");
  expect_refused(nan, {"'n'", "NaN"});
}

TEST(Attributes, MayNotAskForEndlessMemory) {
  ModelBuilder m;
  m.output("y");
  m.int64s("shape", {2}, {int64_t{1} << 30, int64_t{1} << 30});
  m.node("ConstantOfShape", {"shape"}, {"y"}).named("n");
  expect_refused(m, {"'n'"});
  ModelBuilder range;
  range.output("y");
  range.int64s("a", {}, {0});
  range.int64s("b", {}, {std::numeric_limits<int64_t>::max()});
  range.int64s("c", {}, {1});
  range.node("Range", {"a", "b", "c"}, {"y"}).named("n");
  expect_refused(range, {"'n'"});
  ModelBuilder tile = image_model();
  tile.int64s("r", {4}, {1 << 20, 1 << 20, 1 << 20, 1 << 20});
  tile.node("Tile", {"x", "r"}, {"y"}).named("n");
  expect_refused(tile, {"'n'"});
  ModelBuilder pad = image_model();
  pad.int64s("p", {8}, {0, 0, 0, 0, 0, 0, 0, int64_t{1} << 62});
  pad.node("Pad", {"x", "p"}, {"y"}).named("n");
  expect_refused(pad, {"'n'"});
}

}  // namespace
}  // namespace oc::test
