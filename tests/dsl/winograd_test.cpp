// Winograd's forms of convolution: every legal schedule, on sizes that tiles do not divide, against the direct sum.
#include "dsl/winograd.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/compare.h"
#include "schedules/apply.h"
#include "schedules/families/winograd.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

struct Shape4 {
  Extents x, w, pads;
};

// Sizes below, at and beyond a tile; channels that fill no block; pads on some sides only; two images.
const std::vector<Shape4> kShapes = {
    {{1, 16, 8, 8}, {16, 16, 3, 3}, {1, 1, 1, 1}},     {{1, 16, 14, 14}, {33, 16, 3, 3}, {1, 1, 1, 1}},
    {{2, 24, 9, 11}, {40, 24, 3, 3}, {1, 0, 2, 1}},    {{1, 40, 7, 7}, {17, 40, 3, 3}, {0, 0, 0, 0}},
    {{1, 5, 3, 3}, {7, 5, 3, 3}, {0, 0, 0, 0}},        {{1, 8, 1, 1}, {8, 8, 3, 3}, {1, 1, 1, 1}},
    {{1, 31, 15, 17}, {31, 31, 3, 3}, {1, 1, 1, 1}},   {{3, 16, 2, 31}, {16, 16, 3, 3}, {1, 1, 1, 1}},
    {{1, 127, 4, 33}, {127, 127, 3, 3}, {2, 2, 0, 0}},
};

struct Case {
  OpCase op;
  Kernel kernel;
};

Case make_case(const Shape4& shape, int64_t block) {
  OpCase c;
  const std::string tag = fmt::format("aBcd{}b", block);
  c.inputs = {{.shape = shape.x, .layout = tag},
              {.shape = shape.w, .weight = true},
              {.shape = {shape.w[0]}, .weight = true, .layout = fmt::format("A{}a", block)}};
  c.attrs = {{"strides", Extents{1, 1}}, {"pads", shape.pads}, {"dilations", Extents{1, 1}}, {"group", int64_t{1}}};
  c.out_layout = tag;
  return {c, analyse(case_workload(op_info(builtin_ops(), "conv"), c), builtin_ops())};
}

// The formula's schedule, and others far from it, as far as they are legal.
std::vector<Schedule> schedules_of(const Kernel& kernel, const Target& target, int64_t form) {
  std::vector<Schedule> result;
  for (const int threads : {1, 2}) result.push_back(winograd_fallback(kernel, target, threads, form));
  for (const auto& [band, tile, tasks] :
       {std::array<int64_t, 3>{1, 3, 1}, {1, 1, 3}, {2, 7, 1}, {2, 3, 3}, {3, 7, 3}}) {
    Schedule s = result.front();
    s.values["band.y"] = band;
    s.values["tile.x"] = tile;
    s.values["tile.c"] = 1 + band % 2;
    if (s["tile.c"] > 1) s.values["prefetch.w"] = 0;
    s.values["pad.at"] = band == 1 ? kPadRoot : kPadBand;
    s.values["order.inner"] = band == 2 ? kInnerX : kInnerC;
    s.values["unroll.ci"] = tile;
    s.values["parallel.axis"] = tasks > 1 && tile == 3 ? kParallelC : kParallelY;
    s.values["parallel.tasks"] = tasks;
    if (s["parallel.axis"] == kParallelC) s.values["pad.at"] = kPadRoot;
    if (why_illegal(kernel, target, s).empty()) result.push_back(s);
  }
  return result;
}

Tensor run_schedule(const Kernel& kernel, const Target& target, const Schedule& s, const std::vector<Tensor>& inputs) {
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, s);
    return run(lowered, kernel, inputs, weight_packings(kernel, target, s), target);
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
    return {};
  }
}

class WinogradForm : public testing::TestWithParam<int> {};

TEST_P(WinogradForm, AgreesWithTheDirectSumUnderEverySchedule) {
  const Shape4& shape = kShapes[static_cast<size_t>(GetParam())];
  const OpInfo& op = op_info(builtin_ops(), "conv");
  for (const char* name : {"host", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    const Case c = make_case(shape, target.lanes(4));
    const std::vector<Tensor> inputs = case_inputs(c.op, 11);
    const Tensor expected = reference(op, c.kernel, inputs);
    ASSERT_EQ(why_no_winograd(c.kernel), "");
    for (const int64_t form : {kWinograd2, kWinograd4})
      for (const Schedule& s : schedules_of(c.kernel, target, form)) {
        SCOPED_TRACE(std::string(name) + "\n" + c.kernel.workload.text + print_schedule(s));
        EXPECT_LE(err(run_schedule(c.kernel, target, s, inputs), expected), kWinogradTolerance);
      }
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, WinogradForm, testing::Range(0, static_cast<int>(kShapes.size())));

TEST(Winograd, ANanStaysInItsTilesAndNoneIsLost) {
  const Target target = host_target();
  const Case c = make_case({{1, 16, 16, 16}, {16, 16, 3, 3}, {1, 1, 1, 1}}, target.lanes(4));
  std::vector<Tensor> inputs = case_inputs(c.op, 3);
  Tensor plain = relayout(inputs[0], {});
  plain.as<float>()[8 * 16 + 8] = std::numeric_limits<float>::quiet_NaN();  // channel 0, row 8, column 8
  inputs[0] = relayout(plain, inputs[0].layout);
  const Schedule s = winograd_fallback(c.kernel, target, 1, kWinograd4);
  const Tensor out = relayout(run_schedule(c.kernel, target, s, inputs), {});
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) {
      const bool near = std::abs(y - 8) <= 1 && std::abs(x - 8) <= 1;
      const bool in_tiles = y >= 4 && y < 12 && x >= 4 && x < 12;  // the tiles that read (8, 8)
      const bool nan = std::isnan(out.as<float>()[static_cast<size_t>(y * 16 + x)]);
      EXPECT_TRUE(nan || !near) << y << " " << x;
      EXPECT_TRUE(!nan || in_tiles) << y << " " << x;
    }
}

TEST(Winograd, IsRefusedWhereItDoesNotApply) {
  const Target target = host_target();
  const Case c = make_case(kShapes[0], target.lanes(4));
  const Schedule s = winograd_fallback(c.kernel, target, 1, kWinograd4);
  OpCase strided = c.op;
  strided.attrs["strides"] = Extents{2, 2};
  const Kernel other = analyse(case_workload(op_info(builtin_ops(), "conv"), strided), builtin_ops());
  EXPECT_EQ(why_illegal(other, target, s), "Winograd needs a 3×3 window of stride 1 without dilation and groups");
  Schedule large = s;
  large.values["tile.x"] = 64;
  EXPECT_EQ(why_illegal(c.kernel, target, large), "tile x=64 of 4 points in a band");
  const Case ragged = make_case(kShapes[4], target.lanes(4));
  Schedule ahead = winograd_fallback(ragged.kernel, target, 1, kWinograd2);
  ahead.values["prefetch.w"] = 64;
  EXPECT_EQ(why_illegal(ragged.kernel, target, ahead),
            "prefetch w needs tile c=1, output blocks of a line of cache and input channels that fill their blocks");
}

}  // namespace
}  // namespace oc::test
