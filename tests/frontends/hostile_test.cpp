// Models that are broken or made to harm: each is a UserError that names the file and, where there is one, the node.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/frontends/refused.h"

namespace oc::test {
namespace {

namespace fs = std::filesystem;
using ::onnx::TensorProto;

// ---- external data

class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/oc_hostile_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    outside = name;
    folder = outside / "model";
    fs::create_directories(folder);
    for (const fs::path& file : {outside / "secret.bin", folder / "weights.bin"})
      std::ofstream(file, std::ios::binary) << std::string(32, '\0');
  }
  void TearDown() override { fs::remove_all(outside); }

  // relu(x + w), w of `elements` floats in the file `location`.
  [[nodiscard]] static ModelBuilder model(const std::string& location, const std::string& offset = "",
                                          const std::string& length = "", int64_t elements = 8) {
    ModelBuilder m;
    m.input("x", {1}).output("y");
    TensorProto& w = m.floats("w", {elements}, {});
    w.set_data_location(TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      if (value.empty()) return;
      auto& entry = *w.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    m.node("Add", {"x", "w"}, {"y"});
    return m;
  }
  void refused(const ModelBuilder& m, const std::string& why) const {
    expect_refused(m.bytes(), {"initializer 'w'", why}, folder);
  }

  fs::path outside, folder;
};

TEST_F(ExternalData, IsReadFromTheModelsFolder) {
  EXPECT_EQ(import_error(model("weights.bin", "0", "32").bytes(), {}, folder), "");
  EXPECT_EQ(import_error(model("./weights.bin").bytes(), {}, folder), "");
}

TEST_F(ExternalData, DoesNotLeaveTheModelsFolder) {
  refused(model("../secret.bin"), "'..'");
  refused(model("sub/../../secret.bin"), "'..'");
  refused(model((outside / "secret.bin").string()), "relative");
  refused(model("..\\secret.bin"), "relative");
  refused(model(std::string("weights.bin\0.txt", 16)), "NUL");
  refused(model(""), "without a location");
  refused(model("."), "no file name");
  refused(model(std::string(5000, 'a')), "no file name");
  fs::create_symlink(outside / "secret.bin", folder / "link.bin");
  refused(model("link.bin"), "symbolic link");
  fs::create_directory_symlink(outside, folder / "up");
  refused(model("up/secret.bin"), "symbolic link");
  fs::create_hard_link(outside / "secret.bin", folder / "hard.bin");
  refused(model("hard.bin"), "hard links");
}

TEST_F(ExternalData, IsAsLongAsTheTensor) {
  refused(model("weights.bin", "4"), "at offset 4");
  refused(model("weights.bin", "0", "", 9), "36 bytes");
  refused(model("weights.bin", "9223372036854775807"), "at offset 9223372036854775807");
  refused(model("weights.bin", "9223372036854775800", "32"), "at offset");
  refused(model("weights.bin", "18446744073709551612"), "is not a number");
  refused(model("weights.bin", "-4"), "is not a number");
  refused(model("weights.bin", "0x10"), "is not a number");
  refused(model("weights.bin", "0", "31"), "31");
  refused(model("weights.bin", "", "", int64_t{1} << 61), "elements");
  refused(model("none.bin"), "cannot be opened");
  fs::create_directory(folder / "dir");
  refused(model("dir"), "regular file");
}

TEST(External, NeedsAFolder) {
  ModelBuilder m;
  m.input("x", {1}).output("y");
  TensorProto& w = m.floats("w", {1}, {});
  w.set_data_location(TensorProto::EXTERNAL);
  auto& entry = *w.add_external_data();
  entry.set_key("location");
  entry.set_value("weights.bin");
  m.node("Add", {"x", "w"}, {"y"});
  expect_refused(m, {"'w'", "without a folder"});
}

// ---- wiring

TEST(Wiring, CyclesAreFound) {
  ModelBuilder two;
  two.input("x", {2}).output("b");
  two.node("Add", {"x", "b"}, {"a"}).named("first");
  two.node("Relu", {"a"}, {"b"}).named("second");
  expect_refused(two, {"'first'", "cycle"});
  ModelBuilder self;
  self.input("x", {2}).output("y");
  self.node("Add", {"x", "y"}, {"y"}).named("self");
  expect_refused(self, {"'self'", "cycle"});
}

TEST(Wiring, NamesAreDefinedOnce) {
  ModelBuilder twice;
  twice.input("x", {2}).output("y");
  twice.node("Relu", {"x"}, {"y"}).named("one");
  twice.node("Exp", {"x"}, {"y"}).named("two");
  expect_refused(twice, {"'y'", "twice", "'one'", "'two'"});
  ModelBuilder input;
  input.input("x", {2}).output("x");
  input.node("Relu", {"x"}, {"x"}).named("n");
  expect_refused(input, {"'x'", "twice", "'n'"});
  ModelBuilder weights;
  weights.input("x", {2}).output("y");
  weights.floats("w", {1}, {1});
  weights.floats("w", {1}, {2});
  weights.node("Add", {"x", "w"}, {"y"});
  expect_refused(weights, {"'w'", "twice"});
  ModelBuilder inputs;
  inputs.input("x", {2}).input("x", {2}).output("y");
  inputs.node("Relu", {"x"}, {"y"});
  expect_refused(inputs, {"'x'", "twice"});
}

TEST(Wiring, MissingNamesAreTold) {
  ModelBuilder missing;
  missing.input("x", {2}).output("y");
  missing.node("Add", {"x", "nothing"}, {"y"}).named("n");
  expect_refused(missing, {"'n'", "'nothing'"});
  ModelBuilder output;
  output.input("x", {2}).output("nowhere");
  output.node("Relu", {"x"}, {"y"});
  expect_refused(output, {"'nowhere'"});
  ModelBuilder none;
  none.input("x", {2});
  none.node("Relu", {"x"}, {"y"});
  expect_refused(none, {"no outputs"});
  ModelBuilder operand;
  operand.input("x", {2}).output("y");
  operand.node("Add", {"x"}, {"y"}).named("n");
  expect_refused(operand, {"'n'"});
  ModelBuilder absent;
  absent.input("x", {2}).output("y");
  absent.node("Add", {"x", ""}, {"y"}).named("n");
  expect_refused(absent, {"'n'"});
}

TEST(Wiring, NamesMayHoldAnything) {
  const std::string name("a\0b\n\x1b[31m\xff'", 11);
  ModelBuilder good;
  good.input(name, {2}).output("y");
  good.node("Relu", {name}, {"y"}).named(name);
  EXPECT_EQ(import_error(good), "");
  ModelBuilder bad;
  bad.input("x", {2}).output("y");
  bad.node("Add", {"x", name}, {"y"}).named(name);
  const std::string error = import_error(bad);
  EXPECT_NE(error, "");
  for (const char c : error) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << error;
  ModelBuilder nul;  // two names that are one to C
  nul.input("x", {2}).output("y");
  nul.node("Relu", {"x"}, {std::string("t\0a", 3)});
  nul.node("Add", {std::string("t\0a", 3), std::string("t\0b", 3)}, {"y"}).named("n");
  expect_refused(nul, {"'n'"});
}

TEST(Wiring, LongChainsDoNotOverflowTheStack) {
  ModelBuilder chain;
  chain.input("x", {2}).output("v10000");
  std::string last = "x";
  for (int i = 1; i <= 10000; ++i) {
    const std::string next = "v" + std::to_string(i);
    chain.node("Relu", {last}, {next});
    last = next;
  }
  EXPECT_EQ(import_error(chain), "");
}

TEST(Wiring, DeepNestingIsRefused) {
  // If → then_branch → If → …: messages in messages. Written from the inside out, as protobuf itself refuses to build
  // it.
  std::string graph;
  const auto field = [](int number, const std::string& body) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    for (size_t n = body.size();; n >>= 7) {
      out.push_back(static_cast<char>((n & 127) | (n > 127 ? 128 : 0)));
      if (n <= 127) break;
    }
    return out + body;
  };
  for (int depth = 0; depth < 10000; ++depth) {
    const std::string attribute = field(1, "then_branch") + field(6, graph);  // AttributeProto: name, g
    const std::string node = field(4, "If") + field(5, attribute);            // NodeProto: op_type, attribute
    graph = field(1, node);                                                   // GraphProto: node
  }
  expect_refused(field(7, graph), {"nested"});
}

// ---- the file

ModelBuilder small_model() {
  ModelBuilder m = image_model();
  m.floats("w", {2, 4, 3, 3}, std::vector<float>(72, 1));
  m.node("Conv", {"x", "w"}, {"c"}).ints("pads", {1, 1, 1, 1}).named("conv");
  m.node("Relu", {"c"}, {"y"}).named("relu");
  return m;
}

TEST(File, VersionsBeyondTheKnownAreRefused) {
  for (const int64_t ir : {int64_t{0}, int64_t{2}, int64_t{99}, int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    ModelBuilder m = small_model();
    m.model.set_ir_version(ir);
    expect_refused(m, {"IR version", std::to_string(ir)});
  }
  for (const int64_t opset : {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    ModelBuilder m = small_model();
    m.model.mutable_opset_import(0)->set_version(opset);
    expect_refused(m, {"opset", std::to_string(opset)});
  }
  ModelBuilder unchanged(1);
  unchanged.input("x", {2}, TensorProto::BOOL).output("y");
  unchanged.node("Not", {"x"}, {"y"});
  EXPECT_EQ(import_error(unchanged), "");
  ModelBuilder none = small_model();
  none.model.clear_opset_import();
  expect_refused(none, {"opset"});
  ModelBuilder twice = small_model();
  twice.model.add_opset_import()->set_version(13);
  expect_refused(twice, {"twice"});
  ModelBuilder domain = small_model();
  domain.node("Relu", {"x"}, {"z"}).domain("evil");
  domain.output("z");
  expect_refused(domain, {"evil.Relu"});
}

TEST(File, UnknownOpsAreAllListed) {
  ModelBuilder m;
  m.input("x", {2}).input("c", {}, TensorProto::BOOL).output("y");
  m.node("Baz", {"x"}, {"b"});
  auto conditional = m.node("If", {"c"}, {"y"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    ModelBuilder body;
    body.output("r");
    body.node(branch == std::string("then_branch") ? "Foo" : "Bar", {"b"}, {"t"});
    body.node("Baz", {"t"}, {"r"});
    conditional.body(branch, body);
  }
  expect_refused(m, {"Foo ×1", "Bar ×1", "Baz ×3"});
  m.graph().mutable_node(0)->set_op_type("Relu");  // known: the first branch is come to
  expect_refused(m, {"Foo ×1", "Bar ×1", "Baz ×2"});
  ModelBuilder many;
  many.input("x", {2}).output("y");
  std::vector<std::string> parts_of_many;
  for (int i = 0; i < 150; ++i) {
    many.node("Odd" + std::to_string(i), {i == 0 ? "x" : "v" + std::to_string(i)},
              {i == 149 ? "y" : "v" + std::to_string(i + 1)});
    parts_of_many.push_back("Odd" + std::to_string(i) + " ×1");
  }
  expect_refused(many, parts_of_many);
}

TEST(File, RanksHaveALimit) {
  const auto model = [](size_t rank) {
    ModelBuilder m;
    m.input("x", {2}).output("y");
    Extents extents(rank, 1);
    extents[0] = 2;
    m.node("Relu", {"x"}, {"r"});
    m.int64s("to", {static_cast<int64_t>(rank)}, extents);
    m.node("Reshape", {"r", "to"}, {"t"}).named("n");
    m.node("Neg", {"t"}, {"y"});
    return m;
  };
  EXPECT_EQ(import_error(model(32)), "");
  expect_refused(model(33), {"'n'", "33 dims"});
  ModelBuilder input;
  input.input("x", std::vector<DimSpec>(40, 1)).output("y");
  input.node("Relu", {"x"}, {"y"});
  expect_refused(input, {"'x'", "40 dims"});
}

TEST(File, TruncatedAnywhereIsRefused) {
  const std::string bytes = small_model().bytes();
  ASSERT_EQ(import_error(bytes), "");
  for (size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    expect_refused(bytes.substr(0, size), {});
  }
}

// Whatever a flipped byte makes of the model, it is imported or refused.
TEST(File, DamagedAnywhereIsRefusedOrRead) {
  const std::string bytes = small_model().bytes();
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 8}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      const std::string error = import_error(damaged);  // any other exception fails the test
      EXPECT_TRUE(error.empty() || error.rfind("model", 0) == 0) << error;
    }
  }
}

TEST(File, TensorsHoldWhatTheirShapesSay) {
  const auto weight = [](const auto& change) {
    ModelBuilder m;
    m.input("x", {2}).output("y");
    change(m.floats("w", {2}, {1, 2}));
    m.node("Add", {"x", "w"}, {"y"}).named("n");
    return m;
  };
  expect_refused(weight([](TensorProto& w) { w.set_dims(0, 3); }), {"'w'"});
  expect_refused(weight([](TensorProto& w) { w.set_dims(0, -2); }), {"'w'", "negative"});
  expect_refused(weight([](TensorProto& w) { w.set_dims(0, int64_t{1} << 62); }), {"'w'"});
  expect_refused(weight([](TensorProto& w) {
                   for (int i = 0; i < 3; ++i) w.add_dims(int64_t{1} << 31);
                 }),
                 {"'w'"});
  expect_refused(weight([](TensorProto& w) { w.set_data_type(TensorProto::STRING); }), {"'w'", "string"});
  expect_refused(weight([](TensorProto& w) { w.set_data_type(12345); }), {"'w'", "12345"});
  expect_refused(weight([](TensorProto& w) { w.set_raw_data("abc"); }), {"'w'"});
}

}  // namespace
}  // namespace oc::test
