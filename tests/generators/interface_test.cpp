#include "generators/interface.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "generators/header.h"
#include "graph/text.h"

namespace oc::test {
namespace {

std::vector<std::string> identifiers(const std::vector<std::string>& names) {
  std::set<std::string> taken;
  std::vector<std::string> result;
  for (const std::string& name : names) result.push_back(identifier(name, taken));
  return result;
}
using Names = std::vector<std::string>;

TEST(Identifier, WhatCDoesNotKnowBecomesAnUnderscore) {
  EXPECT_EQ(identifiers({"input.1", "a/b:0", "été", "x y"}), (Names{"input_1", "a_b_0", "x__t__", "x_y"}));
}

TEST(Identifier, BeginsWithALetter) {
  EXPECT_EQ(identifiers({"", "1x", "_x", "__y", "é"}), (Names{"x", "x1x", "x_x", "x__y", "x__"}));
}

TEST(Identifier, WordsOfCAndCppGetANumber) {
  EXPECT_EQ(identifiers({"int", "class", "NULL", "int32_t", "and", "linux", "Int"}),
            (Names{"int_2", "class_2", "NULL_2", "int32_t_2", "and_2", "linux_2", "Int"}));
}

TEST(Identifier, CollisionsGetTheNextFreeNumber) {
  EXPECT_EQ(identifiers({"a.b", "a_b", "a:b", "a_b_2"}), (Names{"a_b", "a_b_2", "a_b_3", "a_b_2_2"}));
}

// <NAME>_<TENSOR>_ELEMENTS is written in capitals.
TEST(Identifier, NamesThatDifferByCaseAloneCollideToo) {
  EXPECT_EQ(identifiers({"x", "X", "Logits", "LOGITS", "logits"}),
            (Names{"x", "X_2", "Logits", "LOGITS_2", "logits_3"}));
}

TEST(LibraryName, IsAnIdentifier) {
  EXPECT_EQ(library_name("rec v4.1"), "rec_v4_1");
  EXPECT_EQ(library_name("int"), "int_2");
  EXPECT_EQ(library_name("7"), "x7");
}

Interface interface_of(const std::string& text, std::string_view name) {
  return make_interface(parse_graph(text), name);
}

TEST(Interface, ParametersCollideNeitherWithEachOtherNorWithTheHeadersNames) {
  const Interface i = interface_of(
      R"(graph { %0 "x": f32[2,3] = input %1 "instance": i64[] = input %2 "net": bool[2] = input
      %3 "inputs": f32[1] = input %4 "x": f32[2,3] = relu(%0) %5 "net_run_arrays": f32[2,3] = abs(%0)
      return %4, %5 })",
      "net");
  Names names;
  for (const auto* list : {&i.inputs, &i.outputs})
    for (const TensorInterface& t : *list) names.push_back(t.c_name);
  EXPECT_EQ(names, (Names{"x", "instance_2", "net_2", "inputs_2", "x_2", "net_run_arrays_2"}));
  EXPECT_EQ(i.inputs[0].name, "x");
  EXPECT_EQ(i.inputs[0].bytes, 24);
  EXPECT_EQ(i.inputs[1].elements, 1);
  EXPECT_EQ(i.inputs[2].bytes, 2);
}

TEST(Interface, ShapesMustBeKnown) {
  EXPECT_THROW((void)interface_of("graph { %0 \"x\": f32[n] = input %1: f32[n] = relu(%0) return %1 }", "net"),
               InternalError);
}

TEST(Interface, MetadataOfSeveralLinesIsCutIntoThem) {
  Graph graph = parse_graph("graph { %0: f32[1] = input %1: f32[1] = relu(%0) return %1 }");
  graph.metadata = {{"alphabet", "a\r\nb\n\nc\n"}, {"author", "x"}, {"end", "a\n"}};
  const Interface i = make_interface(graph, "net");
  EXPECT_EQ(i.metadata[0].lines, (Names{"a", "b", "", "c"}));
  EXPECT_EQ(i.metadata[1].lines, Names{});
  EXPECT_EQ(i.metadata[2].lines, Names{"a"});
}

// Names are the model's, and a header is compiled.
TEST(Header, NamesCannotLeaveTheirComment) {
  const std::string header = make_header(
      interface_of(R"(graph { %0 "a*/ int b; /*": f32[1] = input %1 "c\n#error": f32[1] = relu(%0) return %1 })",
                   "net"),
      0);
  EXPECT_EQ(header.find("*/ int b"), std::string::npos);
  EXPECT_EQ(header.find("\n#error"), std::string::npos);
}

}  // namespace
}  // namespace oc::test
