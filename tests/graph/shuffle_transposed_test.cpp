#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

constexpr const char* kTarget = "x86-64-avx2";

// Two channels in, `out` out, a window of 1×2.
std::string transposed(const char* bias, const char* attributes) {
  return fmt::format(R"(graph {{
    %0: f32[1,2,3,5] = input
    %1: f32[2,1,1,2] = constant {{1, 2, 3, 4}}
    {}
    return %9 }})",
                     fmt::format("{} {{{}}}", bias, attributes));
}

constexpr const char* kSideBySide = "dilations=[1,1], group=1, output_padding=[0,0], pads=[0,0,0,0], strides=[1,2]";

TEST(ShuffleTransposed, EachPositionOfTheWindowIsAChannel) {
  expect_pass(shuffle_transposed, transposed("%9: f32[1,1,3,10] = conv_transpose(%0, %1)", kSideBySide), R"(graph {
    %0: f32[1,2,3,5] = input
    %1: f32[2,2,1,1] = constant {1, 3, 2, 4}
    %2: f32[1,2,3,5] = conv(%0, %1) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}
    %3: f32[1,1,1,2,3,5] = reshape(%2) {shape=[1,1,1,2,3,5]}
    %4: f32[1,1,3,1,5,2] = transpose(%3) {perm=[0,1,4,2,5,3]}
    %5: f32[1,1,3,10] = reshape(%4) {shape=[1,1,3,10]}
    return %5 })",
              kTarget);
}

TEST(ShuffleTransposed, TheBiasIsEachPositions) {
  expect_pass(shuffle_transposed,
              transposed("%2: f32[1] = constant {5} %9: f32[1,1,3,10] = conv_transpose(%0, %1, %2)", kSideBySide),
              R"(graph {
    %0: f32[1,2,3,5] = input
    %1: f32[2,2,1,1] = constant {1, 3, 2, 4}
    %2: f32[2] = constant {5, 5}
    %3: f32[1,2,3,5] = conv(%0, %1, %2) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}
    %4: f32[1,1,1,2,3,5] = reshape(%3) {shape=[1,1,1,2,3,5]}
    %5: f32[1,1,3,1,5,2] = transpose(%4) {perm=[0,1,4,2,5,3]}
    %6: f32[1,1,3,10] = reshape(%5) {shape=[1,1,3,10]}
    return %6 })",
              kTarget);
}

// Windows that overlap, leave gaps, are cut or go on past the last input.
TEST(ShuffleTransposed, OtherWindowsStay) {
  const auto stays = [](const char* out, const char* attributes) {
    expect_untouched(shuffle_transposed,
                     transposed(fmt::format("%9: f32[{}] = conv_transpose(%0, %1)", out).c_str(), attributes), kTarget);
  };
  stays("1,1,3,6", "dilations=[1,1], group=1, output_padding=[0,0], pads=[0,0,0,0], strides=[1,1]");
  stays("1,1,3,14", "dilations=[1,1], group=1, output_padding=[0,0], pads=[0,0,0,0], strides=[1,3]");
  stays("1,1,3,11", "dilations=[1,2], group=1, output_padding=[0,0], pads=[0,0,0,0], strides=[1,2]");
  stays("1,1,3,9", "dilations=[1,1], group=1, output_padding=[0,0], pads=[0,1,0,0], strides=[1,2]");
  stays("1,1,3,11", "dilations=[1,1], group=1, output_padding=[0,1], pads=[0,0,0,0], strides=[1,2]");
  stays("1,2,3,10", "dilations=[1,1], group=2, output_padding=[0,0], pads=[0,0,0,0], strides=[1,2]");
}

TEST(ShuffleTransposed, OutputsThatFillAVectorStay) {
  std::string weights;
  for (int i = 0; i < 16; ++i) weights += (i > 0 ? ", " : "") + std::to_string(i);
  expect_untouched(shuffle_transposed,
                   fmt::format(R"(graph {{
    %0: f32[1,1,3,5] = input
    %1: f32[1,8,1,2] = constant {{{}}}
    %9: f32[1,8,3,10] = conv_transpose(%0, %1) {{{}}}
    return %9 }})",
                               weights, kSideBySide),
                   kTarget);
}

TEST(ShuffleTransposed, UnknownWeightsStay) {
  expect_untouched(shuffle_transposed,
                   fmt::format(R"(graph {{
    %0: f32[1,2,3,5] = input
    %1: f32[2,1,1,2] = input
    %9: f32[1,1,3,10] = conv_transpose(%0, %1) {{{}}}
    return %9 }})",
                               kSideBySide),
                   kTarget);
}

}  // namespace
}  // namespace oc::test
