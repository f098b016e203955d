// Winograd's forms of convolution, on sizes that tiles do not divide, against the direct sum: the formula's schedules,
// and others far from them in turn.
#include "dsl/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/compare.h"
#include "schedules/families/products.h"
#include "tests/dsl/conv_case.h"

namespace oc::test {
namespace {

// Sizes below, at and beyond a tile; channels that fill no block; pads on some sides only; two images; windows of each
// extent; one axis only; one row or column of outputs.
const std::vector<ConvShape> kShapes = {
    {{1, 16, 8, 8}, {16, 16, 3, 3}, {1, 1, 1, 1}},
    {{1, 16, 14, 14}, {33, 16, 3, 3}, {1, 1, 1, 1}},
    {{2, 24, 9, 11}, {40, 24, 3, 3}, {1, 0, 2, 1}},
    {{1, 40, 7, 7}, {17, 40, 3, 3}, {0, 0, 0, 0}},
    {{1, 5, 3, 3}, {7, 5, 3, 3}, {0, 0, 0, 0}},
    {{1, 8, 1, 1}, {8, 8, 3, 3}, {1, 1, 1, 1}},
    {{1, 31, 15, 17}, {31, 31, 3, 3}, {1, 1, 1, 1}},
    {{3, 16, 2, 31}, {16, 16, 3, 3}, {1, 1, 1, 1}},
    {{1, 127, 4, 33}, {127, 127, 3, 3}, {2, 2, 0, 0}},
    {{1, 16, 31, 33}, {33, 16, 3, 3}, {1, 0, 2, 1}, {2, 2}},
    {{2, 24, 17, 15}, {16, 24, 5, 5}, {2, 2, 1, 1}, {2, 2}},
    {{1, 16, 33, 17}, {16, 16, 7, 7}, {3, 3, 3, 3}, {2, 2}},
    {{1, 17, 9, 15}, {16, 17, 7, 4}, {3, 1, 3, 2}, {2, 1}},
    {{1, 16, 3, 7}, {16, 16, 3, 6}, {1, 2, 1, 3}, {1, 2}},
    {{1, 16, 7, 16}, {16, 16, 2, 5}, {1, 2, 0, 2}},
    {{1, 31, 15, 15}, {16, 31, 5, 5}, {2, 2, 2, 2}},
    {{1, 16, 14, 15}, {16, 16, 7, 7}, {3, 3, 3, 3}},
    {{1, 40, 1, 127}, {33, 40, 1, 3}, {0, 1, 0, 1}},
    {{2, 16, 1, 33}, {16, 16, 1, 3}, {0, 1, 0, 1}, {2, 2}},
    {{1, 16, 33, 2}, {16, 16, 7, 1}, {3, 0, 3, 0}},
    {{1, 16, 3, 31}, {16, 16, 3, 3}, {0, 1, 0, 1}},
    {{1, 16, 16, 16}, {16, 16, 3, 3}, {2, 2, 2, 2}, {1, 1}, {2, 2}},
    {{2, 16, 15, 17}, {16, 16, 3, 3}, {3, 1, 2, 4}, {1, 1}, {3, 2}},
    {{1, 16, 7, 15}, {16, 16, 5, 3}, {2, 1, 2, 1}, {2, 1}, {1, 2}},
    {{1, 16, 1, 31}, {16, 16, 1, 3}, {0, 2, 0, 2}, {1, 1}, {1, 4}},
    {{1, 16, 7, 9}, {16, 16, 4, 4}, {1, 1, 1, 1}, {2, 2}, {1, 1}, true},
    {{2, 24, 5, 8}, {24, 17, 3, 5}, {1, 2, 0, 3}, {2, 2}, {1, 1}, true},
    {{1, 16, 1, 17}, {16, 33, 1, 7}, {0, 4, 0, 1}, {1, 3}, {1, 1}, true},
};

// How much the rounding errors of the products, of independent signs, exceed those of a direct sum.
double error_growth(const MinimalFilter& filter) {
  const FilterMatrices f = filter_matrices(filter);
  const auto squares = [](const std::vector<double>& row) {
    return std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
  };
  double most = 0;
  for (const std::vector<double>& output : f.output) {
    double sum = 0;
    for (size_t k = 0; k < output.size(); ++k)
      sum += output[k] * output[k] * squares(f.weights[k]) * squares(f.input[k]);
    most = std::max(most, sum / filter.r);
  }
  return std::sqrt(most);
}

double dot(const std::vector<double>& row, double (*value)(int)) {
  double sum = 0;
  for (size_t k = 0; k < row.size(); ++k) sum += row[k] * value(static_cast<int>(k));
  return sum;
}

// By definition, of the inputs that the filter has.
double direct_sum(const MinimalFilter& filter, int output, double (*input)(int), double (*weight)(int)) {
  double sum = 0;
  for (int k = 0; k < filter.r; ++k) {
    if (filter.up == 1) {
      sum += weight(k) * input(filter.stride * output + k);
      continue;
    }
    // An input's first output lies `up` after that of the one before it; the filter's inputs begin where the first
    // output still meets them.
    const int taps = (filter.r + filter.up - 1) / filter.up, reaches = output + filter.shift - k;
    if ((reaches + filter.up * filter.r) % filter.up == 0) sum += weight(k) * input(reaches / filter.up + taps - 1);
  }
  return sum;
}

TEST(MinimalFilter, ComputesTheDirectSum) {
  std::vector<MinimalFilter> filters;
  for (int r = 1; r <= 7; ++r)
    for (int m = 1; m <= 6; ++m)
      for (int stride : {1, 2, 3}) {
        filters.push_back({m, r, stride});
        for (int shift = 0; stride > 1 && shift < stride; ++shift) filters.push_back({m, r, 1, stride, shift});
      }
  const auto input = [](int i) { return std::sin(1.0 + i); };
  const auto weight = [](int k) { return std::cos(2.0 + k); };
  for (const MinimalFilter& filter : filters) {
    if (filter.points() > kMostPoints) continue;
    SCOPED_TRACE(filter.name());
    const FilterMatrices f = filter_matrices(filter);
    ASSERT_EQ(f.input.size(), static_cast<size_t>(filter.products()));
    ASSERT_EQ(f.output.size(), static_cast<size_t>(filter.outputs()));
    for (int j = 0; j < filter.outputs(); ++j) {
      double sum = 0;
      for (size_t p = 0; p < f.input.size(); ++p)
        sum += f.output[static_cast<size_t>(j)][p] * dot(f.input[p], input) * dot(f.weights[p], weight);
      EXPECT_NEAR(sum, direct_sum(filter, j, input, weight), 1e-12) << "output " << j;
    }
  }
}

TEST(Winograd, NoFormErrsMuchMoreThanThatOf3x3Windows) {
  const double established = std::pow(error_growth({4, 3, 1}), 2);
  for (int64_t stride : {1, 2})
    for (int64_t ky = 1; ky <= 7; ++ky)
      for (int64_t kx = 1; kx <= 7; ++kx) {
        const ConvCase c = conv_case({{1, 8, 9, 9}, {8, 8, ky, kx}, {0, 0, 0, 0}, {stride, stride}}, 8);
        for (const int64_t form : winograd_forms(c.kernel)) {
          const Winograd winograd = winograd_of(c.kernel, form);
          EXPECT_LE(error_growth(winograd.y) * error_growth(winograd.x), 1.1 * established) << winograd.name();
          EXPECT_LT(winograd.frequencies(), winograd.y.m * winograd.x.m * ky * kx) << winograd.name();
        }
      }
  EXPECT_GT(std::pow(error_growth({6, 3, 1}), 2), 1.4 * established);
}

TEST(Winograd, ANameSaysAll) {
  for (const char* name : {"F(1,1/1)xF(4,3/2)", "F(4,4*2+1)xF(2,5*3+0)"}) {
    ASSERT_TRUE(find_winograd(name)) << name;
    EXPECT_EQ(find_winograd(name)->name(), name);
  }
  for (const char* other : {"", "F(4,3/1)", "F(4,3/1)xF(4,3/1) ", "winograd4", "F(0,3/1)xF(4,3/1)", "F(4,3/1)xF(4,3/0)",
                            "F(4,-3/1)xF(4,3/1)", "F(4,4*2+-1)xF(4,3/1)", "F(4,4*0+0)xF(4,3/1)", "F(4,4*2)xF(4,3/1)"})
    EXPECT_FALSE(find_winograd(other)) << other;
}

class WinogradForm : public testing::TestWithParam<int> {};

TEST_P(WinogradForm, AgreesWithTheDirectSum) {
  const ConvShape& shape = kShapes[static_cast<size_t>(GetParam())];
  const OpInfo& op = op_info(builtin_ops(), shape.transposed ? "conv_transpose" : "conv");
  int turn = GetParam();
  for (const char* name : {"host", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    const ConvCase c = conv_case(shape, target.lanes(4));
    const std::vector<Tensor> inputs = case_inputs(c.op, 11);
    const Tensor expected = reference(op, c.kernel, inputs);
    const std::vector<int64_t> forms = winograd_forms(c.kernel);
    ASSERT_FALSE(forms.empty());
    for (const int64_t form : forms)
      for (const Schedule& s : product_schedules(c.kernel, target, form, turn++)) {
        SCOPED_TRACE(std::string(name) + "\n" + c.kernel.workload.text + print_schedule(s));
        EXPECT_LE(err(run_schedule(c.kernel, target, s, inputs), expected), kWinogradTolerance);
      }
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, WinogradForm, testing::Range(0, static_cast<int>(kShapes.size())));

TEST(Winograd, ANanStaysInItsTilesAndNoneIsLost) {
  const Target target = host_target();
  const ConvCase c = conv_case({{1, 16, 16, 16}, {16, 16, 3, 3}, {1, 1, 1, 1}}, target.lanes(4));
  std::vector<Tensor> inputs = case_inputs(c.op, 3);
  Tensor plain = relayout(inputs[0], {});
  plain.as<float>()[8 * 16 + 8] = std::numeric_limits<float>::quiet_NaN();  // channel 0, row 8, column 8
  inputs[0] = relayout(plain, inputs[0].layout);
  const Schedule s = product_fallback(c.kernel, target, 1, kWinograd4);
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

// The other form that asks for weights ahead: direct, of one tap.
TEST(DirectConvolution, ThatAsksForWeightsAheadAgreesWithTheReference) {
  const Target target = parse_target("x86-64-avx512");
  const OpInfo& op = op_info(builtin_ops(), "conv");
  for (const ConvShape& shape : {ConvShape{{2, 32, 1, 33}, {31, 32, 1, 1}, {0, 0, 0, 0}},
                                 ConvShape{{1, 16, 7, 15}, {48, 16, 1, 1}, {0, 0, 0, 0}, {2, 2}}}) {
    const ConvCase c = conv_case(shape, target.lanes(4));
    for (const int64_t unroll : {1, 2, 3}) {
      Schedule s = default_schedule(c.kernel, target, 1);
      for (const auto& [knob, value] : {std::pair{"tile.x", int64_t{8}}, {"tile.c", 1}, {"unroll.ci", unroll}})
        s.values[knob] = value;
      s.values["prefetch.w"] = 64;
      ASSERT_EQ(why_illegal(c.kernel, target, s), "") << print_schedule(s);
      if (!runs_on_host(target)) continue;
      const std::vector<Tensor> inputs = case_inputs(c.op, 1);
      EXPECT_LE(err(run_schedule(c.kernel, target, s, inputs), reference(op, c.kernel, inputs)), 2e-5)
          << print_schedule(s);
    }
  }
}

// A tenth for each doubling, and 8 % at least. Some forms would save time, but too little for what their weights take.
TEST(Winograd, IsTheDefaultWhereItSavesEnoughForTheMemoryOfItsWeights) {
  Target target = parse_target("x86-64-avx512");
  int chosen = 0, left = 0;
  for (const int fmas : {1, 2}) {
    target.vector_fmas = fmas;
    for (const int64_t stride : {1, 2})
      for (const int64_t extent : {7, 13, 14, 26})
        for (int64_t channels = 32; channels <= 416; channels += 32) {
          const Extents strides{stride, stride};
          const ConvShape shape{{1, channels, extent, extent}, {channels, channels, 3, 3}, {1, 1, 1, 1}, strides};
          const Kernel kernel = conv_case(shape, 16).kernel;
          const auto cycles = [&](const Schedule& s) { return window_cycles(kernel, target, 1, s); };
          const auto weights = [&](const Schedule& s) { return weight_bytes(kernel, s["algorithm.form"]); };
          const auto enough = [&](const Schedule& s, const Schedule& other) {
            return std::min(0.92, std::pow(0.9, std::log2(weights(s) / weights(other)))) * cycles(other);
          };
          const Schedule best = default_schedule(kernel, target, 1);
          for (const Schedule& start : schedule_space(kernel, target, 1).starts) {
            if (weights(start) > weights(best)) {
              EXPECT_GE(cycles(start), enough(start, best)) << print_schedule(start);
              left += cycles(start) < 0.92 * cycles(best);
            }
            if (start["algorithm.form"] == kDirect && best["algorithm.form"] != kDirect) {
              EXPECT_LT(cycles(best), enough(best, start)) << print_schedule(best);
              ++chosen;
            }
          }
        }
  }
  EXPECT_GT(chosen, 50);
  EXPECT_GT(left, 0);
}

TEST(Winograd, IsRefusedWhereItDoesNotApply) {
  const Target target = host_target();
  const ConvCase c = conv_case(kShapes[0], target.lanes(4));
  const Schedule s = product_fallback(c.kernel, target, 1, kWinograd4);
  const auto refusal = [&](const ConvShape& shape, int64_t group, int64_t form) {
    Schedule asked = s;
    asked.values["algorithm.form"] = form;
    return why_illegal(conv_case(shape, target.lanes(4), group).kernel, target, asked);
  };
  EXPECT_EQ(refusal({{1, 32, 8, 8}, {32, 16, 3, 3}, {1, 1, 1, 1}}, 2, kWinograd4),
            "Winograd is for convolutions of one group");
  EXPECT_EQ(refusal({{1, 16, 8, 8}, {16, 16, 3, 3}, {1, 1, 1, 1}, {2, 2}, {2, 1}}, 1, kWinograd4),
            "Winograd takes strides or dilations, not both along one axis");
  EXPECT_EQ(refusal({{1, 16, 8, 8}, {16, 16, 2, 2}, {0, 0, 0, 0}, {2, 2}}, 1, kWinograd2),
            "F(2,2/2)xF(2,2/2) saves no multiplication");
  EXPECT_EQ(refusal(kShapes[0], 1, kWinograd6), "the errors of F(6,3/1)xF(6,3/1) are too large");
  EXPECT_EQ(refusal({{1, 16, 8, 8}, {16, 16, 7, 7}, {3, 3, 3, 3}}, 1, kWinograd4),
            "the errors of F(4,7/1)xF(4,7/1) are too large");
  Schedule large = s;
  large.values["tile.x"] = 64;
  EXPECT_EQ(why_illegal(c.kernel, target, large), "tile x=64 of 4 points in a band");
  const ConvCase ragged = conv_case(kShapes[4], target.lanes(4));
  Schedule ahead = product_fallback(ragged.kernel, target, 1, kWinograd2);
  ahead.values["prefetch.w"] = 64;
  EXPECT_EQ(
      why_illegal(ragged.kernel, target, ahead),
      "prefetch w needs tile c=1, output blocks of a line of cache, input channels that fill their blocks and, of a "
      "direct form, one tap");
}

}  // namespace
}  // namespace oc::test
