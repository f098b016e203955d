#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// x [1,1,2,2] through a convolution with the weights {1, 2} and the bias, then `rest`, which reads %2 and gives %9.
std::string conv(std::string_view weights, std::string_view bias, std::string_view rest) {
  const std::string with_bias = bias.empty() ? "" : fmt::format("%3: f32[2] = constant {{{}}}", bias);
  return fmt::format(R"(graph {{
    %0: f32[1,1,2,2] = input
    %1: f32[2,1,1,1] = constant {{{}}}
    {}
    %2: f32[1,2,2,2] = conv(%0, %1{}) {}
    {}
    return %9 }})",
                     weights, with_bias, bias.empty() ? "" : ", %3", kPoint, rest);
}
std::string conv_alone(std::string_view weights, std::string_view bias) {
  std::string text = conv(weights, bias, "");
  return text.replace(text.find("%9"), 2, "%2");
}

TEST(FoldScale, AFactorPerChannelGoesIntoWeightsAndBias) {
  expect_pass(fold_scale, conv("1, 2", "5, 6", "%4: f32[2,1,1] = constant {10, 100} %9: f32[1,2,2,2] = mul(%2, %4)"),
              conv_alone("10, 200", "50, 600"));
}

TEST(FoldScale, AnOffsetBecomesTheBias) {
  expect_pass(fold_scale, conv("1, 2", "", "%4: f32[1,2,1,1] = constant {7, 8} %9: f32[1,2,2,2] = add(%4, %2)"),
              conv_alone("1, 2", "7, 8"));
}

// BatchNormalization as importers write it.
TEST(FoldScale, AChainOfScaleAndOffsetVanishes) {
  expect_pass(fold_scale,
              conv("1, 2", "5, 6",
                   "%4: f32[2,1,1] = constant {10, 100} %5: f32[1,2,2,2] = mul(%2, %4) "
                   "%6: f32[1] = constant {1} %7: f32[1,2,2,2] = sub(%5, %6) "
                   "%8: f32[1] = constant {2} %9: f32[1,2,2,2] = div(%7, %8)"),
              conv_alone("5, 100", "24.5, 299.5"));
}

TEST(FoldScale, SubtractionFromAConstantTurnsTheSign) {
  expect_pass(fold_scale, conv("1, 2", "5, 6", "%4: f32[1] = constant {1} %9: f32[1,2,2,2] = sub(%4, %2)"),
              conv_alone("-1, -2", "-4, -5"));
}

TEST(FoldScale, MatmulTakesFactorsButNoOffsets) {
  expect_pass(fold_scale,
              "graph { %0: f32[3,2] = input %1: f32[2,2] = constant {1, 2, 3, 4} %2: f32[3,2] = matmul(%0, %1) "
              "%3: f32[2] = constant {10, 100} %4: f32[3,2] = mul(%2, %3) return %4 }",
              "graph { %0: f32[3,2] = input %1: f32[2,2] = constant {10, 200, 30, 400} "
              "%2: f32[3,2] = matmul(%0, %1) return %2 }");
  expect_untouched(fold_scale,
                   "graph { %0: f32[3,2] = input %1: f32[2,2] = constant {1, 2, 3, 4} %2: f32[3,2] = matmul(%0, %1) "
                   "%3: f32[2] = constant {10, 100} %4: f32[3,2] = add(%2, %3) return %4 }");
}

// Weights [c, o/group, kh, kw]: the output channel is the group of the input channel and the second index.
TEST(FoldScale, GroupsOfATransposedConvolutionScaleTheirOwnOutputs) {
  const std::string text = R"(graph {{
    %0: f32[1,4,2,2] = input
    %1: f32[4,1,1,1] = constant {{{}}}
    %2: f32[1,2,2,2] = conv_transpose(%0, %1) {{dilations=[1,1], group=2, output_padding=[0,0], pads=[0,0,0,0], strides=[1,1]}}
    {}
    return %{} }})";
  expect_pass(fold_scale,
              fmt::format(fmt::runtime(text), "1, 2, 3, 4",
                          "%3: f32[2,1,1] = constant {10, 100} %4: f32[1,2,2,2] = mul(%2, %3)", 4),
              fmt::format(fmt::runtime(text), "10, 20, 300, 400", "", 2));
}

TEST(FoldScale, AResultReadTwiceKeepsItsWeights) {
  expect_untouched(fold_scale, conv("1, 2", "",
                                    "%4: f32[1] = constant {3} %5: f32[1,2,2,2] = mul(%2, %4) "
                                    "%9: f32[1,2,2,2] = add(%2, %5)"));
}

TEST(FoldScale, AResultThatIsAnOutputKeepsItsWeights) {
  std::string text = conv("1, 2", "", "%4: f32[1] = constant {3} %9: f32[1,2,2,2] = mul(%2, %4)");
  text.replace(text.find("return %9"), 9, "return %2, %9");
  expect_untouched(fold_scale, text);
}

TEST(FoldScale, SharedWeightsAreScaledForTheOneThatIsScaled) {
  expect_pass(fold_scale,
              conv("1, 2", "",
                   fmt::format("%4: f32[1] = constant {{3}} %5: f32[1,2,2,2] = mul(%2, %4) "
                               "%6: f32[1,2,2,2] = conv(%0, %1) {} %9: f32[1,2,2,2] = add(%5, %6)",
                               kPoint)),
              fmt::format(R"(graph {{
    %0: f32[1,1,2,2] = input
    %1: f32[2,1,1,1] = constant {{3, 6}}
    %2: f32[1,2,2,2] = conv(%0, %1) {0}
    %3: f32[2,1,1,1] = constant {{1, 2}}
    %4: f32[1,2,2,2] = conv(%0, %3) {0}
    %5: f32[1,2,2,2] = add(%2, %4)
    return %5 }})",
                          kPoint));
}

TEST(FoldScale, FactorsThatVaryAlongOtherDimsStay) {
  expect_untouched(fold_scale, conv("1, 2", "", "%4: f32[2] = constant {3, 4} %9: f32[1,2,2,2] = mul(%2, %4)"));
}

TEST(FoldScale, AFactorThatBroadcastsTheResultStays) {
  expect_untouched(fold_scale, fmt::format(R"(graph {{
    %0: f32[1,1,1,1] = input
    %1: f32[1,1,1,1] = constant {{2}}
    %2: f32[1,1,1,1] = conv(%0, %1) {}
    %3: f32[1,2,1,1] = constant {{3, 4}}
    %4: f32[1,2,1,1] = mul(%2, %3)
    return %4 }})",
                                           kPoint));
}

// 0 · ∞ is NaN: a channel whose weights are zero would become NaN for every input.
TEST(FoldScale, FactorsThatAreNotFiniteStay) {
  for (const char* constant : {"nan", "inf", "-inf"})
    expect_untouched(fold_scale, conv("0, 2", "",
                                      fmt::format("%4: f32[1] = constant {{{}}} "
                                                  "%9: f32[1,2,2,2] = mul(%2, %4)",
                                                  constant)));
  expect_untouched(fold_scale, conv("0, 2", "", "%4: f32[1] = constant {0} %9: f32[1,2,2,2] = div(%2, %4)"));
}

// The quotient may be small though the weights over the divisor are beyond f32.
TEST(FoldScale, WeightsThatWouldOverflowStay) {
  expect_untouched(fold_scale, conv("1e-40, 1", "", "%4: f32[1] = constant {1e-40} %9: f32[1,2,2,2] = div(%2, %4)"));
  expect_untouched(fold_scale, conv("1e+30, 1", "", "%4: f32[1] = constant {1e+30} %9: f32[1,2,2,2] = mul(%2, %4)"));
  expect_untouched(fold_scale,
                   conv("1, 1", "1e+30, 0", "%4: f32[1] = constant {1e+30} %9: f32[1,2,2,2] = mul(%2, %4)"));
}

TEST(FoldScale, AConstantOverTheResultStays) {
  expect_untouched(fold_scale, conv("1, 2", "5, 6", "%4: f32[1] = constant {1} %9: f32[1,2,2,2] = div(%4, %2)"));
}

TEST(FoldScale, UnknownWeightsStay) {
  expect_untouched(fold_scale, fmt::format(R"(graph {{
    %0: f32[1,1,2,2] = input
    %1: f32[2,1,1,1] = input
    %2: f32[1,2,2,2] = conv(%0, %1) {}
    %3: f32[1] = constant {{2}}
    %4: f32[1,2,2,2] = mul(%2, %3)
    return %4 }})",
                                           kPoint));
}

}  // namespace
}  // namespace oc::test
