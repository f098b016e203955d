// Strings: tensors whose elements are places of texts while importing.
#include "tests/dsl/interpret.h"
#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

using ::onnx::TensorProto;
using Texts = std::vector<std::string>;

constexpr int kString = TensorProto::STRING;

TensorProto& strings(ModelBuilder& m, const std::string& name, const Extents& dims, const Texts& texts) {
  TensorProto& proto = *m.graph().add_initializer();
  proto.set_name(name);
  proto.set_data_type(kString);
  for (int64_t extent : dims) proto.add_dims(extent);
  for (const std::string& text : texts) proto.add_string_data(text);
  return proto;
}

// What the graph gives, rows with their zero bytes cut off.
Texts texts_of(const Tensor& rows) {
  const auto width = static_cast<size_t>(rows.shape.back());
  const std::string_view bytes(reinterpret_cast<const char*>(rows.bytes.data()), rows.bytes.size());
  Texts texts;
  for (size_t at = 0; at < bytes.size(); at += width) {
    const std::string_view row = bytes.substr(at, width);
    EXPECT_EQ(row.back(), '\0') << row;
    texts.emplace_back(row.substr(0, row.find('\0')));
  }
  return texts;
}

Texts run(const ModelBuilder& m, const std::vector<Tensor>& inputs = {}) {
  return texts_of(interpret(import(m.bytes()), test_ops(), inputs).at(0));
}

// The op with the texts as its inputs, [n] each.
ModelBuilder op(const std::string& name, const std::vector<Texts>& inputs, int64_t opset = 20) {
  ModelBuilder m(opset);
  std::vector<std::string> names;
  for (const Texts& texts : inputs) {
    names.push_back("s" + std::to_string(names.size()));
    strings(m, names.back(), {std::ssize(texts)}, texts);
  }
  m.output("y").node(name, names, {"y"}).named("the op");
  return m;
}

NodeBuilder last(ModelBuilder& m) {
  return {*m.graph().mutable_node(m.graph().node_size() - 1)};
}

TEST(Strings, ConstantsComeBackAsRows) {
  const ModelBuilder m = op("Identity", {{"a", "", "的中", "a"}});
  const Graph graph = import(m.bytes());
  EXPECT_EQ(output_shape(graph), (Extents{4, 7}));  // six bytes and a zero
  EXPECT_EQ(run(m), (Texts{"a", "", "的中", "a"}));
}

TEST(Strings, OpsThatMoveElementsTakeThem) {
  ModelBuilder m = op("Concat", {{"a", "b"}, {"c", "a"}});
  last(m).integer("axis", 0);
  EXPECT_EQ(run(m), (Texts{"a", "b", "c", "a"}));
  ModelBuilder padded = op("Pad", {{"a"}});
  padded.int64s("pads", {2}, {1, 2});
  padded.graph().mutable_node(0)->add_input("pads");
  EXPECT_EQ(run(padded), (Texts{"", "a", "", ""}));
}

TEST(Strings, MayDependOnTheDataWhenAllOfThemAreKnown) {
  ModelBuilder m;
  m.input("i", {3}, TensorProto::INT64).output("y");
  strings(m, "labels", {3}, {"cat", "dog", "a whale"});
  m.node("Gather", {"labels", "i"}, {"y"});
  EXPECT_EQ(run(m, {int64_tensor(std::vector<int64_t>{2, 0, -2}, {3})}), (Texts{"a whale", "cat", "dog"}));
  ModelBuilder chosen;
  chosen.input("c", {2}, TensorProto::BOOL).output("y");
  strings(chosen, "a", {1}, {"yes"});
  strings(chosen, "b", {1}, {"no"});
  chosen.node("Where", {"c", "a", "b"}, {"y"});
  Tensor condition = make_tensor(DType::boolean, {2});
  condition.bytes[1] = std::byte{1};
  EXPECT_EQ(run(chosen, {condition}), (Texts{"no", "yes"}));
  ModelBuilder joined;
  joined.input("i", {2}, TensorProto::INT64).output("y");
  strings(joined, "labels", {3}, {"cat", "dog", "a whale"});
  joined.node("Gather", {"labels", "i"}, {"t"});
  joined.node("StringConcat", {"t", "t"}, {"y"}).named("the op");
  expect_refused(joined, {"'the op'", "depend on the data", "--freeze i=…"});
}

TEST(Strings, InputsAreConstants) {
  ModelBuilder m;
  m.input("a", {"n"}, kString).input("b", {2}, kString).output("y");
  m.node("Concat", {"a", "b"}, {"y"}).integer("axis", 0);
  try {
    static_cast<void>(import(m.bytes()));
    FAIL();
  } catch (const ValuesNeeded& error) {
    EXPECT_EQ(error.inputs, (std::vector<std::string>{"a", "b"}));
    EXPECT_NE(std::string(error.what()).find("--freeze a=@file.npy --freeze b=@file.npy"), std::string::npos);
  }
  const auto rows = [](const Extents& shape, std::string_view bytes) {
    Tensor tensor = make_tensor(DType::u8, shape);
    EXPECT_EQ(tensor.bytes.size(), bytes.size());
    std::ranges::transform(bytes, tensor.bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    return tensor;
  };
  const Tensor b = rows({2, 2}, std::string_view("c\0de", 4));
  const auto with = [&](Tensor a) { return ImportOptions{.constants = {{"a", std::move(a)}, {"b", b}}}; };
  const Graph graph = import(m.bytes(), with(rows({1, 3}, "abc")));
  EXPECT_EQ(texts_of(interpret(graph, test_ops(), {}).at(0)), (Texts{"abc", "c", "de"}));
  EXPECT_EQ(output_shape(import(m.bytes(), with(rows({0, 0}, "")))), (Extents{2, 3}));
  const auto refused = [&](Tensor a, const std::string& why) {
    EXPECT_NE(import_error(m.bytes(), with(std::move(a))).find(why), std::string::npos) << why;
  };
  refused(rows({1, 3}, std::string_view("a\0b", 3)), "input 'a': the text 'a�b' holds a zero byte");
  refused(rows({1, 2}, "\xC3("), "input 'a': the text '�(' is not UTF-8");
  refused(rows({1, 1, 1}, "a"), "input 'a': the given shape has 2 dims");
  refused(rows({3}, "abc"), "input 'a': the given shape has 0 dims");
  refused(make_tensor(DType::i8, {1, 1}), "input 'a': the constant given is i8, the model takes strings");
}

TEST(Strings, AreNoNumbers) {
  const auto refused = [](const std::string& name, const auto& with) {
    ModelBuilder m = op(name, {{"a", "b"}});
    with(m, last(m));
    expect_refused(m, {"'the op'", "strings"});
  };
  const auto nothing = [](ModelBuilder&, NodeBuilder) {};
  refused("Neg", nothing);
  refused("Unique", nothing);
  refused("Cast", [](ModelBuilder&, NodeBuilder n) { n.integer("to", TensorProto::FLOAT); });
  refused("CastLike", [](ModelBuilder& m, NodeBuilder n) {
    m.floats("f", {1}, {1});
    n.node.add_input("f");
  });
  for (const char* name : {"QuantizeLinear", "DequantizeLinear"})
    refused(name, [](ModelBuilder& m, NodeBuilder n) {
      m.floats("f", {}, {1});
      n.node.add_input("f");
    });
  // As what only numbers can be.
  refused("QuantizeLinear", [](ModelBuilder& m, NodeBuilder n) {
    m.floats("f", {2}, {1, 1});
    n.node.clear_input();
    for (const char* input : {"f", "f", "s0"}) n.node.add_input(input);
  });
  refused("Range", [](ModelBuilder&, NodeBuilder n) {
    for (int i = 0; i < 2; ++i) n.node.add_input("s0");
  });
  refused("Pad", [](ModelBuilder& m, NodeBuilder n) {
    m.int64s("pads", {2}, {1, 0});
    strings(m, "filler", {}, {"x"});
    for (const char* input : {"pads", "filler"}) n.node.add_input(input);
  });
  ModelBuilder sequence = op("SequenceConstruct", {{"a"}});
  strings(sequence, "at", {}, {""});
  sequence.graph().mutable_node(0)->set_output(0, "t");
  sequence.node("SequenceAt", {"t", "at"}, {"y"}).named("at");
  expect_refused(sequence, {"'at'", "takes strings, must be numbers"});
}

TEST(Strings, AndNumbersDoNotMix) {
  for (const char* name : {"Equal", "Concat"}) {
    ModelBuilder m = op(name, {{"a", "b"}});
    TensorProto& places = m.int64s("numbers", {2}, {0, 1});
    places.set_data_type(TensorProto::UINT32);
    places.clear_int64_data();
    places.clear_raw_data();
    for (uint64_t i : {0, 1}) places.add_uint64_data(i);
    last(m).integer("axis", 0).node.add_input("numbers");
    expect_refused(m, {"'the op'", "of different types"});
  }
  ModelBuilder indices = op("Gather", {{"a", "b"}, {"a"}});
  expect_refused(indices, {"'the op'", "indices"});
}

TEST(Strings, InTheFileMustBeText) {
  const auto refused = [](const auto& change, const std::string& why) {
    ModelBuilder m = op("Identity", {{"a", "b"}});
    change(*m.graph().mutable_initializer(0));
    expect_refused(m, {"'s0'", why});
  };
  refused([](TensorProto& t) { t.add_string_data("c"); }, "needs 2 elements of string for its shape but holds 3");
  refused([](TensorProto& t) { t.set_dims(0, -1); }, "negative");
  refused([](TensorProto& t) { t.set_dims(0, int64_t{1} << 62); }, "but holds 2");
  refused([](TensorProto& t) { t.set_raw_data("ab"); }, "string_data");
  refused([](TensorProto& t) { t.set_data_location(TensorProto::EXTERNAL); }, "string_data");
  refused([](TensorProto& t) { t.set_string_data(0, "\xFF"); }, "is not UTF-8");
  refused([](TensorProto& t) { t.set_string_data(0, std::string("a\0b", 3)); }, "zero byte");
}

TEST(Strings, ThatGrowWithoutEndAreRefused) {
  ModelBuilder m = op("StringConcat", {{std::string(1000, 'x')}, {std::string(1000, 'x')}});
  m.graph().mutable_node(0)->set_output(0, "t0");
  for (int i = 0; i < 40; ++i) {
    const std::string from = "t" + std::to_string(i), to = i == 39 ? "y" : "t" + std::to_string(i + 1);
    m.node("StringConcat", {from, from}, {to}).named("n" + std::to_string(i));
  }
  const ImportOptions little{.fold_budget_bytes = 1 << 24};
  EXPECT_NE(import_error(m, little).find("left for folding"), std::string::npos);
  // A row as wide as the longest text for each of many.
  ModelBuilder wide;
  wide.output("y");
  strings(wide, "long", {1}, {std::string(1 << 12, 'x')});
  strings(wide, "short", {1}, {"x"});
  wide.int64s("shape", {1}, {1 << 12});
  wide.node("Expand", {"short", "shape"}, {"many"});
  wide.node("Concat", {"long", "many"}, {"y"}).integer("axis", 0);
  const std::string error = import_error(wide, little);
  EXPECT_NE(error.find("output 'y'"), std::string::npos) << error;
  EXPECT_NE(error.find("left for folding"), std::string::npos) << error;
}

TEST(Strings, OfDamagedFilesAreTakenOrRefused) {
  ModelBuilder m = op("StringConcat", {{"ab", "的"}, {"c", "d"}});
  last(m).node.set_output(0, "t");
  m.node("StringSplit", {"t"}, {"u", "n"}).text("delimiter", "b").integer("maxsplit", 2);
  m.node("Gather", {"u", "n"}, {"v"});
  m.node("Identity", {"v"}, {"y"});
  const std::string bytes = m.bytes();
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const int flip : {0x01, 0x08, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      static_cast<void>(import_error(damaged));  // any other exception fails the test
    }
}

TEST(Strings, SplitAsOftenAsAsked) {
  const auto split = [](const std::string& text, const std::string& delimiter, int64_t most) {
    ModelBuilder m = op("StringSplit", {{text}});
    if (!delimiter.empty()) last(m).text("delimiter", delimiter);
    last(m).integer("maxsplit", most);  // below 0: no limit
    return run(m);
  };
  EXPECT_EQ(split("a--b-", "-", -1), (Texts{"a", "", "b", ""}));
  EXPECT_EQ(split("a--b-", "-", 1), (Texts{"a", "-b-"}));
  EXPECT_EQ(split("aabab", "ab", 0), (Texts{"aabab"}));
  EXPECT_EQ(split("", "-", -1), (Texts{""}));
  EXPECT_EQ(split(" a  b  c ", "", 1), (Texts{"a", "b  c"}));
  EXPECT_EQ(split(" a  b ", "", 0), (Texts{"a  b"}));
  EXPECT_EQ(split("的\u00a0a\u3000\t b\u200b", "", -1), (Texts{"的", "a", "b\u200b"}));
  EXPECT_EQ(split(" \n", "", -1), Texts{});
  EXPECT_EQ(split("的a的", "的", -1), (Texts{"", "a", ""}));
  ModelBuilder bad = op("StringSplit", {{"的"}});
  last(bad).text("delimiter", "\x9A");
  expect_refused(bad, {"'the op'", "is not UTF-8"});
}

TEST(Strings, ChangeCaseAsUnicodeDoesOneToOne) {
  const auto changed = [](const std::string& action, const std::string& locale) {
    ModelBuilder m = op("StringNormalizer", {{"Straße ÄÿΣ", "ǅ"}}, 10);
    last(m).text("case_change_action", action).text("locale", locale);
    return m;
  };
  EXPECT_EQ(run(changed("UPPER", "en_US")), (Texts{"STRAßE ÄŸΣ", "Ǆ"}));
  EXPECT_EQ(run(changed("LOWER", "")), (Texts{"straße äÿσ", "ǆ"}));
  EXPECT_EQ(run(changed("UPPER", "C")), (Texts{"STRAßE ÄÿΣ", "ǅ"}));
  EXPECT_EQ(run(changed("NONE", "tr_TR")), (Texts{"Straße ÄÿΣ", "ǅ"}));
  expect_refused(changed("LOWER", "tr_TR"), {"'the op'", "locale 'tr_TR'", "en_US"});
  expect_refused(changed("Upper", ""), {"'the op'", "case_change_action 'Upper'"});
}

}  // namespace
}  // namespace oc::test
