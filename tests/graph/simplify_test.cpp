#include <fmt/format.h>
#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

// A chain x → … → y: `nodes` are ops with their attributes, "relu", "clip {max=6.0, min=0.0}".
std::string chain(std::string_view type, const std::vector<std::string>& nodes) {
  std::string text = fmt::format("graph {{ %0 \"x\": {} = input ", type);
  size_t last = 0;
  for (const std::string& node : nodes) {
    const size_t space = std::min(node.find(' '), node.size());
    text += fmt::format("%{}{}: {} = {}(%{}){} ", last + 1, last + 1 == nodes.size() ? " \"y\"" : "", type,
                        node.substr(0, space), last, node.substr(space));
    ++last;
  }
  return text + fmt::format("return %{} }}", last);
}

struct Chain {
  std::vector<std::string> before, after;
};

TEST(Simplify, RunsOfOneOpAndBoundsMerge) {
  const Chain cases[] = {
      {{"relu", "relu"}, {"relu"}},
      {{"abs", "abs", "abs"}, {"abs"}},
      {{"exp", "neg", "neg", "exp"}, {"exp", "exp"}},
      {{"exp", "clip {max=inf, min=-inf}"}, {"exp"}},
      {{"clip {max=inf, min=0.0}"}, {"relu"}},
      {{"relu", "clip {max=6.0, min=-1.0}"}, {"clip {max=6.0, min=0.0}"}},
      {{"clip {max=1.0, min=-1.0}", "relu"}, {"clip {max=1.0, min=0.0}"}},
      {{"clip {max=1.0, min=-1.0}", "clip {max=2.0, min=-0.5}"}, {"clip {max=1.0, min=-0.5}"}},
      {{"exp", "cast {to=\"f32\"}"}, {"exp"}},
      {{"exp", "reshape {shape=[2,3]}"}, {"exp"}},
      {{"exp", "expand {shape=[2,3]}"}, {"exp"}},
      {{"exp", "transpose {perm=[0,1]}"}, {"exp"}},
      {{"exp", "pad {mode=\"constant\", pads=[0,0,0,0], value=0.0}"}, {"exp"}},
      {{"exp", "slice {sizes=[2,3], starts=[0,0], steps=[1,1]}"}, {"exp"}},
      {{"exp", "concat {axis=1}"}, {"exp"}},
  };
  for (const Chain& c : cases) expect_pass(simplify, chain("f32[2,3]", c.before), chain("f32[2,3]", c.after));
}

// Exporters merge leading dims around the transposition of keys.
TEST(Simplify, ATranspositionBetweenReshapesThatUndoEachOtherIsOne) {
  const auto text = [](std::string_view shape, std::string_view out) {
    return fmt::format(
        "graph {{ %0: f32[1,6,5,4] = input %1: f32{0} = reshape(%0) {{shape={0}}} "
        "%2: f32[6,4,5] = transpose(%1) {{perm=[0,2,1]}} %3: f32{1} = reshape(%2) {{shape={1}}} "
        "return %3 }}",
        shape, out);
  };
  expect_pass(simplify, text("[6,5,4]", "[1,6,4,5]"),
              "graph { %0: f32[1,6,5,4] = input %1: f32[1,6,4,5] = transpose(%0) {perm=[0,1,3,2]} return %1 }");
  expect_untouched(simplify, text("[6,5,4]", "[2,3,4,5]"));
  expect_untouched(simplify, text("[6,5,4]", "[1,24,5]"));
}

TEST(Simplify, WhatOnlyLooksAlikeStays) {
  const std::vector<std::string> cases[] = {
      {"neg", "abs"},
      {"exp", "exp"},
      {"relu", "neg", "relu"},
      {"clip {max=-1.0, min=-2.0}", "clip {max=2.0, min=1.0}"},  // always 1, but NaN
      {"clip {max=inf, min=-1.0}"},
      {"slice {sizes=[2,3], starts=[1,0], steps=[-1,1]}"},
      {"leaky_relu {alpha=0.5}", "leaky_relu {alpha=0.5}"},
  };
  for (const auto& nodes : cases) expect_untouched(simplify, chain("f32[2,3]", nodes));
}

// An output is its own tensor: the caller's input cannot stand for it.
TEST(Simplify, AnOutputIsNeverAnInput) {
  expect_untouched(simplify, chain("f32[2,3]", {"reshape {shape=[2,3]}"}));
  expect_untouched(simplify, chain("f32[2,3]", {"neg", "neg"}));
}

TEST(Simplify, AResultReadTwiceStaysForItsOtherReader) {
  expect_pass(simplify,
              "graph { %0: f32[2] = input %1 \"a\": f32[2] = relu(%0) %2: f32[2] = clip(%1) {max=6.0, min=-1.0} "
              "%3: f32[2] = add(%1, %2) return %3 }",
              "graph { %0: f32[2] = input %1 \"a\": f32[2] = relu(%0) %2: f32[2] = clip(%0) {max=6.0, min=0.0} "
              "%3: f32[2] = add(%1, %2) return %3 }");
}

TEST(Simplify, TwoOutputsStayTwo) {
  expect_pass(simplify,
              "graph { %0: f32[2] = input %1 \"a\": f32[2] = neg(%0) %2: f32[2] = neg(%1) %3 \"b\": f32[2] = neg(%2) "
              "return %1, %3 }",
              "graph { %0: f32[2] = input %1 \"a\": f32[2] = neg(%0) %2 \"b\": f32[2] = neg(%0) return %1, %2 }");
}

TEST(Simplify, NeutralOperandsVanish) {
  for (const char* op : {"add(%1, %2)", "add(%2, %1)", "sub(%1, %2)"})
    expect_pass(simplify,
                fmt::format("graph {{ %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[2] = constant {{0, -0}} "
                            "%3 \"y\": f32[2] = {} return %3 }}",
                            op),
                "graph { %0: f32[2] = input %1 \"y\": f32[2] = exp(%0) return %1 }");
  for (const char* op : {"mul(%1, %2)", "mul(%2, %1)", "div(%1, %2)", "pow(%1, %2)"})
    expect_pass(simplify,
                fmt::format("graph {{ %0: f32[2] = input %1: f32[2] = exp(%0) %2: f32[1] = constant {{1}} "
                            "%3 \"y\": f32[2] = {} return %3 }}",
                            op),
                "graph { %0: f32[2] = input %1 \"y\": f32[2] = exp(%0) return %1 }");
}

TEST(Simplify, OperandsThatAreNotNeutralStay) {
  for (const char* op : {"sub(%2, %1)", "mul(%1, %2)", "div(%2, %1)", "pow(%2, %1)"})
    expect_untouched(simplify, fmt::format("graph {{ %0: f32[2] = input %1: f32[2] = exp(%0) "
                                           "%2: f32[1] = constant {{0}} %3: f32[2] = {} return %3 }}",
                                           op));
  // x · 0 is not 0 where x is NaN; x + {0, 1} is not x; x + 0 with more elements is another shape.
  expect_untouched(simplify,
                   "graph { %0: f32[2] = input %1: f32[2] = constant {0, 1} %2: f32[2] = add(%0, %1) "
                   "%3: f32[3,2] = constant {0, 0, 0, 0, 0, 0} %4: f32[3,2] = add(%2, %3) return %4 }");
}

TEST(Simplify, SquaresAndMaximaBecomeCheaperOps) {
  expect_pass(simplify,
              "graph { %0: f32[2] = input %1: f32[1] = constant {2} %2: f32[2] = pow(%0, %1) %3: f32[1] = constant {0} "
              "%4: f32[2] = max(%3, %2) return %4 }",
              "graph { %0: f32[2] = input %1: f32[2] = mul(%0, %0) %2: f32[2] = relu(%1) return %2 }");
  expect_untouched(simplify,
                   "graph { %0: f32[2] = input %1: f32[1] = constant {3} %2: f32[2] = pow(%0, %1) "
                   "%3: f32[1] = constant {1} %4: f32[2] = max(%3, %2) return %4 }");
}

TEST(Simplify, TransposesMergeAndThoseOfUnitDimsAreReshapes) {
  expect_pass(simplify,
              "graph { %0: f32[2,3,4] = input %1: f32[4,2,3] = transpose(%0) {perm=[2,0,1]} "
              "%2: f32[3,2,4] = transpose(%1) {perm=[2,1,0]} return %2 }",
              "graph { %0: f32[2,3,4] = input %1: f32[3,2,4] = transpose(%0) {perm=[1,0,2]} return %1 }");
  expect_pass(simplify, "graph { %0: f32[2,1,4] = input %1: f32[2,4,1] = transpose(%0) {perm=[0,2,1]} return %1 }",
              "graph { %0: f32[2,1,4] = input %1: f32[2,4,1] = reshape(%0) {shape=[2,4,1]} return %1 }");
  expect_untouched(simplify,
                   "graph { %0: f32[2,1,4] = input %1: f32[4,1,2] = transpose(%0) {perm=[2,1,0]} return %1 }");
}

TEST(Simplify, ReshapesOfReshapesAreOne) {
  expect_pass(simplify,
              "graph { %0: f32[2,3] = input %1: f32[6] = reshape(%0) {shape=[6]} "
              "%2: f32[3,2] = reshape(%1) {shape=[3,2]} return %2 }",
              "graph { %0: f32[2,3] = input %1: f32[3,2] = reshape(%0) {shape=[3,2]} return %1 }");
}

TEST(Simplify, CastsThereAndBackGoOnlyThroughWiderTypes) {
  expect_pass(simplify,
              "graph { %0: i32[2] = input %1: i32[2] = abs(%0) %2: i64[2] = cast(%1) {to=\"i64\"} "
              "%3 \"y\": i32[2] = cast(%2) {to=\"i32\"} return %3 }",
              "graph { %0: i32[2] = input %1 \"y\": i32[2] = abs(%0) return %1 }");
  expect_untouched(simplify,
                   "graph { %0: f32[2] = input %1: f32[2] = abs(%0) %2: i64[2] = cast(%1) {to=\"i64\"} "
                   "%3: f32[2] = cast(%2) {to=\"f32\"} return %3 }");
}

TEST(Simplify, BroadcastingMakesAnExpandSuperfluous) {
  expect_pass(simplify,
              "graph { %0: f32[2] = input %1: f32[3,2] = input %2: f32[3,2] = expand(%0) {shape=[3,2]} "
              "%3: f32[3,2] = add(%2, %1) return %3 }",
              "graph { %0: f32[2] = input %1: f32[3,2] = input %2: f32[3,2] = add(%0, %1) return %2 }");
  expect_untouched(simplify,
                   "graph { %0: f32[2] = input %1: f32[2] = input %2: f32[3,2] = expand(%0) {shape=[3,2]} "
                   "%3: f32[3,2] = add(%2, %1) return %3 }");
  // Both operands are expanded: one has to stay.
  expect_pass(simplify,
              "graph { %0: f32[2] = input %1: f32[3,2] = expand(%0) {shape=[3,2]} "
              "%2: f32[3,2] = mul(%1, %1) return %2 }",
              "graph { %0: f32[2] = input %1: f32[3,2] = expand(%0) {shape=[3,2]} "
              "%2: f32[3,2] = mul(%0, %1) return %2 }");
}

// The scales of a resize may be left to follow from the sizes.
TEST(Simplify, AResizeToTheSameSizeVanishesWithOrWithoutScales) {
  for (const char* scales : {"", ", scales=[1.0,1.0,1.0,1.0]"}) {
    const std::string text = fmt::format(
        "graph {{ %0: f32[1,2,3,4] = input %1: f32[1,2,3,4] = exp(%0) "
        "%2 \"y\": f32[1,2,3,4] = resize(%1) {{sizes=[1,2,3,4]{}}} return %2 }}",
        scales);
    const Target target = host_target();
    EXPECT_EQ(print_graph(simplify(parse_graph(text), {all_ops(), target})),
              normal("graph { %0: f32[1,2,3,4] = input %1 \"y\": f32[1,2,3,4] = exp(%0) return %1 }"));
  }
}

TEST(Simplify, ElementwiseNodesComeBeforeViews) {
  expect_pass(simplify,
              "graph { %0 \"x\": f32[2,6] = input %1: f32[2,6] = softmax(%0) {axis=1} "
              "%2: f32[2,1,6] = reshape(%1) {shape=[2,1,6]} %3: f32[2,1,6] = relu(%2) "
              "%4: f32[6] = constant {1, 2, 3, 4, 5, 6} %5: f32[2,1,6] = add(%3, %4) "
              "%6: f32[2,6] = reshape(%5) {shape=[2,6]} %7 \"y\": f32[2,6] = softmax(%6) {axis=1} return %7 }",
              "graph { %0 \"x\": f32[2,6] = input %1: f32[2,6] = softmax(%0) {axis=1} %2: f32[2,6] = relu(%1) "
              "%3: f32[1,6] = constant {1, 2, 3, 4, 5, 6} %4: f32[2,6] = add(%2, %3) "
              "%5 \"y\": f32[2,6] = softmax(%4) {axis=1} return %5 }");
}

// The view goes to what is read anyhow: the other operand.
TEST(Simplify, AViewedOperandMeetsOneOfTheSameShape) {
  expect_pass(simplify,
              "graph { %0 \"x\": f32[2,6] = input %1 \"z\": f32[3,4] = input %2: f32[2,6] = softmax(%0) {axis=1} "
              "%3: f32[3,4] = reshape(%2) {shape=[3,4]} %4 \"y\": f32[3,4] = add(%3, %1) return %4 }",
              "graph { %0 \"x\": f32[2,6] = input %1 \"z\": f32[3,4] = input %2: f32[2,6] = softmax(%0) {axis=1} "
              "%3: f32[2,6] = reshape(%1) {shape=[2,6]} %4: f32[2,6] = add(%2, %3) "
              "%5 \"y\": f32[3,4] = reshape(%4) {shape=[3,4]} return %5 }");
}

TEST(Simplify, AViewStaysBeforeABroadcastThatItSplits) {
  expect_untouched(simplify,
                   "graph { %0 \"x\": f32[2,6] = input %1: f32[2,6] = softmax(%0) {axis=1} "
                   "%2: f32[2,2,3] = reshape(%1) {shape=[2,2,3]} %3: f32[3] = constant {1, 2, 3} "
                   "%4 \"y\": f32[2,2,3] = add(%2, %3) return %4 }");
}

// exp and add are one kernel as they are.
TEST(Simplify, AViewDoesNotComeBetweenElementwiseNodes) {
  expect_untouched(simplify,
                   "graph { %0 \"x\": f32[2,6] = input %1 \"z\": f32[3,4] = input %2: f32[2,6] = softmax(%0) {axis=1} "
                   "%3: f32[3,4] = reshape(%2) {shape=[3,4]} %4: f32[3,4] = exp(%1) "
                   "%5 \"y\": f32[3,4] = add(%3, %4) return %5 }");
}

TEST(Simplify, ASelectThatIsDecidedGoes) {
  expect_pass(simplify,
              "graph { %0 \"x\": f32[2] = input %1: bool[] = constant {0} %2: f32[2] = exp(%0) %3: f32[2] = neg(%0) "
              "%4 \"y\": f32[2] = select(%1, %2, %3) return %4 }",
              "graph { %0 \"x\": f32[2] = input %1 \"y\": f32[2] = neg(%0) return %1 }");
  expect_pass(simplify,
              "graph { %0 \"x\": f32[2] = input %1 \"c\": bool[] = input %2: f32[2] = exp(%0) "
              "%3 \"y\": f32[2] = select(%1, %2, %2) return %3 }",
              "graph { %0 \"x\": f32[2] = input %1 \"c\": bool[] = input %2 \"y\": f32[2] = exp(%0) return %2 }");
  expect_pass(simplify,
              "graph { %0 \"x\": f32[2] = input %1: bool[] = constant {0} %2: f32[2] = exp(%0) "
              "%3 \"y\": f32[2] = select(%1, _, %2) return %3 }",
              "graph { %0 \"x\": f32[2] = input %1 \"y\": f32[2] = exp(%0) return %1 }");
}

TEST(Simplify, ASelectThatChoosesAnAbsentSideStays) {
  const std::string text =
      "graph { %0 \"x\": f32[2] = input %1: bool[] = constant {0} %2: f32[2] = exp(%0) "
      "%3 \"y\": f32[2] = select(%1, %2, _) return %3 }";
  EXPECT_EQ(print_graph(simplify(parse_graph(text), {all_ops(), parse_target("host")})), normal(text));
}

}  // namespace
}  // namespace oc::test
