#include "graph/text.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// Canonical texts: what the printer writes for them is they themselves.
constexpr const char* kTexts[] = {
    "graph {\n  return\n}\n",
    R"(graph "a \"quoted\" \\ name\u000a" {
  %0 "x": f32[1,3,48,192] = input
  %1: f32[16,3,3,3] = weight
  %2 "conv1": f32[1,16,24,96] aBcd16b = conv(%0, %1, _) {group=1, pads=[1,1,1,1], strides=[2,2]} "Conv_3"
  return %2
}
)",
    R"(graph {
  %0: f32[n,?,"a b","7"] = input
  %1 "": i64[] = constant {-3}
  %2: f32[n,?,"a b","7"] = gather(%0, %1)
  return %2, %0, %1
}
)",
    R"(graph {
  %0: i64[2] = input
  (%1, %2): (f32[2], bool[1]) = halves(%0) {a=1, b=1.0, c=[], d=[.], e=[1.0,-inf,nan], f="\"\u0000é", g=1e+300}
  (): () = nothing(%1, _)
  return %2
}
)",
    R"(graph {
  %0: f32[6] = constant {1, -0, 1e-45, 3.4028235e+38, inf, nan}
  %1: f64[2] = constant {0.1, 5e-324}
  %2: f16[2] = constant {0x3c00, 0xfe01}
  %3: bf16[1] = constant {0x7f80}
  %4: i8[2] = constant {-128, 127}
  %5: u8[1] = constant {255}
  %6: bool[2] = constant {0, 1}
  %7: i64[2] = constant {-9223372036854775808, 9223372036854775807}
  %8: u64[1] = constant {18446744073709551615}
  %9: f32[0,3] = constant {}
  %10: f32[2,2] ba = constant {1, 2, 3, 4}
  %11: f32[3] A2a = constant {1, 2, 3}
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11
}
)",
};

TEST(Text, PrintsWhatItParsed) {
  for (std::string text : kTexts) {
    // A value whose name is empty prints without one.
    if (const size_t empty = text.find(" \"\":"); empty != std::string::npos) text.erase(empty, 3);
    EXPECT_EQ(print_graph(parse_graph(text)), text);
  }
}

TEST(Text, AttributesKeepTheirTypes) {
  const Attrs attrs = parse_graph(kTexts[3]).nodes[0].attrs;
  EXPECT_EQ(attrs.integer("a"), 1);
  EXPECT_EQ(attrs.number("b"), 1.0);
  EXPECT_EQ(attrs.integers("c"), Extents{});
  EXPECT_EQ(attrs.numbers("d"), std::vector<double>{});
  EXPECT_EQ(attrs.numbers("e").size(), 3U);
  EXPECT_EQ(attrs.text("f"), std::string("\"\0é", 4));
  EXPECT_EQ(attrs.number("g"), 1e300);
  EXPECT_THROW((void)attrs.number("a"), InternalError);
}

TEST(Text, BlockedConstantsAreWrittenInLogicalOrder) {
  const Graph graph = parse_graph(kTexts[4]);
  const Tensor& transposed = *graph.values[10].data;
  EXPECT_EQ(std::vector<float>(transposed.as<float>().begin(), transposed.as<float>().end()),
            (std::vector<float>{1, 3, 2, 4}));
  const Tensor& padded = *graph.values[11].data;
  EXPECT_EQ(std::vector<float>(padded.as<float>().begin(), padded.as<float>().end()), (std::vector<float>{1, 2, 3, 0}));
}

TEST(Text, NamesAndLargeConstantsAreErasedFromAWorkload) {
  Graph graph;
  graph.name = "model";
  const ValueId x = graph.add_input("x", make_type(DType::f32, {65}));
  const ValueId w = graph.add_constant("w", std::make_shared<const Tensor>(make_tensor(DType::f32, {65})));
  graph.outputs = {graph.add_node("add", {x, w}, {}, make_type(DType::f32, {65}), "Add_1")};
  EXPECT_EQ(print_graph(graph, {.names = false, .weights = true}),
            "graph {\n  %0: f32[65] = input\n  %1: f32[65] = weight\n  %2: f32[65] = add(%0, %1)\n  return %2\n}\n");
  const std::string full = print_graph(graph);
  EXPECT_NE(full.find("%1 \"w\": f32[65] = constant #"), std::string::npos) << full;
  EXPECT_NE(error_of<UserError>([&] { (void)parse_graph(full); }).find("contents are not in the text"),
            std::string::npos);
}

struct Malformed {
  std::string text, message;
};

TEST(Text, MalformedTextsAreRefusedWithTheirPlace) {
  const std::string x = "graph {\n  %0: f32[2] = input\n";
  const Malformed cases[] = {
      {"", "graph text, 1:1: 'graph' expected, but the text ends"},
      {"graf {", "graph text, 1:1: 'graph' expected"},
      {"graph { return } x", "graph text, 1:18: text after the graph's end"},
      {"graph {\n  %0: f33[2] = input", "graph text, 2:7: unknown element type"},
      {"graph {\n  %0: f32[2,] = input", "graph text, 2:13: an extent, a name or '?' expected"},
      {"graph {\n  %0: f32[-2] = input", "graph text, 2:11: an extent, a name or '?' expected"},
      {"graph {\n  %0: f32[99999999999999999999] = input", "graph text, 2:11: an extent is too large"},
      {"graph {\n  %0: f32[1099511627777] = input", "graph text, 2:7: more than 1099511627776 elements"},
      {"graph {\n  %0: f32[2] aB8b = input", "graph text, 2:7: layout 'aB8b' does not fit a tensor of rank 1"},
      {x + "  %0: f32[2] = input", "graph text, 3:5: %0 is defined twice"},
      {x + "  %1: f32[2] = relu(%2)", "graph text, 3:22: %2 is not defined above"},
      {x + "  %1: f32[2] = relu(%1)\n  return %1\n}", "graph text, 3:22: %1 is not defined above"},
      {x + "  %1: f32[2] = relu(%0) {a=1, a=2}", "graph text, 3:31: attribute 'a' stands twice"},
      {x + "  %1: f32[2] = relu(%0) {a=x}", "graph text, 3:28: a number expected"},
      {x + "  %1: f32[2] = relu(%0) {a=9223372036854775808}",
       "graph text, 3:28: the number 9223372036854775808 is out of range"},
      {x + "  %1: f32[2] = relu(%0) {a=[1,2.0]}", "graph text, 3:31: a number expected"},
      {x + "  %1: f32[2] = relu(%0) \"open", "graph text, 3:30: a string is not closed"},
      {x + "  %1: f32[2] = relu(%0) \"\\x\"", "graph text, 3:27: unknown escape in a string"},
      {x + "  %1: f32[2] = constant {1}", "graph text, 3:27: ',' expected"},
      {x + "  %1: f32[2] = constant {1, 2, 3}", "graph text, 3:30: '}' expected"},
      {x + "  %1: f32[?] = constant {1}", "graph text, 3:26: a constant of unknown shape"},
      {x + "  %1: f32[4194305] = constant {1}", "graph text, 3:32: a constant of more than 4194304 elements"},
      {x + "  %1: u8[1] = constant {256}", "graph text, 3:25: the number 256 is out of range"},
      {x + "  %1: bool[1] = constant {2}", "graph text, 3:28: a bool is 0 or 1"},
      {x + "  %1: f16[1] = constant {1}", "graph text, 3:26: a bit pattern like 0x3c00 expected"},
      {x + "  return %0", "graph text, 3:12: '}' expected, but the text ends"},
  };
  for (const Malformed& c : cases)
    EXPECT_EQ(error_of<UserError>([&] { (void)parse_graph(c.text); }), c.message) << c.text;
}

TEST(Text, SizesBeyondTheLimitsAreRefused) {
  EXPECT_EQ(error_of<UserError>([] { (void)parse_graph(std::string(10'000'001, ' ')); }),
            "graph text of 10000001 bytes; at most 10000000 are read");
  std::string deep = "graph { %0: f32[1";
  for (int i = 0; i < 32; ++i) deep += ",1";
  EXPECT_NE(error_of<UserError>([&] { (void)parse_graph(deep + "] = input return }"); }).find("more than 32 dims"),
            std::string::npos);
}

TEST(Text, EveryTruncationIsRefused) {
  for (const std::string text : kTexts)
    for (size_t length = 0; length + 2 < text.size(); ++length)
      EXPECT_THROW((void)parse_graph(text.substr(0, length)), UserError) << text.substr(0, length);
}

// A text with a few bytes changed parses or is refused; what parses prints to something that parses to the same.
TEST(Text, DamagedTextsNeverDoMore) {
  std::mt19937 random(11);
  const std::string alphabet = std::string("%:[](){}=,.\"\\_?01-9eaBx \n", 26) + std::string("\0\xff", 2);
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = kTexts[random() % std::size(kTexts)];
    for (size_t edits = 1 + random() % 3; edits-- > 0;)
      text[random() % text.size()] = alphabet[random() % alphabet.size()];
    try {
      const std::string printed = print_graph(parse_graph(text));
      EXPECT_EQ(print_graph(parse_graph(printed)), printed) << text;
      ++parsed;
    } catch (const UserError&) {
    }
  }
  EXPECT_GT(parsed, 100);  // else the loop above tests one thing only
}

}  // namespace
}  // namespace oc::test
