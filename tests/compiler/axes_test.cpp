// Ranges of shapes, and the library that serves them.
#include "compiler/axes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "compiler/compile.h"
#include "opencompiler/dsl.h"
#include "opencompiler/runtime.hpp"
#include "tests/frontends/model_builder.h"

namespace oc::test {
namespace {

using testing::HasSubstr;
using Texts = std::map<std::string, std::string>;
using Shapes = std::map<std::string, Extents>;

struct Ranges : testing::Test {
  TempDir folder;
  std::filesystem::path model = folder.path() / "m.onnx";

  // c = a + b, which has a's names for its dims; d has none.
  void SetUp() override {
    ModelBuilder builder;
    builder.input("a", {"n", "m"}).input("b", {"n", "m"}).input("d", {-1, 2});
    builder.node("Add", {"a", "b"}, {"c"});
    builder.node("Relu", {"d"}, {"e"});
    builder.output("c").output("e");
    write_file_atomic(model, builder.bytes());
  }
  [[nodiscard]] ShapeRanges ranges(const Texts& texts) const { return {texts, model}; }
  [[nodiscard]] std::string refusal(const Texts& texts) const {
    try {
      static_cast<void>(ranges(texts));
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(Ranges, AreCountedWithTheLastAxisFastest) {
  const ShapeRanges r = ranges({{"a", "[1..2]x[16..50:16]"}});
  ASSERT_EQ(r.axes().size(), 2U);
  EXPECT_EQ(r.axes()[1].high, 48);  // what the steps reach
  EXPECT_EQ(r.count(), 6);
  EXPECT_EQ(r.shapes(0), (Shapes{{"a", {1, 16}}, {"b", {1, 16}}}));
  EXPECT_EQ(r.shapes(4), (Shapes{{"a", {2, 32}}, {"b", {2, 32}}}));
  EXPECT_EQ(r.shapes(r.unlike_the_largest()), (Shapes{{"a", {1, 16}}, {"b", {1, 16}}}));
}

TEST_F(Ranges, FollowNames) {
  EXPECT_EQ(ranges({{"a", "[1..2]x7"}}).shapes(1), (Shapes{{"a", {2, 7}}, {"b", {2, 7}}}));
  EXPECT_EQ(ranges({{"a", "[k:1..2]x7"}, {"d", "[k]x2"}}).shapes(0),
            (Shapes{{"a", {1, 7}}, {"b", {1, 7}}, {"d", {1, 2}}}));
  EXPECT_EQ(ranges({{"a", "[1..2]x7"}, {"d", "[3..4]x2"}}).axes()[1].name, "d_0");
  EXPECT_EQ(ranges({{"a", "[n]x7"}, {"b", "[1..2]x7"}}).count(), 2);
  EXPECT_THAT(refusal({{"a", "[1..2]x7"}, {"b", "5x7"}}), HasSubstr("calls two dims 'n' that are given as [n] and 5"));
}

TEST_F(Ranges, AreRefused) {
  for (const char* text : {"",
                           "x",
                           "1x",
                           "x1",
                           "[",
                           "]",
                           "[]",
                           "[1]x2",
                           "[1..]x2",
                           "[..2]x2",
                           "[1..2",
                           "[1..2]]",
                           "[1..2]2",
                           "[:1..2]x2",
                           "[n:]x2",
                           "[n:1..2:3:4]x2",
                           "[1..2:]x2",
                           "[0..2]x2",
                           "[-1..2]x2",
                           "[2..1]x2",
                           "[1..2:0]x2",
                           "[1..2:-1]x2",
                           "[1..9223372036854775808]x2",
                           "1x[1...3]"})
    EXPECT_THAT(refusal({{"a", text}}), HasSubstr(text == std::string("[1]x2") ? "no range" : "no shape")) << text;
  EXPECT_THAT(refusal({{"a", "?x2"}}), HasSubstr("no bounds"));
  EXPECT_THAT(refusal({{"a", "[1..2]x2"}, {"b", "[1..3]x2"}}), HasSubstr("[1..2] and [1..3]"));
  EXPECT_THAT(refusal({{"a", "[1..65]x[1..64]"}}), HasSubstr("more than 4096"));
  EXPECT_THAT(refusal({{"a", "[1..9223372036854775807]x[1..9223372036854775807]"}}), HasSubstr("more than 4096"));
  EXPECT_EQ(refusal({{"a", "[1..64]x[1..64]"}}), "");
}

TEST_F(Ranges, OneLibraryServesThem) {
  CompileOptions options;
  options.target = parse_target("x86-64-avx2");
  options.cache = folder.path() / "cache";
  options.default_threads = 1;
  const CompileResult result = compile_model(model, ranges({{"a", "[1..3]x[1..40:13]"}, {"d", "[1..2]x2"}}),
                                             builtin_ops(), options, folder.path() / "out", {Emit::shared_library});
  const opencompiler::Module module(result.shared_library.string());
  opencompiler::Session session(module);
  for (const int64_t n : {3, 1, 2})
    for (const int64_t m : {1, 14, 40, 27})
      for (const int64_t k : {1, 2}) {
        session.set_shapes({{n, m}, {n, m}, {k, 2}});
        const auto elements = static_cast<size_t>(n * m);
        ASSERT_EQ(session.outputs()[0].elements, elements);
        // Of exactly their sizes, which the sanitizers watch.
        std::vector<float> a(elements, 1.5F), b(elements), c(elements), d(static_cast<size_t>(2 * k), -1),
            e(d.size(), 7);
        for (size_t i = 0; i < elements; ++i) b[i] = static_cast<float>(i);
        session.run({a.data(), b.data(), d.data()}, {c.data(), e.data()});
        for (size_t i = 0; i < elements; ++i) ASSERT_EQ(c[i], static_cast<float>(i) + 1.5F);
        for (const float each : e) ASSERT_EQ(each, 0);
      }
  EXPECT_THROW(session.set_shapes({{1, 2}, {1, 2}, {1, 2}}), opencompiler::Error);
  EXPECT_THROW(session.set_shapes({{1, 1}, {2, 1}, {1, 2}}), opencompiler::Error);
  EXPECT_THROW(session.set_shapes({{1, 1}, {1, 1}}), opencompiler::Error);
  EXPECT_EQ(session.inputs()[0].shape, (Extents{2, 27}));
}

TEST_F(Ranges, KernelsThatCannotVaryAfterAllAreBuiltForEveryShape) {
  OpInfo add = op_info(builtin_ops(), "add");
  OpTable ops = builtin_ops();
  add.define = [original = add.define](OpCall& call) {
    if (!Halide::Internal::is_const(call.inputs[0].size(1))) user_error("this was not to be");
    return original(call);
  };
  ops["add"] = &add;
  CompileOptions options;
  options.target = parse_target("x86-64-avx2");
  options.cache = folder.path() / "cache";
  options.default_threads = 1;
  const CompileResult result = compile_model(model, ranges({{"a", "[2..6]x[20..26:2]"}, {"d", "1x2"}}), ops, options,
                                             folder.path() / "out", {Emit::shared_library});
  EXPECT_EQ(result.shapes, 20);
  EXPECT_GT(result.picks.size(), 10U);  // sums of as many elements are one kernel
  opencompiler::Session session(opencompiler::Module(result.shared_library.string()));
  session.set_shapes({{3, 22}, {3, 22}, {1, 2}});
  std::vector<float> a(66, 1), b(66, 2), c(66), d(2), e(2);
  session.run({a.data(), b.data(), d.data()}, {c.data(), e.data()});
  EXPECT_EQ(c, std::vector<float>(66, 3));
}

}  // namespace
}  // namespace oc::test
