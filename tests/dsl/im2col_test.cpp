// Convolutions as one matrix product against the direct sum: the formula's schedules, and others far from them in turn.
#include <gtest/gtest.h>

#include "base/compare.h"
#include "schedules/families/products.h"
#include "tests/dsl/conv_case.h"

namespace oc::test {
namespace {

constexpr double kTolerance = 2e-5;  // of any direct sum

// Extents and channels below, at and beyond a tile and a block; strides that taps outnumber and the reverse; pads on
// some sides only; images; windows of each extent; dilations, also with strides; one row or column of outputs, dilated
// windows in it too.
const std::vector<ConvShape> kShapes = {
    {{1, 1, 1, 1}, {1, 1, 3, 3}, {1, 1, 1, 1}},
    {{1, 2, 3, 2}, {3, 2, 2, 2}, {0, 1, 0, 0}},
    {{1, 7, 15, 17}, {17, 7, 3, 3}, {1, 1, 1, 1}},
    {{2, 24, 9, 11}, {40, 24, 3, 3}, {1, 0, 2, 1}},
    {{1, 33, 7, 7}, {31, 33, 3, 3}, {1, 1, 1, 1}},
    {{1, 127, 4, 33}, {127, 127, 3, 3}, {2, 2, 0, 0}},
    {{1, 16, 14, 14}, {33, 16, 3, 3}, {1, 1, 1, 1}, {2, 2}},
    {{3, 16, 31, 15}, {16, 16, 3, 3}, {1, 0, 2, 1}, {2, 3}},
    {{1, 31, 17, 15}, {16, 31, 5, 5}, {2, 2, 1, 1}, {3, 2}},
    {{1, 16, 33, 17}, {16, 16, 7, 7}, {3, 3, 3, 3}, {2, 2}},
    {{1, 17, 9, 15}, {16, 17, 7, 4}, {3, 1, 3, 2}, {2, 1}},
    {{1, 16, 127, 7}, {16, 16, 1, 6}, {0, 2, 0, 3}, {1, 2}},
    {{1, 16, 31, 3}, {16, 16, 6, 1}, {3, 0, 2, 0}, {3, 1}},
    {{2, 48, 15, 7}, {31, 48, 1, 1}, {0, 0, 0, 0}, {2, 2}},
    {{1, 32, 17, 2}, {48, 32, 1, 1}, {1, 0, 0, 1}, {3, 2}},
    {{1, 16, 16, 16}, {16, 16, 3, 3}, {2, 2, 2, 2}, {1, 1}, {2, 2}},
    {{2, 16, 15, 17}, {16, 16, 3, 3}, {3, 1, 2, 4}, {2, 3}, {3, 2}},
    {{1, 40, 1, 127}, {33, 40, 1, 3}, {0, 1, 0, 1}},
    {{2, 16, 1, 33}, {16, 16, 1, 5}, {0, 1, 0, 1}, {1, 2}, {1, 3}},
    {{2, 16, 5, 31}, {16, 16, 3, 3}, {0, 1, 0, 1}, {1, 1}, {2, 1}},
    {{1, 16, 33, 3}, {16, 16, 3, 3}, {1, 0, 1, 0}},
};

class Im2col : public testing::TestWithParam<int> {};

TEST_P(Im2col, AgreesWithTheDirectSum) {
  int turn = GetParam();
  for (const char* name : {"host", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    const ConvCase c = conv_case(kShapes[static_cast<size_t>(GetParam())], target.lanes(4));
    const std::vector<Tensor> inputs = case_inputs(c.op, 11);
    const Tensor expected = reference(op_info(builtin_ops(), "conv"), c.kernel, inputs);
    const std::vector<Schedule> schedules = product_schedules(c.kernel, target, kIm2col, turn++);
    ASSERT_GE(schedules.size(), 2U);
    for (const Schedule& s : schedules) {
      SCOPED_TRACE(std::string(name) + "\n" + c.kernel.workload.text + print_schedule(s));
      EXPECT_EQ(parse_schedule(print_schedule(s)), s);
      EXPECT_LE(err(run_schedule(c.kernel, target, s, inputs), expected), kTolerance);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, Im2col, testing::Range(0, static_cast<int>(kShapes.size())));

// A tile goes on in the next row: 49 points of rows of 7 are two tiles of 25, of which one point is made twice.
TEST(Im2colTiles, ReachAcrossTheEndsOfRows) {
  const Target target = parse_target("x86-64-avx512");
  const ConvCase c = conv_case({{1, 32, 7, 7}, {32, 32, 3, 3}, {1, 1, 1, 1}}, 16);
  Schedule s = product_fallback(c.kernel, target, 1, kIm2col);
  s.values["band.y"] = 7;
  s.values["tile.x"] = 25;
  s.values["tile.c"] = 1;
  EXPECT_EQ(why_illegal(c.kernel, target, s), "");
  const Nest nest = loop_nests(c.kernel, target, s).front();
  EXPECT_EQ(nest.sums, 25);
  EXPECT_EQ(nest.depth, 9 * 32);
  EXPECT_DOUBLE_EQ(nest.flops, c.kernel.flops);
  EXPECT_DOUBLE_EQ(nest.computed, 50.0 / 49);
}

// Few points and many weights: rows of 7 fill no tile, and a stream of weights can be asked for ahead. Where Winograd
// saves enough, it is chosen.
TEST(Im2colTiles, AreTheDefaultWhereWeightsAreWhatIsWaitedFor) {
  const Target target = parse_target("x86-64-avx512");
  const auto chosen = [&](int64_t extent, int64_t channels, int64_t stride, int threads) {
    const ConvShape shape{{1, channels, extent, extent}, {channels, channels, 3, 3}, {1, 1, 1, 1}, {stride, stride}};
    return default_schedule(conv_case(shape, 16).kernel, target, threads);
  };
  for (const int threads : {1, 2}) {
    const Schedule s = chosen(14, 512, 2, threads);
    EXPECT_EQ(s["algorithm.form"], kIm2col) << print_schedule(s);
    EXPECT_EQ(s["tile.x"], 25);
    EXPECT_GT(s["prefetch.w"], 0);
    // Each thread reads the weights of its own channels.
    EXPECT_EQ(s["parallel.axis"], threads == 1 ? kParallelY : kParallelC);
  }
  EXPECT_EQ(chosen(28, 256, 2, 1)["algorithm.form"], kWinograd2);
  EXPECT_EQ(chosen(56, 64, 1, 1)["algorithm.form"], kWinograd4);
}

TEST(Im2colTiles, AreRefusedWhereTheyDoNotApply) {
  const Target target = parse_target("x86-64-avx512");
  const ConvShape usual{{1, 16, 8, 8}, {16, 16, 3, 3}, {1, 1, 1, 1}};
  const Schedule s = product_fallback(conv_case(usual, 16).kernel, target, 1, kIm2col);
  const auto refusal = [&](const ConvShape& shape, int64_t group = 1, int64_t block = 16) {
    return why_illegal(conv_case(shape, block, group).kernel, target, s);
  };
  EXPECT_EQ(refusal(usual), "");
  EXPECT_EQ(refusal({{1, 32, 8, 8}, {32, 16, 3, 3}, {1, 1, 1, 1}}, 2), "im2col is for convolutions of one group");
  EXPECT_EQ(refusal({{1, 16, 8, 8}, {16, 16, 1, 1}, {0, 0, 0, 0}}),
            "im2col would copy what lies in order: one tap of stride 1");
  EXPECT_EQ(refusal({{1, 16, 8, 8}, {16, 16, 4, 4}, {1, 1, 1, 1}, {2, 2}, {1, 1}, true}),
            "im2col is for convolutions that are not transposed");
  const auto with = [&](const char* knob, int64_t value) {
    Schedule changed = s;
    changed.values[knob] = value;
    return why_illegal(conv_case(usual, 16).kernel, target, changed);
  };
  EXPECT_EQ(with("band.y", 9), "band y=9 of 8 rows of points");
  EXPECT_EQ(with("unroll.kx", 1), "unroll kx=1: im2col unrolls no taps");
  EXPECT_EQ(with("parallel.axis", kParallelX), "im2col splits its work over y or c, not over x");
}

}  // namespace
}  // namespace oc::test
