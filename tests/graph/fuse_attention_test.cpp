#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// q [2,3,5,4], k and v [2,3,7,4] with what stands between the products: `scores` makes %10 of the product %5 (kᵀ is
// %4, a mask %3 [7]), `weights` makes %20 of the softmax %11.
std::string attention(std::string_view scores, std::string_view weights, std::string_view keys = "%1") {
  return fmt::format(R"(graph {{
    %0: f32[2,3,5,4] = input
    %1: f32[2,3,7,4] = input
    %2: f32[2,3,7,4] = input
    %3: f32[7] = input
    %4: f32[2,3,4,7] = transpose({}) {{perm=[0,1,3,2]}}
    %5: f32[2,3,5,7] = matmul(%0, %4)
    {}
    %11: f32[2,3,5,7] = softmax(%10) {{axis=3}}
    {}
    %21: f32[2,3,5,4] = matmul(%20, %2)
    return %21 }})",
                     keys, scores, weights);
}

std::string fused(std::string_view inputs, std::string_view attributes) {
  return fmt::format(R"(graph {{
    %0: f32[2,3,5,4] = input
    %1: f32[2,3,7,4] = input
    %2: f32[2,3,7,4] = input
    %3: f32[7] = input
    %4: f32[2,3,5,4] = attention({}) {{k_perm=[0,1,2,3], {}out_perm=[0,1,2,3], q_perm=[0,1,2,3], scale=0.5, v_perm=[0,1,2,3]}}
    return %4 }})",
                     inputs, attributes);
}

// The text with every use of the softmax, or of the product, in place of `mark`.
std::string spelled(std::string text, std::string_view mark, std::string_view value) {
  for (size_t at; (at = text.find(mark)) != std::string::npos;) text.replace(at, mark.size(), value);
  return text;
}

TEST(FuseAttention, AScaleMayMultiplyOrDivide) {
  const std::string after = fused("%0, %1, %2", "");
  for (const char* scale : {"%6: f32[] = constant {0.5} %10: f32[2,3,5,7] = mul(%5, %6)",
                            "%6: f32[1,1] = constant {0.5} %10: f32[2,3,5,7] = mul(%6, %5)",
                            "%6: f32[] = constant {2} %10: f32[2,3,5,7] = div(%5, %6)"})
    expect_pass(fuse_attention, spelled(attention(scale, ""), "%20", "%11"), after);
}

TEST(FuseAttention, AMaskIsAddedOnEitherSide) {
  const std::string after = fused("%0, %1, %2, %3", "");
  for (const char* operands : {"%7, %3", "%3, %7"})
    expect_pass(fuse_attention,
                spelled(attention(fmt::format("%6: f32[] = constant {{0.5}} %7: f32[2,3,5,7] = mul(%5, %6) "
                                              "%10: f32[2,3,5,7] = add({})",
                                              operands),
                                  ""),
                        "%20", "%11"),
                after);
}

TEST(FuseAttention, NanOfMaskedRowsMayCountAsZero) {
  expect_pass(fuse_attention,
              attention("%6: f32[] = constant {0.5} %10: f32[2,3,5,7] = mul(%5, %6)",
                        "%12: f32[] = constant {0} %13: bool[2,3,5,7] = is_nan(%11) "
                        "%20: f32[2,3,5,7] = where(%13, %12, %11)"),
              fused("%0, %1, %2", "nan_as_zero=1, "));
}

// Heads split off [b, s, h·d] and merged again: read and written where they lie, factors on both sides taken in.
TEST(FuseAttention, TranspositionsAndFactorsOfOperandsGoIn) {
  expect_pass(fuse_attention, R"(graph {
    %0: f32[2,5,3,4] = input
    %1: f32[2,7,3,4] = input
    %2: f32[] = constant {0.25}
    %3: f32[2,3,5,4] = transpose(%0) {perm=[0,2,1,3]}
    %4: f32[2,3,5,4] = mul(%3, %2)
    %5: f32[2,3,7,4] = transpose(%1) {perm=[0,2,1,3]}
    %6: f32[2,3,4,7] = transpose(%5) {perm=[0,1,3,2]}
    %7: f32[2,3,4,7] = mul(%6, %2)
    %8: f32[2,3,5,7] = matmul(%4, %7)
    %9: f32[2,3,5,7] = softmax(%8) {axis=3}
    %10: f32[2,3,5,4] = matmul(%9, %5)
    %11: f32[2,5,3,4] = transpose(%10) {perm=[0,2,1,3]}
    return %11 })",
              R"(graph {
    %0: f32[2,5,3,4] = input
    %1: f32[2,7,3,4] = input
    %2: f32[2,5,3,4] = attention(%0, %1, %1) {k_perm=[0,2,1,3], out_perm=[0,2,1,3], q_perm=[0,2,1,3], scale=0.0625, v_perm=[0,2,1,3]}
    return %2 })");
}

// Whoever else reads a value between the products needs it whole.
TEST(FuseAttention, ScoresReadElsewhereStay) {
  std::string text = spelled(attention("", ""), "%10", "%5");
  text = spelled(text, "%20", "%11");
  EXPECT_EQ(text.find("return %21 }"), text.rfind("return"));
  for (const char* outputs : {"return %21, %11 }", "return %21, %5 }"})
    expect_untouched(fuse_attention, spelled(text, "return %21 }", outputs));
}

TEST(FuseAttention, AnotherAxisOfTheSoftmaxStays) {
  std::string text = spelled(attention("", ""), "%10", "%5");
  expect_untouched(fuse_attention, spelled(spelled(text, "%20", "%11"), "axis=3", "axis=2"));
}

// What changes the weights after the softmax is no attention.
TEST(FuseAttention, WeightsChangedAfterTheSoftmaxStay) {
  expect_untouched(fuse_attention,
                   spelled(attention("", "%12: f32[] = constant {3} %20: f32[2,3,5,7] = mul(%11, %12)"), "%10", "%5"));
}

// Queries give the leading extents of the op.
TEST(FuseAttention, ValuesOfMoreBatchesThanTheQueriesStay) {
  const std::string text = normal(
      "graph { %0: f32[1,4,8] = input %1: f32[1,8,6] = input %2: f32[3,6,5] = input "
      "%3: f32[1,4,6] = matmul(%0, %1) %4: f32[1,4,6] = softmax(%3) {axis=2} %5: f32[3,4,5] = matmul(%4, %2) "
      "return %5 }");
  EXPECT_EQ(print_graph(fuse_attention(parse_graph(text), {all_ops(), parse_target("x86-64-avx512")})), text);
}

// Scores of one vector of rows beyond L2: nothing is gained.
TEST(FuseAttention, RowsTooLongForTheCacheStay) {
  const std::string text = normal(
      "graph { %0: f32[1,4] = input %1: f32[4,200000] = input %2: f32[200000,4] = input "
      "%3: f32[1,200000] = matmul(%0, %1) %4: f32[1,200000] = softmax(%3) {axis=1} %5: f32[1,4] = matmul(%4, %2) "
      "return %5 }");
  EXPECT_EQ(print_graph(fuse_attention(parse_graph(text), {all_ops(), parse_target("x86-64-avx512")})), text);
}

}  // namespace
}  // namespace oc::test
