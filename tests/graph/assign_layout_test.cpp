#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"
#include "tests/graph/random_graph.h"

namespace oc::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kTarget = "x86-64-avx2";  // 8 lanes of f32

// x [1,8,1,3] through a convolution to 8 channels (%3), then `rest`, which gives %9.
std::string conv(std::string_view rest) {
  return fmt::format(R"(graph {{
    %0 "x": f32[1,8,1,3] = input
    %1: f32[8,8,1,1] = constant {{1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1}}
    %2: f32[8] = constant {{1, 2, 3, 4, 5, 6, 7, 8}}
    {}
    return %9 }})",
                     rest);
}

TEST(AssignLayout, ConvolutionsAreBlockedAndOutputsArePlain) {
  expect_pass(assign_layout, conv(fmt::format("%9 \"y\": f32[1,8,1,3] = conv(%0, %1, %2) {}", kPoint)),
              conv(fmt::format("%3: f32[8] A8a = constant {{1, 2, 3, 4, 5, 6, 7, 8}} "
                               "%4: f32[1,8,1,3] aBcd8b = conv(%0, %1, %3) {} "
                               "%9 \"y\": f32[1,8,1,3] = relayout(%4) {{to=\"abcd\"}}",
                               kPoint)),
              kTarget);
}

TEST(AssignLayout, ElementwiseOpsAndPoolingFollowWithoutConversions) {
  const std::string pool = "{dilations=[1,1], kernel=[1,2], pads=[0,0,0,0], strides=[1,1]}";
  expect_pass(assign_layout,
              conv(fmt::format("%3: f32[1,8,1,3] = conv(%0, %1) {0} %4: f32[1,8,1,3] = relu(%3) "
                               "%5: f32[1,8,1,2] = max_pool(%4) {1} %9 \"y\": f32[1,8,1,2] = conv(%5, %1) {0}",
                               kPoint, pool)),
              conv(fmt::format("%3: f32[1,8,1,3] aBcd8b = conv(%0, %1) {0} %4: f32[1,8,1,3] aBcd8b = relu(%3) "
                               "%5: f32[1,8,1,2] aBcd8b = max_pool(%4) {1} "
                               "%6: f32[1,8,1,2] aBcd8b = conv(%5, %1) {0} "
                               "%9 \"y\": f32[1,8,1,2] = relayout(%6) {{to=\"abcd\"}}",
                               kPoint, pool)),
              kTarget);
}

// [8,1,1] lies along the channels of [1,8,1,3], a single number along none.
TEST(AssignLayout, OperandsAlongTheChannelsAreBlockedToo) {
  expect_pass(assign_layout,
              conv(fmt::format("%3: f32[1,8,1,3] = conv(%0, %1) {0} "
                               "%4: f32[8,1,1] = constant {{1, 2, 3, 4, 5, 6, 7, 8}} %5: f32[1,8,1,3] = mul(%3, %4) "
                               "%6: f32[1] = constant {{3}} %7: f32[1,8,1,3] = add(%5, %6) "
                               "%9 \"y\": f32[1,8,1,3] = conv(%7, %1) {0}",
                               kPoint)),
              conv(fmt::format("%3: f32[1,8,1,3] aBcd8b = conv(%0, %1) {0} "
                               "%4: f32[1,8,1,1] aBcd8b = constant {{1, 2, 3, 4, 5, 6, 7, 8}} "
                               "%5: f32[1,8,1,3] aBcd8b = mul(%3, %4) "
                               "%6: f32[1] = constant {{3}} %7: f32[1,8,1,3] aBcd8b = add(%5, %6) "
                               "%8: f32[1,8,1,3] aBcd8b = conv(%7, %1) {0} "
                               "%9 \"y\": f32[1,8,1,3] = relayout(%8) {{to=\"abcd\"}}",
                               kPoint)),
              kTarget);
}

TEST(AssignLayout, PlainOpsGetPlainOperands) {
  expect_pass(assign_layout,
              conv(fmt::format("%3: f32[1,8,1,3] = conv(%0, %1) {} %4: f32[1,1,8,3] = transpose(%3) {{perm=[0,2,1,3]}} "
                               "%9: f32[1,1,8,3] = softmax(%4) {{axis=3}}",
                               kPoint)),
              conv(fmt::format("%3: f32[1,8,1,3] aBcd8b = conv(%0, %1) {} "
                               "%4: f32[1,8,1,3] = relayout(%3) {{to=\"abcd\"}} "
                               "%5: f32[1,1,8,3] = transpose(%4) {{perm=[0,2,1,3]}} "
                               "%9: f32[1,1,8,3] = softmax(%5) {{axis=3}}",
                               kPoint)),
              kTarget);
}

// %0 [1,`channels`,`side`,`side`] through a convolution with as many results, laid out.
std::string laid_out(int channels, int side, int kernel, std::string_view attributes, int out_side) {
  const std::string text = fmt::format(
      "graph {{ %0: f32[1,{0},{1},{1}] = input %1: f32[{0},{0},{2},{2}] = weight %2: f32[1,{0},{4},{4}] = conv(%0, %1) "
      "{3} return %2 }}",
      channels, side, kernel, attributes, out_side);
  return print_graph(assign_layout(parse_graph(text), {all_ops(), parse_target(kTarget)}));
}

// Where pixels fill the vectors and channels are few, converting takes longer than the convolution.
TEST(AssignLayout, AConvolutionOfPixelsBetweenPlainTensorsStaysPlain) {
  EXPECT_THAT(laid_out(8, 32, 1, kPoint, 32), Not(HasSubstr("relayout")));
  EXPECT_THAT(laid_out(8, 32, 3, kSame, 32), HasSubstr("relayout(%0)"));
  EXPECT_THAT(laid_out(256, 3, 1, kPoint, 3), HasSubstr("to=\"abcd\""));
}

TEST(AssignLayout, AConvolutionOfSinglePixelsReadsThemWhereTheyLie) {
  const std::string text = laid_out(16, 8, 1, "{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[2,2]}", 4);
  EXPECT_THAT(text, HasSubstr("aBcd8b = conv(%0, "));
}

// Nine channels fill two blocks badly, but it is only a blocked operand whose padding would be summed.
TEST(AssignLayout, APointwiseConvolutionFromPlainToBlockedNeedsNoConversion) {
  const std::string text = print_graph(
      assign_layout(parse_graph(fmt::format("graph {{ %0: f32[1,9,16,16] = input %1: f32[96,9,1,1] = weight "
                                            "%2: f32[96,1,3,3] = weight %3: f32[1,96,16,16] = conv(%0, %1) {} "
                                            "%4: f32[1,96,16,16] = conv(%3, %2) "
                                            "{{dilations=[1,1], group=96, pads=[1,1,1,1], strides=[1,1]}} return %4 }}",
                                            kPoint)),
                    {all_ops(), parse_target(kTarget)}));
  EXPECT_THAT(text, HasSubstr("aBcd8b = conv(%0, %1)"));
  EXPECT_THAT(text, HasSubstr("conv(%2, %3)"));
}

TEST(AssignLayout, WithoutConvolutionsAllStaysPlain) {
  expect_untouched(assign_layout, "graph { %0: f32[1,16,3,3] = input %1: f32[1,16,3,3] = relu(%0) return %1 }",
                   kTarget);
}

TEST(AssignLayout, FewChannelsStayPlain) {
  expect_untouched(assign_layout,
                   fmt::format("graph {{ %0: f32[1,1,3,3] = input %1: f32[3,1,1,1] = constant {{1, 2, 3}} "
                               "%2: f32[1,3,3,3] = conv(%0, %1) {} return %2 }}",
                               kPoint),
                   kTarget);
}

TEST(AssignLayout, AGraphThatIsLaidOutStaysAsItIs) {
  const Target target = parse_target(kTarget);
  const PassContext context{all_ops(), target};
  const Graph once =
      assign_layout(parse_graph(conv(fmt::format("%9: f32[1,8,1,3] = conv(%0, %1) {}", kPoint))), context);
  EXPECT_EQ(print_graph(assign_layout(once, context)), print_graph(once));
}

// Whatever the model: legal layouts, and the same numbers.
TEST(AssignLayout, RandomModelsKeepWhatTheyCompute) {
  int blocked = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = random_graph(seed, 14);
    const Target target = parse_target(seed % 2 == 0 ? "x86-64-avx2" : "x86-64-avx512");
    const Graph result = assign_layout(graph, {all_ops(), target});
    ASSERT_NO_THROW(verify(result, all_ops())) << print_graph(result);
    expect_same_outputs(graph, result);
    for (ValueId output : result.outputs) EXPECT_TRUE(result[output].type.layout.plain());
    blocked += std::ranges::any_of(result.values, [](const Value& v) { return !v.type.layout.plain(); });
  }
  EXPECT_GT(blocked, 60);
}

}  // namespace
}  // namespace oc::test
