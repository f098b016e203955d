#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// %0 [2,3,8], its mean %1, %0 less that %2; a norm of `x` (%2 or %0) over the last dim, ending in `quotient`.
std::string norm(std::string_view x, std::string_view quotient, std::string_view more = "") {
  return fmt::format(R"(graph {{
    %0: f32[2,3,8] = input
    %1: f32[2,3,1] = reduce_mean(%0) {{axes=[2]}}
    %2: f32[2,3,8] = sub(%0, %1)
    %3: f32[2,3,8] = mul({0}, {0})
    %4: f32[2,3,1] = reduce_mean(%3) {{axes=[2]}}
    %5: f32[] = constant {{0.25}}
    %6: f32[2,3,1] = add(%4, %5)
    %7: f32[2,3,1] = sqrt(%6)
    {1}
    return %10{2} }})",
                     x, quotient, more);
}

const std::string kDivided = "%10: f32[2,3,8] = div({}, %7)";

std::string divided(std::string_view x) {
  return fmt::format(fmt::runtime(kDivided), x);
}

std::string fused(std::string_view op) {
  return fmt::format("graph {{ %0: f32[2,3,8] = input %1: f32[2,3,8] = {}(%0) {{axis=2, epsilon=0.25}} return %1 }}",
                     op);
}

// The text without what computes the mean, for norms that need none.
std::string without_mean(std::string text) {
  for (const char* line : {"%1: f32[2,3,1] = reduce_mean(%0) {axes=[2]}", "%2: f32[2,3,8] = sub(%0, %1)"})
    text.erase(text.find(line), std::string_view(line).size());
  return text;
}

TEST(FuseNorm, ACentredQuotientIsALayerNorm) {
  expect_pass(fuse_norm, norm("%2", divided("%2")), fused("layer_norm"));
}

TEST(FuseNorm, OneThatIsNotCentredIsAnRmsNorm) {
  expect_pass(fuse_norm, without_mean(norm("%0", divided("%0"))), fused("rms_norm"));
}

TEST(FuseNorm, TheInverseMayBeMultiplied) {
  for (const char* quotient : {"%8: f32[2,3,1] = reciprocal(%7) %10: f32[2,3,8] = mul(%2, %8)",
                               "%8: f32[2,3,1] = reciprocal(%7) %10: f32[2,3,8] = mul(%8, %2)",
                               "%8: f32[] = constant {1} %9: f32[2,3,1] = div(%8, %7) %10: f32[2,3,8] = mul(%2, %9)"})
    expect_pass(fuse_norm, norm("%2", quotient), fused("layer_norm"));
}

TEST(FuseNorm, SeveralDimsMustBeTheLast) {
  const auto over = [](const char* axes, const char* kept) {
    return fmt::format(R"(graph {{
      %0: f32[2,3,8] = input
      %3: f32[2,3,8] = mul(%0, %0)
      %4: f32[{1}] = reduce_mean(%3) {{axes=[{0}]}}
      %5: f32[] = constant {{0.25}}
      %6: f32[{1}] = add(%5, %4)
      %7: f32[{1}] = sqrt(%6)
      %10: f32[2,3,8] = div(%0, %7)
      return %10 }})",
                       axes, kept);
  };
  expect_pass(fuse_norm, over("1, 2", "2,1,1"),
              "graph { %0: f32[2,3,8] = input %1: f32[2,3,8] = rms_norm(%0) {axis=1, epsilon=0.25} return %1 }");
  expect_untouched(fuse_norm, over("1", "2,1,8"));
  expect_untouched(fuse_norm, over("0, 2", "1,3,1"));
}

// What else reads a part of it would have to be computed again.
TEST(FuseNorm, PartsThatOthersReadStay) {
  for (const char* more : {", %4", ", %6", ", %7"}) expect_untouched(fuse_norm, norm("%2", divided("%2"), more));
}

TEST(FuseNorm, ACentredValueThatOthersReadIsTheInputOfAnRmsNorm) {
  expect_pass(fuse_norm, norm("%2", divided("%2"), ", %2"), R"(graph {
    %0: f32[2,3,8] = input
    %1: f32[2,3,1] = reduce_mean(%0) {axes=[2]}
    %2: f32[2,3,8] = sub(%0, %1)
    %3: f32[2,3,8] = rms_norm(%2) {axis=2, epsilon=0.25}
    return %3, %2 })");
}

// Another value is divided, or the mean is over another dim than the square's.
TEST(FuseNorm, OtherQuotientsStay) {
  expect_untouched(fuse_norm, norm("%2", divided("%0")));
  std::string text = norm("%2", divided("%2"));
  const std::string_view mean = "%1: f32[2,3,1] = reduce_mean(%0) {axes=[2]}";
  text.replace(text.find(mean), mean.size(), "%1: f32[2,1,8] = reduce_mean(%0) {axes=[1]}");
  expect_pass(fuse_norm, text, R"(graph {
    %0: f32[2,3,8] = input
    %1: f32[2,1,8] = reduce_mean(%0) {axes=[1]}
    %2: f32[2,3,8] = sub(%0, %1)
    %3: f32[2,3,8] = rms_norm(%2) {axis=2, epsilon=0.25}
    return %3 })");
}

}  // namespace
}  // namespace oc::test
