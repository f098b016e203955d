// Kernels built before extents are known, run at several, against the reference.
#include "dsl/varying.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/compare.h"
#include "schedules/apply.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

// One op at extents that vary: the case for a pair of sizes.
struct Varied {
  std::string name, op;
  std::function<OpCase(int64_t s, int64_t t)> at;
};

OpCase case_of(std::vector<OpCase::In> inputs, Attrs attrs = {}) {
  return {.inputs = std::move(inputs), .attrs = std::move(attrs), .out_layout = {}};
}

Attrs window(Attrs attrs, int64_t stride, int64_t pad) {
  attrs["strides"] = Extents{stride, stride};
  attrs["pads"] = Extents{pad, pad, pad, pad};
  attrs["dilations"] = Extents{1, 1};
  return attrs;
}

// Tensors of rank 4 that are no weights in blocks of channels, as is a bias.
OpCase blocked(OpCase c) {
  for (OpCase::In& in : c.inputs) {
    if (in.shape.size() == 4 && !in.weight) in.layout = "aBcd8b";
    if (in.shape.size() == 1) in.layout = "A8a";
  }
  c.out_layout = "aBcd8b";
  return c;
}

std::vector<Varied> varied() {
  using In = OpCase::In;
  const auto x = [](Extents shape) { return In{.shape = std::move(shape)}; };
  const auto weight = [](Extents shape) { return In{.shape = std::move(shape), .weight = true}; };
  const Extents heads{0, 2, 1, 3};
  const auto attention = [=](int64_t many, int64_t s, int64_t t) {
    OpCase c = case_of({x({many, s, 3, 20}), x({many, t, 3, 20}), x({many, t, 3, 24}), x({many, 1, 1, t})});
    c.attrs = {{"q_perm", heads}, {"k_perm", heads}, {"v_perm", heads}, {"out_perm", heads}, {"scale", 0.25}};
    return c;
  };
  return {
      {"Add", "add", [=](int64_t s, int64_t t) { return case_of({x({s, t}), x({s, t})}); }},
      {"AddRow", "add", [=](int64_t s, int64_t t) { return case_of({x({s, t}), x({t})}); }},
      {"AddBias", "add", [=](int64_t s, int64_t t) { return case_of({x({s, t, 24}), weight({24})}); }},
      {"AddPositions", "add", [=](int64_t s, int64_t t) { return case_of({x({t, s, 24}), weight({s, 24})}); }},
      {"AddTriples", "add", [=](int64_t s, int64_t t) { return case_of({x({s, t, 3}), weight({3})}); }},
      {"Exp", "exp", [=](int64_t s, int64_t t) { return case_of({x({s, t})}); }},
      {"Transpose", "transpose", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"perm", Extents{1, 0}}}); }},
      {"TransposeHeads", "transpose",
       [=](int64_t s, int64_t t) { return case_of({x({s, t, 3, 20})}, {{"perm", heads}}); }},
      {"Concat", "concat",
       [=](int64_t s, int64_t t) { return case_of({x({s, t}), x({s, 5})}, {{"axis", int64_t{1}}}); }},
      {"ConcatRows", "concat",
       [=](int64_t s, int64_t t) { return case_of({x({s, 17}), x({t, 17})}, {{"axis", int64_t{0}}}); }},
      {"Gather", "gather",
       [=](int64_t s, int64_t t) {
         return case_of({x({50, 33}), In{.dtype = DType::i64, .shape = {s, t}, .low = 0, .high = 49}},
                        {{"axis", int64_t{0}}});
       }},
      {"GatherOfMany", "gather",
       [=](int64_t s, int64_t t) {
         return case_of({x({s, t}), In{.dtype = DType::i64, .shape = {3}, .low = -1, .high = 0}},
                        {{"axis", int64_t{0}}});
       }},
      {"SumRow", "reduce_sum", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axes", Extents{1}}}); }},
      {"MeanColumn", "reduce_mean", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axes", Extents{0}}}); }},
      {"MaxAll", "reduce_max", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axes", Extents{0, 1}}}); }},
      {"Softmax", "softmax", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axis", int64_t{1}}}); }},
      {"SoftmaxAcross", "softmax", [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axis", int64_t{0}}}); }},
      {"LayerNorm", "layer_norm",
       [=](int64_t s, int64_t t) {
         return case_of({x({s, t, 48}), weight({48}), weight({48})}, {{"axis", int64_t{2}}, {"epsilon", 1e-5}});
       }},
      {"LayerNormVaried", "layer_norm",
       [=](int64_t s, int64_t t) { return case_of({x({s, t})}, {{"axis", int64_t{1}}, {"epsilon", 1e-5}}); }},
      {"Weights", "matmul", [=](int64_t s, int64_t t) { return case_of({x({1, s * t, 40}), weight({40, 70})}); }},
      {"WeightsFewColumns", "matmul", [=](int64_t s, int64_t) { return case_of({x({s, 600}), weight({600, 3})}); }},
      {"LargeWeights", "matmul", [=](int64_t s, int64_t) { return case_of({x({s, 1100}), weight({1100, 96})}); }},
      {"Scores", "matmul", [=](int64_t s, int64_t t) { return case_of({x({4, s, 24}), x({4, 24, t})}); }},
      {"Values", "matmul", [=](int64_t s, int64_t t) { return case_of({x({4, s, t}), x({4, t, 24})}); }},
      {"ValuesFewColumns", "matmul", [=](int64_t s, int64_t t) { return case_of({x({4, s, t}), x({4, t, 3})}); }},
      {"ValuesOfLongSums", "matmul", [=](int64_t s, int64_t t) { return case_of({x({s, 8 * t}), x({8 * t, 40})}); }},
      {"Pad", "pad",
       [=](int64_t s, int64_t t) {
         return case_of({x({s, t})},
                        {{"pads", Extents{1, 2, 0, 2}}, {"mode", std::string("constant")}, {"value", 0.5}});
       }},
      {"Slice", "slice",
       [=](int64_t s, int64_t t) {
         return case_of({x({s, t + 2})},
                        {{"starts", Extents{0, 1}}, {"sizes", Extents{s, t}}, {"steps", Extents{1, 1}}});
       }},
      {"Expand", "expand", [=](int64_t s, int64_t t) { return case_of({x({s, 1})}, {{"shape", Extents{s, t}}}); }},
      {"Resize", "resize",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({1, 24, s, t})}, {{"sizes", Extents{1, 24, 2 * s, 2 * t}},
                                                     {"mode", std::string("nearest")},
                                                     {"coordinate", std::string("asymmetric")}}));
       }},
      {"RelayoutToBlocks", "relayout",
       [=](int64_t s, int64_t t) {
         OpCase c = case_of({x({2, 21, s, t})}, {{"to", std::string("aBcd8b")}});
         c.out_layout = "aBcd8b";
         return c;
       }},
      {"RelayoutFromBlocks", "relayout",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({2, 21, s, t})}, {{"to", std::string("abcd")}}));
         c.out_layout = {};
         return c;
       }},
      {"RelayoutOfImages", "relayout",
       [=](int64_t s, int64_t t) {
         OpCase c = case_of({x({2 + s % 7, 16, 5, t})}, {{"to", std::string("aBcd16b")}});
         c.out_layout = "aBcd16b";
         return c;
       }},
      {"MaxPool", "max_pool",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({2, 24, s, t})}, window({{"kernel", Extents{3, 3}}}, 2, 1)));
       }},
      {"MaxPoolPlain", "max_pool",
       [=](int64_t s, int64_t t) {
         OpCase c = case_of({x({2, 5, s, t})}, window({{"kernel", Extents{3, 3}}}, 2, 1));
         c.attrs["pads"] = Extents{0, 1, 2, 1};
         return c;
       }},
      {"AveragePool", "average_pool",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({2, 24, s, t})}, window({{"kernel", Extents{3, 3}}}, 1, 1)));
       }},
      {"Conv1x1", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({1, 40, s, t}), weight({24, 40, 1, 1}), weight({24})}, window({}, 1, 0)));
       }},
      {"Conv3x3", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({1, 40, s, t}), weight({24, 40, 3, 3}), weight({24})}, window({}, 1, 1)));
       }},
      {"Conv3x3Stride2", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({2, 24, s, t}), weight({48, 24, 3, 3}), weight({48})}, window({}, 2, 1)));
       }},
      {"Conv5x5", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({1, 24, s, t}), weight({24, 24, 5, 5}), weight({24})}, window({}, 1, 2)));
       }},
      {"ConvFirst", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = case_of({x({2, 3, s, t}), weight({16, 3, 3, 3}), weight({16})}, window({}, 2, 1));
         c.attrs["pads"] = Extents{0, 1, 2, 1};
         return c;
       }},
      {"ConvPlain", "conv",
       [=](int64_t s, int64_t t) { return case_of({x({1, 12, s, t}), weight({20, 12, 3, 3})}, window({}, 1, 1)); }},
      {"ConvDilated", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 24, s, t}), weight({24, 24, 3, 3}), weight({24})}, window({}, 1, 2)));
         c.attrs["dilations"] = Extents{2, 2};
         return c;
       }},
      {"ConvUnevenPads", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 24, s, t}), weight({24, 24, 3, 3}), weight({24})}, window({}, 1, 1)));
         c.attrs["pads"] = Extents{2, 0, 1, 3};
         return c;
       }},
      {"ConvTall", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 24, s, t}), weight({24, 24, 3, 1}), weight({24})}, window({}, 1, 1)));
         c.attrs["pads"] = Extents{1, 0, 1, 0};
         return c;
       }},
      {"ConvWide", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 24, s, t}), weight({24, 24, 1, 3}), weight({24})}, window({}, 1, 1)));
         c.attrs["pads"] = Extents{0, 1, 0, 1};
         return c;
       }},
      {"ConvGrouped", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 48, s, t}), weight({48, 16, 3, 3}), weight({48})}, window({}, 1, 1)));
         c.attrs["group"] = int64_t{3};
         return c;
       }},
      {"Depthwise", "conv",
       [=](int64_t s, int64_t t) {
         OpCase c = blocked(case_of({x({1, 40, s, t}), weight({40, 1, 3, 3}), weight({40})}, window({}, 1, 1)));
         c.attrs["group"] = int64_t{40};
         return c;
       }},
      {"ConvOfImages", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({2 + s % 7, 24, t, 20}), weight({24, 24, 3, 3}), weight({24})}, window({}, 1, 1)));
       }},
      {"ConvOfRows", "conv",
       [=](int64_t s, int64_t t) {
         return blocked(case_of({x({2 + s % 7, 24, 20, t}), weight({24, 24, 3, 3}), weight({24})}, window({}, 1, 1)));
       }},
      {"ScoresOfMany", "matmul",
       [=](int64_t s, int64_t t) { return case_of({x({2 + s % 7, s, 24}), x({2 + s % 7, 24, t})}); }},
      {"AttentionOfMany", "attention", [=](int64_t s, int64_t t) { return attention(2 + s % 7, s, t); }},
      {"Attention", "attention", [=](int64_t s, int64_t t) { return attention(2, s, t); }},
  };
}

class Varying : public testing::TestWithParam<Varied> {};

// What an op gives at one pair of extents.
struct At {
  int64_t size;
  Kernel kernel;
  std::vector<Tensor> inputs;
  Tensor expected;
};

std::vector<At> at_many_sizes(const Varied& v) {
  constexpr int64_t kSizes[] = {1, 2, 3, 7, 15, 17, 31, 33, 64, 127};
  const OpInfo& op = op_info(builtin_ops(), v.op);
  std::vector<At> result;
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    const OpCase c = v.at(kSizes[i], kSizes[(i * 7 + 3) % std::size(kSizes)]);
    Kernel kernel = analyse(case_workload(op, c), builtin_ops());
    std::vector<Tensor> inputs = case_inputs(c, 1);
    Tensor expected = reference(op, kernel, inputs);
    result.push_back({kSizes[i], std::move(kernel), std::move(inputs), std::move(expected)});
  }
  return result;
}

// Runs a kernel built for other extents at those its tiles fit into; how many these are.
int run_everywhere(const std::vector<At>& all, const Kernel& kernel, const Target& target, const Schedule& schedule) {
  const bool winograd = print_schedule(schedule).find("winograd") != std::string::npos;
  int served = 0;
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, schedule);
    const Packings packings = weight_packings(kernel, target, schedule);
    for (const At& at : all) {
      SCOPED_TRACE(at.size);
      if (!symbols_in(kernel, at.kernel, builtin_ops()) || !serves(kernel, target, schedule, at.kernel)) continue;
      ++served;
      for (const Edge edge : {Edge::end, Edge::begin})
        EXPECT_LE(err(run(lowered, at.kernel, at.inputs, packings, target, edge), at.expected),
                  winograd ? kWinogradTolerance : 2e-5);
    }
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
  }
  return served;
}

// The default, and legal ones that between them have each value of the knobs that choose between few: forms, orders,
// places. For two threads.
std::vector<Schedule> schedules_of_all_kinds(const Kernel& kernel, const Target& target, std::mt19937& random) {
  constexpr size_t kFew = 4, kMost = 8;
  std::vector<Schedule> result{default_schedule(kernel, target, 1)};
  const Space space = schedule_space(kernel, target, 2);
  std::set<std::pair<std::string, int64_t>> had;
  const auto brings_news = [&](const Schedule& schedule) {
    bool news = false;
    for (const Knob& knob : space.knobs)
      if (knob.values.size() <= kFew) news |= had.emplace(knob.name, schedule[knob.name]).second;
    return news;
  };
  for (int attempt = 0; attempt < 300 && result.size() < kMost; ++attempt) {
    Point point;
    for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    const Schedule schedule = space.at(point);
    if (space.legal(schedule) && (brings_news(schedule) || result.size() < 3)) result.push_back(schedule);
  }
  return result;
}

TEST_P(Varying, OneKernelIsRightAtManyExtents) {
  const Varied& v = GetParam();
  const OpTable& ops = builtin_ops();
  const Target target = host_target();
  std::mt19937 random(3);
  const auto kernel_at = [&](int64_t s, int64_t t) {
    return analyse(case_workload(op_info(ops, v.op), v.at(s, t)), ops);
  };
  const std::vector<At> all = at_many_sizes(v);
  for (const auto& [s, t, least] : {std::tuple(64, 96, 3), std::tuple(5, 6, 5)}) {
    const std::optional<Kernel> kernel = varying(kernel_at(s, t), kernel_at(20, 35), ops);
    ASSERT_TRUE(kernel && can_vary(*kernel));
    int served = 0;
    for (const Schedule& schedule : schedules_of_all_kinds(*kernel, target, random)) {
      SCOPED_TRACE(fmt::format("made for {} and {}: {}", s, t, print_schedule(schedule)));
      served += run_everywhere(all, *kernel, target, schedule);
    }
    EXPECT_GE(served, least);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Varying, testing::ValuesIn(varied()), [](const auto& info) { return info.param.name; });

TEST(Varying, SaysWhatCannotVary) {
  const OpTable& ops = builtin_ops();
  const auto product = [&](Extents a, Extents b, bool weight) {
    const OpCase c{
        .inputs = {{.shape = std::move(a)}, {.shape = std::move(b), .weight = weight}}, .attrs = {}, .out_layout = {}};
    return analyse(case_workload(op_info(ops, "matmul"), c), ops);
  };
  EXPECT_TRUE(varying(product({8, 16}, {16, 24}, true), product({9, 16}, {16, 24}, true), ops));
  EXPECT_FALSE(varying(product({8, 16}, {16, 24}, true), product({8, 17}, {17, 24}, true), ops)) << "a weight";
  EXPECT_FALSE(varying(product({1, 16}, {16, 24}, true), product({9, 16}, {16, 24}, true), ops)) << "1 may broadcast";
  const Kernel square = *varying(product({8, 8}, {8, 24}, false), product({9, 9}, {9, 24}, false), ops);
  EXPECT_EQ(print_symbols(square), "%0.0=0 %0.1=0 %1.0=0 %2.0=0");
  EXPECT_EQ(symbols_in(square, product({5, 5}, {5, 24}, false), ops), std::vector<int64_t>{5});
  EXPECT_FALSE(symbols_in(square, product({5, 6}, {6, 24}, false), ops)) << "one symbol";
  EXPECT_FALSE(symbols_in(square, product({5, 5}, {5, 25}, false), ops)) << "fixed";
}

TEST(Varying, BlocksOfTilesFitWhereOneTileDoes) {
  const OpTable& ops = builtin_ops();
  const Target target = parse_target("x86-64-avx2");
  const auto product = [&](int64_t m) {
    const OpCase c{
        .inputs = {{.shape = {m, 8192}}, {.shape = {8192, 96}, .weight = true}}, .attrs = {}, .out_layout = {}};
    return analyse(case_workload(op_info(ops, "matmul"), c), ops);
  };
  const Kernel kernel = *varying(product(128), product(64), ops);
  const Schedule schedule = default_schedule(kernel, target, 1);
  ASSERT_GT(schedule["block.k"], 0);
  ASSERT_GT(schedule["block.m"], 1);
  EXPECT_TRUE(serves(kernel, target, schedule, product(schedule["tile.m"])));
  EXPECT_FALSE(serves(kernel, target, schedule, product(schedule["tile.m"] - 1)));
}

}  // namespace
}  // namespace oc::test
