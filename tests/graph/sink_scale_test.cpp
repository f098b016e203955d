#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// relu(x [1,2,2,2]) as %1, `between`, then a convolution of %8 with the weights and the bias.
std::string conv_of(std::string_view between, std::string_view attrs, std::string_view shape, std::string_view weights,
                    std::string_view bias) {
  const std::string with_bias = bias.empty() ? "" : fmt::format("%6: f32[2] = constant {{{}}}", bias);
  return fmt::format(R"(graph {{
    %0: f32[1,2,2,2] = input
    %1: f32[1,2,2,2] = relu(%0)
    {}
    %5: f32[{}] = constant {{{}}} {}
    %9: f32[1,2,2,2] = conv(%8, %5{}) {}
    return %9 }})",
                     between, shape, weights, with_bias, bias.empty() ? "" : ", %6", attrs);
}
std::string conv_alone(std::string_view attrs, std::string_view shape, std::string_view weights,
                       std::string_view bias) {
  std::string text = conv_of("", attrs, shape, weights, bias);
  return text.replace(text.find("%8"), 2, "%1");
}

constexpr std::string_view kFull = "2,2,1,1";
constexpr std::string_view kFactors = "%2: f32[2,1,1] = constant {10, 100} %8: f32[1,2,2,2] = mul(%1, %2)";
constexpr std::string_view kOffsets = "%2: f32[2,1,1] = constant {10, 100} %8: f32[1,2,2,2] = add(%2, %1)";
// Depthwise, over a row of two columns with one of padding on the left.
constexpr std::string_view kPadded = "{dilations=[1,1], group=2, pads=[0,1,0,0], strides=[1,1]}";
constexpr std::string_view kDepthwise = "2,1,1,2";

TEST(SinkScale, FactorsGoIntoTheWeightsOfTheirInputChannels) {
  expect_pass(sink_scale, conv_of(kFactors, kPoint, kFull, "1, 2, 3, 4", "5, 6"),
              conv_alone(kPoint, kFull, "10, 200, 30, 400", "5, 6"));
}

TEST(SinkScale, OffsetsGoIntoTheBias) {
  expect_pass(sink_scale, conv_of(kOffsets, kPoint, kFull, "1, 2, 3, 4", "5, 6"),
              conv_alone(kPoint, kFull, "1, 2, 3, 4", "215, 436"));
  expect_pass(sink_scale, conv_of(kOffsets, kPoint, kFull, "1, 2, 3, 4", ""),
              conv_alone(kPoint, kFull, "1, 2, 3, 4", "210, 430"));
}

// A hard swish's division with an affine map behind it.
TEST(SinkScale, AChainVanishes) {
  expect_pass(sink_scale,
              conv_of("%2: f32[1] = constant {2} %3: f32[1,2,2,2] = div(%1, %2) %4: f32[] = constant {3} "
                      "%7: f32[1,2,2,2] = sub(%4, %3) %10: f32[2,1,1] = constant {10, 100} "
                      "%8: f32[1,2,2,2] = mul(%7, %10)",
                      kPoint, kFull, "1, 2, 3, 4", ""),
              conv_alone(kPoint, kFull, "-5, -100, -15, -200", "630, 1290"));
}

TEST(SinkScale, FactorsPassPaddingBecauseZeroStaysZero) {
  expect_pass(sink_scale, conv_of(kFactors, kPadded, kDepthwise, "1, 2, 3, 4", "5, 6"),
              conv_alone(kPadded, kDepthwise, "10, 20, 300, 400", "5, 6"));
}

TEST(SinkScale, OffsetsBeforePaddingStayAndLetFactorsPass) {
  expect_untouched(sink_scale, conv_of(kOffsets, kPadded, kDepthwise, "1, 2, 3, 4", "5, 6"));
  const std::string_view before =
      "%2: f32[1] = constant {2} %3: f32[1,2,2,2] = div(%1, %2) %4: f32[2,1,1] = constant {10, 100} "
      "%7: f32[1,2,2,2] = mul(%3, %4) %10: f32[1] = constant {50} %8: f32[1,2,2,2] = sub(%7, %10)";
  expect_pass(sink_scale, conv_of(before, kPadded, kDepthwise, "1, 2, 3, 4", ""),
              conv_of("%2: f32[2,1,1] = constant {-10, -1} %8: f32[1,2,2,2] = add(%1, %2)", kPadded, kDepthwise,
                      "5, 10, 150, 200", ""));
}

TEST(SinkScale, AFactorNearZeroBeforeAnOffsetAndPaddingStays) {
  for (const char* factor : {"0", "1e-38", "-1e-7"})
    expect_untouched(sink_scale, conv_of(fmt::format("%2: f32[1] = constant {{{}}} %3: f32[1,2,2,2] = mul(%1, %2) "
                                                     "%4: f32[1] = constant {{3}} %8: f32[1,2,2,2] = add(%3, %4)",
                                                     factor),
                                         kPadded, kDepthwise, "1, 2, 3, 4", ""));
}

// 4 inputs and 6 outputs in 2 groups: outputs 0 to 2 read inputs 0 and 1, the others 2 and 3.
TEST(SinkScale, EachGroupTakesInWhatItsInputsHad) {
  constexpr const char* text = R"(graph {{
    %0: f32[1,4,1,1] = input
    %1: f32[1,4,1,1] = relu(%0)
    {}
    %4: f32[6,2,1,1] = constant {{{}}}
    {}
    %6: f32[1,6,1,1] = conv({}) {{dilations=[1,1], group=2, pads=[0,0,0,0], strides=[1,1]}}
    return %6 }})";
  const auto graph = [&](std::string_view map, std::string_view weights, std::string_view bias, std::string_view in) {
    return fmt::format(fmt::runtime(text), map, weights, bias, in);
  };
  expect_pass(sink_scale,
              graph("%2: f32[4,1,1] = constant {1, 10, 100, 1000} %3: f32[1,4,1,1] = mul(%1, %2)",
                    "1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3", "", "%3, %4"),
              graph("", "1, 20, 3, 40, 5, 60, 700, 8000, 900, 1000, 200, 3000", "", "%1, %4"));
  expect_pass(sink_scale,
              graph("%2: f32[4,1,1] = constant {1, 10, 100, 1000} %3: f32[1,4,1,1] = add(%1, %2)",
                    "1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3", "", "%3, %4"),
              graph("", "1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3", "%5: f32[6] = constant {21, 43, 65, 8700, 1900, 3200}",
                    "%1, %4, %5"));
}

TEST(SinkScale, EveryConvolutionThatReadsTakesItIn) {
  constexpr const char* text = R"(graph {{
    %0: f32[1,2,2,2] = input
    {}
    %4: f32[2,2,1,1] = constant {{{}}}
    %5: f32[1,2,2,2] = conv({}, %4) {}
    %6: f32[2,1,1,2] = constant {{{}}}
    %7: f32[1,2,2,2] = conv({}, %6) {}
    return %5, %7 }})";
  const auto graph = [&](std::string_view scale, std::string_view x, std::string_view w1, std::string_view w2) {
    return fmt::format(fmt::runtime(text), scale, w1, x, kPoint, w2, x, kPadded);
  };
  expect_pass(sink_scale,
              graph("%2: f32[1] = constant {10} %3: f32[1,2,2,2] = mul(%0, %2)", "%3", "1, 2, 3, 4", "5, 6, 7, 8"),
              graph("", "%0", "10, 20, 30, 40", "50, 60, 70, 80"));
}

TEST(SinkScale, WhatOthersReadStays) {
  std::string text = conv_of(kFactors, kPoint, kFull, "1, 2, 3, 4", "");
  text.replace(text.find("return %9"), 9, "return %9, %8");
  expect_untouched(sink_scale, text);
  expect_untouched(sink_scale, fmt::format(R"(graph {{
    %0: f32[1,2,2,2] = input
    %1: f32[1] = constant {{3}}
    %2: f32[1,2,2,2] = mul(%0, %1)
    %3: f32[2,2,1,1] = constant {{1, 2, 3, 4}}
    %4: f32[1,2,2,2] = conv(%2, %3) {}
    %5: f32[1,2,2,2] = add(%4, %2)
    return %5 }})",
                                           kPoint));
}

TEST(SinkScale, FactorsThatVaryAlongOtherDimsOrAreNotFiniteStay) {
  for (const char* constant : {"f32[2] = constant {1, 2}", "f32[1] = constant {inf}"})
    expect_untouched(sink_scale, conv_of(fmt::format("%2: {} %8: f32[1,2,2,2] = mul(%1, %2)", constant), kPoint, kFull,
                                         "1, 2, 3, 4", ""));
  expect_untouched(sink_scale, conv_of("%2: f32[1] = constant {1e+30} %8: f32[1,2,2,2] = mul(%1, %2)", kPoint, kFull,
                                       "1e+30, 2, 3, 4", ""));
}

TEST(SinkScale, UnknownWeightsStay) {
  expect_untouched(sink_scale, fmt::format(R"(graph {{
    %0: f32[1,1,2,2] = input
    %1: f32[2,1,1,1] = input
    %2: f32[1] = constant {{2}}
    %3: f32[1,1,2,2] = mul(%0, %2)
    %4: f32[1,2,2,2] = conv(%3, %1) {}
    return %4 }})",
                                           kPoint));
}

}  // namespace
}  // namespace oc::test
