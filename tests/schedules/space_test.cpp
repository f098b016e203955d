// Properties of every family's space and formula default, over sizes and targets.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "base/error.h"
#include "schedules/apply.h"
#include "schedules/families/common.h"
#include "tests/schedules/kernels.h"

namespace oc::test {
namespace {

// A random point that the space calls legal; none when many draws find none.
std::optional<Schedule> random_legal(const Space& space, std::mt19937& random) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    Point point;
    for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    const Schedule schedule = space.at(point);
    if (space.legal(schedule)) return schedule;
  }
  return std::nullopt;
}

// Applies the schedule and lowers the loops as far as Halide does without generating code, for any CPU.
void expect_lowers(const Kernel& kernel, const Target& target, const Schedule& schedule) {
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, schedule);
    const std::vector<Halide::Argument> arguments(lowered.inputs.begin(), lowered.inputs.end());
    (void)lowered.output.compile_to_module(
        arguments, "kernel", Halide::Target(target.name() + "-no_runtime-no_asserts-no_bounds_query-user_context"));
  } catch (const Halide::Error& error) {  // unknown to GoogleTest
    ADD_FAILURE() << error.what();
  }
}

TEST(Space, AllFamiliesAreAmongTheKernels) {
  std::set<Family> families;
  for (const Kernel& kernel : kernels(17, host_target())) families.insert(kernel.family);
  EXPECT_EQ(families.size(), 6U);
}

TEST(Space, TheFormulaDefaultIsAlwaysLegal) {
  for (const char* name : kTargets) {
    const Target target = parse_target(name);
    for (const int64_t n : kSizes)
      for (const Kernel& kernel : kernels(n, target))
        for (const int threads : {1, 2, 7, 64, 1000})
          EXPECT_EQ(why_illegal(kernel, target, default_schedule(kernel, target, threads)), "")
              << name << ", " << threads << " threads, " << kernel.workload.text;
  }
}

// Enough work to keep any number of threads busy; the language has a limit on tasks.
TEST(Space, TheFormulaDefaultOfALargeKernelIsLegalForAnyNumberOfThreads) {
  const char* const texts[] = {
      "graph { %0: f32[8192,4096] = input %1: f32[4096,8192] = weight %2: f32[8192,8192] = matmul(%0, %1) return %2 }",
      "graph { %0: f32[1,64,2048,2048] = input %1: f32[64,64,3,3] = weight %2: f32[1,64,2048,2048] = conv(%0, %1) "
      "{dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]} return %2 }",
      "graph { %0: f32[8192,8192] = input %1: f32[8192,8192] = exp(%0) return %1 }",
      "graph { %0: f32[8192,8192] = input %1: f32[8192,1] = reduce_sum(%0) {axes=[1]} return %1 }",
      "graph { %0: f32[8192,8192] = input %1: f32[8192,8192] = transpose(%0) {perm=[1,0]} return %1 }",
  };
  const Target target = parse_target("x86-64-avx512");
  for (const char* text : texts) {
    const Kernel kernel = analyse({text}, builtin_ops());
    for (const int threads : {1, 8, 256, 5000})
      EXPECT_EQ(why_illegal(kernel, target, default_schedule(kernel, target, threads)), "") << threads << text;
  }
}

// A pointwise convolution has one long row of pixels: neither rows nor its few channels give every thread work.
TEST(Space, PointwiseConvolutionsOfFewChannelsRunOnAllThreads) {
  const Kernel kernel = analyse(
      {"graph { %0: f32[1,16,1,102400] aBcd16b = input %1: f32[32,16,1,1] = weight %2: f32[1,32,1,102400] aBcd16b = "
       "conv(%0, %1) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]} return %2 }"},
      builtin_ops());
  for (const int threads : {2, 4, 16}) {
    const Schedule schedule = default_schedule(kernel, parse_target("x86-64-avx512"), threads);
    EXPECT_GE(schedule["parallel.tasks"], threads) << print_schedule(schedule);
  }
}

// Sums stay as they are: only what is called parallel changes, and kernels that the formula shares stay shared.
TEST(Space, SharingAScheduleAmongThreadsChangesNothingElse) {
  for (const char* name : kTargets) {
    const Target target = parse_target(name);
    int shared_kernels = 0;
    for (const int64_t size : {17, 127}) {
      for (const Kernel& kernel : kernels(size, target)) {
        const Schedule alone = default_schedule(kernel, target, 1);
        Schedule shared = shared_among(kernel, target, 4, alone);
        EXPECT_EQ(why_illegal(kernel, target, shared), "") << print_schedule(shared);
        shared_kernels += shared["parallel.tasks"] > 1 ? 1 : 0;
        for (auto& [knob, value] : shared.values)
          if (knob.starts_with("parallel.")) value = alone[knob];
        EXPECT_EQ(shared, alone) << kernel.workload.text;
      }
    }
    EXPECT_GT(shared_kernels, 0) << name;
  }
}

// Iterations of the busiest thread when each takes the next task as soon as it is free.
int64_t busiest(int64_t iterations, int64_t tasks, int threads) {
  std::vector<int64_t> given(static_cast<size_t>(threads));
  for (const int64_t per_task = ceil_div(iterations, tasks); iterations > 0; iterations -= per_task)
    *std::ranges::min_element(given) += std::min(per_task, iterations);
  return std::ranges::max(given);
}

// The default for a convolution of `channels` to `filters` channels in `group` groups, rows of `width` in and out /
// stride.
Schedule default_conv(const char* target_name, int64_t width, int64_t window, int64_t stride, int64_t channels,
                      int64_t filters, int64_t group) {
  const Target target = parse_target(target_name);
  const int64_t lanes = target.lanes(4), out = (width - 1) / stride + 1;
  const std::string blocked = fmt::format("aBcd{0}b", lanes);
  const Kernel kernel = analyse(
      {fmt::format("graph {{ %0: f32[1,{0},{1},{1}] {2} = input %1: f32[{3},{4},{5},{5}] = weight "
                   "%2: f32[1,{3},{6},{6}] {7} = conv(%0, %1) {{dilations=[1,1], group={8}, pads=[{9},{9},{9},{9}], "
                   "strides=[{10},{10}]}} return %2 }}",
                   channels, width, channels < lanes ? "" : blocked, filters, channels / group, window, out, blocked,
                   group, window / 2, stride)},
      builtin_ops());
  return default_schedule(kernel, target, 1);
}

// Sums, the inputs of a row that several taps read, a weight and an input on its way; tiles as even as that allows.
TEST(Space, TilesOfADepthwiseConvolutionFitTheRegisters) {
  const auto columns = [](const char* target, int64_t width, int64_t window, int64_t stride) {
    return default_conv(target, width, window, stride, 16, 16, 16)["tile.x"];
  };
  EXPECT_EQ(columns("x86-64-avx512", 80, 5, 1), 10);
  EXPECT_EQ(columns("x86-64-avx512", 28, 3, 1), 14);
  EXPECT_EQ(columns("x86-64-avx512", 7, 7, 1), 7);
  EXPECT_EQ(columns("x86-64-avx512", 112, 3, 2), 14);
  EXPECT_EQ(columns("x86-64-avx512", 112, 5, 2), 8);
  EXPECT_EQ(columns("x86-64-avx2", 56, 3, 1), 7);
  EXPECT_EQ(columns("x86-64-avx2", 56, 5, 2), 4);
  EXPECT_EQ(columns("x86-64-avx2", 1, 3, 1), 1);
}

// Of few points and many weights: a tall tile of one block, whose weights come in one stream that is asked for ahead.
TEST(Space, AConvolutionThatWaitsForItsWeightsAsksForThemAhead) {
  const auto schedule = [](int64_t points, int64_t filters) {
    const std::string text = fmt::format(
        "graph {{ %0: f32[1,512,1,{0}] aBcd16b = input %1: f32[{1},512,1,1] = weight %2: f32[1,{1},1,{0}] aBcd16b = "
        "conv(%0, %1) {{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}} return %2 }}",
        points, filters);
    return default_schedule(analyse({text}, builtin_ops()), parse_target("x86-64-avx512"), 1);
  };
  const Schedule few = schedule(49, 2048);
  EXPECT_EQ(few["tile.x"], 25) << print_schedule(few);
  EXPECT_EQ(few["tile.c"], 1);
  EXPECT_GT(few["prefetch.w"], 0);
  for (const Schedule& other : {schedule(196, 2048), schedule(49, 64)}) {  // many points; weights that L2 holds
    EXPECT_GT(other["tile.c"], 1) << print_schedule(other);
    EXPECT_EQ(other["prefetch.w"], 0);
  }
}

TEST(Space, AFirstLayerCopiesItsInputWhereTheSumsPayForIt) {
  const auto pads_inline = [](int64_t window, int64_t filters) {
    return print_schedule(default_conv("x86-64-avx512", 224, window, 2, 3, filters, 1)).find("pad at=inline") !=
           std::string::npos;
  };
  EXPECT_TRUE(pads_inline(3, 32));
  EXPECT_FALSE(pads_inline(7, 64));
}

TEST(Tasks, GiveTheThreadsEqualSharesWhereTheIterationsAllowIt) {
  const Kernel kernel = analyse({"graph { %0: f32[4096,4096] = input %1: f32[4096,4096] = weight %2: f32[4096,4096] = "
                                 "matmul(%0, %1) return %2 }"},
                                builtin_ops());
  for (const int threads : {2, 3, 4, 8, 16})
    for (int64_t iterations = threads; iterations < 200; ++iterations) {
      const int64_t tasks = default_tasks(kernel, host_target(), threads, iterations);
      EXPECT_LE(tasks, iterations);
      const double even = static_cast<double>(iterations) / static_cast<double>(threads);
      // Nothing does better than one iteration beyond the mean; many iterations come within a twentieth.
      const double most = std::max(std::ceil(even), 1.05 * even);
      EXPECT_LE(static_cast<double>(busiest(iterations, tasks, threads)), most) << iterations << " on " << threads;
    }
}

// A row of a table is a row's work, however large the table.
TEST(Tasks, OfAGatherAreForWhatItReads) {
  const auto gather = [](int64_t rows) {
    return analyse({fmt::format("graph {{ %0: i64[{0}] = input %1: f32[50257,768] = weight %2: f32[{0},768] = "
                                "gather(%1, %0) {{axis=0}} return %2 }}",
                                rows)},
                   builtin_ops());
  };
  const Target target = parse_target("x86-64-avx2");
  EXPECT_EQ(default_schedule(gather(1), target, 2)["parallel.tasks"], 1);
  EXPECT_EQ(default_schedule(gather(100), target, 2)["parallel.tasks"], 2);
}

// Three rows of a softmax are three pieces, however long they are; columns that are reduced side by side, vectors.
TEST(Tasks, OfAReductionShareItsRows) {
  const Target target = parse_target("x86-64-avx2");
  const auto tasks = [&](const char* text) {
    return default_schedule(analyse({text}, builtin_ops()), target, 2)["parallel.tasks"];
  };
  EXPECT_EQ(tasks("graph { %0: f32[3,100000] = input %1: f32[3,100000] = softmax(%0) {axis=1} return %1 }"), 3);
  EXPECT_EQ(tasks("graph { %0: f32[1,100000] = input %1: f32[1,100000] = softmax(%0) {axis=1} return %1 }"), 1);
  EXPECT_EQ(tasks("graph { %0: f32[100000,24] = input %1: f32[1,24] = reduce_sum(%0) {axes=[0]} return %1 }"), 3);
}

TEST(Tasks, BandsAreAsHighAsEvenSharesAllow) {
  EXPECT_EQ(even_band(1, 28, 4, 2), 2);     // 4 would make 7 bands
  EXPECT_EQ(even_band(1, 28, 28, 2), 14);   // 28 would make one
  EXPECT_EQ(even_band(1, 14, 2, 2), 1);     // 2 would make 7
  EXPECT_EQ(even_band(1, 224, 28, 2), 28);  // 8 bands
  EXPECT_EQ(even_band(1, 224, 5, 2), 4);    // 5 would make 45
  EXPECT_EQ(even_band(1, 13, 2, 2), 1);     // 2 would repeat a row
  EXPECT_EQ(even_band(1, 1, 1, 2), 1);
  EXPECT_EQ(even_band(16, 7, 7, 8), 7);  // an image each, twice
}

// Rows of V and the weights of a block of keys take three quarters of L1 at most, whatever vectors and extents are.
TEST(Space, ABlockOfKeysLeavesRoomInL1) {
  for (const char* name : {"x86-64-avx512", "x86-64-avx2", "arm-64-linux"})
    for (const int64_t keys : {1500, 2000, 2048, 4099})
      for (const int64_t depth : {32, 64, 128}) {
        const Target target = parse_target(name);
        const Kernel kernel = analyse(
            {fmt::format("graph {{ %0: f32[{0},{1}] = input %1: f32[{0},{1}] = input %2: f32[{0},{1}] = input "
                         "%3: f32[{0},{1}] = attention(%0, %1, %2) {{k_perm=[0,1], out_perm=[0,1], q_perm=[0,1], "
                         "scale=0.125, v_perm=[0,1]}} return %3 }}",
                         keys, depth)},
            builtin_ops());
        const Schedule s = default_schedule(kernel, target, 1);
        EXPECT_GT(s["values.keys"], 0) << name << print_schedule(s);
        const int64_t bytes = 4 * s["values.keys"] * (depth + s["block.queries"]);
        EXPECT_LE(4 * bytes, 3 * target.l1_bytes) << name << ", " << keys << " keys\n" << print_schedule(s);
      }
}

TEST(Space, LegalPointsFitTheKernelAndRoundTrip) {
  std::mt19937 random(1);
  for (const char* name : kTargets) {
    const Target target = parse_target(name);
    for (const int64_t n : kSizes)
      for (const Kernel& kernel : kernels(n, target))
        for (const int threads : {1, 4, 1000}) {
          const Space space = schedule_space(kernel, target, threads);
          for (const Schedule& start : space.starts)
            EXPECT_EQ(why_illegal(kernel, target, start), "") << print_schedule(start) << kernel.workload.text;
          for (int i = 0; i < 4; ++i) {
            const std::optional<Schedule> schedule = random_legal(space, random);
            ASSERT_TRUE(schedule) << kernel.workload.text;
            EXPECT_EQ(why_illegal(kernel, target, *schedule), "") << print_schedule(*schedule) << kernel.workload.text;
            EXPECT_EQ(parse_schedule(print_schedule(*schedule)), *schedule);
          }
        }
  }
}

TEST(Space, KnobsAreSortedUniqueAndWithinTheGrammar) {
  const Target target = host_target();
  for (const int64_t n : kSizes)
    for (const Kernel& kernel : kernels(n, target)) {
      const std::vector<Argument>& grammar = family_info(kernel.family).grammar;
      for (const Knob& knob : schedule_space(kernel, target, 300).knobs) {
        const auto argument = std::ranges::find(grammar, knob.name, &Argument::name);
        ASSERT_NE(argument, grammar.end()) << knob.name;
        ASSERT_FALSE(knob.values.empty()) << knob.name;
        EXPECT_TRUE(std::ranges::is_sorted(knob.values, std::less_equal<>())) << knob.name;
        if (!argument->words.empty()) continue;
        EXPECT_GE(knob.values.front(), argument->min) << knob.name;
        EXPECT_LE(knob.values.back(), argument->max) << knob.name;
      }
    }
}

class Lowering : public testing::TestWithParam<int64_t> {};

TEST_P(Lowering, DefaultsAndRandomLegalPointsMakeLoops) {
  std::mt19937 random(static_cast<uint32_t>(GetParam()));
  size_t turn = 0;
  for (const char* name : kTargets) {
    const Target target = parse_target(name);
    for (const Kernel& kernel : kernels(GetParam(), target)) {
      SCOPED_TRACE(testing::Message() << name << " " << kernel.workload.text);
      // Each kernel lowers twice on every target; which of the schedules turns with the target.
      const int threads = ++turn % 2 == 0 ? 1 : 4;
      const Schedule fallback = default_schedule(kernel, target, threads);
      const std::optional<Schedule> point = random_legal(schedule_space(kernel, target, threads), random);
      ASSERT_TRUE(point);
      for (const Schedule& schedule : {fallback, *point}) {
        SCOPED_TRACE(print_schedule(schedule));
        expect_lowers(kernel, target, schedule);
      }
    }
  }
}

// Schedules need not come from a space: a person or another version wrote them. What why_illegal lets pass must lower.
TEST(Apply, WhateverIsNotIllegalLowers) {
  std::mt19937 random(21);
  const Target target = parse_target("x86-64-avx2");
  int applied = 0;
  for (const int64_t n : {7, 17, 33})
    for (const Kernel& kernel : kernels(n, target))
      for (int i = 0; i < 8; ++i) {
        Schedule schedule = *random_legal(schedule_space(kernel, target, 4), random);
        const std::vector<Argument>& grammar = family_info(kernel.family).grammar;
        for (int changes = 0; changes < 2; ++changes) {
          const Argument& argument = grammar[random() % grammar.size()];
          const int64_t low = argument.words.empty() ? argument.min : 0;
          const int64_t high = argument.words.empty() ? std::min<int64_t>(argument.max, 40)
                                                      : static_cast<int64_t>(argument.words.size()) - 1;
          schedule.values[argument.name] = std::uniform_int_distribution<int64_t>(low, high)(random);
        }
        if (!why_illegal(kernel, target, schedule).empty()) continue;
        SCOPED_TRACE(print_schedule(schedule) + kernel.workload.text);
        expect_lowers(kernel, target, schedule);
        ++applied;
      }
  EXPECT_GT(applied, 50);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Lowering, testing::ValuesIn(kSizes),
                         [](const auto& info) { return std::to_string(info.param); });

// A pass of the graph leaves none, so a text that has them is foreign.
TEST(Workloads, EmptyTensorsAreRefused) {
  const char* const window = "{dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]}";
  const std::string texts[] = {
      "%0: f32[0,4] = input %1: f32[4,8] = weight %2: f32[0,8] = matmul(%0, %1) return %2",
      "%0: f32[3,4] = input %1: f32[4,0] = weight %2: f32[3,0] = matmul(%0, %1) return %2",
      "%0: f32[3,0] = input %1: f32[0,8] = input %2: f32[3,8] = matmul(%0, %1) return %2",
      "%0: f32[3,0] = input %1: f32[3,0] = exp(%0) return %1",
      "%0: f32[3,0] = input %1: f32[3,0] = softmax(%0) {axis=1} return %1",
      "%0: f32[3,0] = input %1: f32[3,1] = reduce_sum(%0) {axes=[1]} return %1",
      "%0: f32[3,0] = input %1: f32[0,3] = transpose(%0) {perm=[1,0]} return %1",
      fmt::format("%0: f32[0,4,5,5] = input %1: f32[4,4,3,3] = weight %2: f32[0,4,5,5] = conv(%0, %1) {} return %2",
                  window),
      fmt::format("%0: f32[1,4,5,5] = input %1: f32[0,4,3,3] = weight %2: f32[1,0,5,5] = conv(%0, %1) {} return %2",
                  window),
  };
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    EXPECT_THROW(static_cast<void>(analyse({"graph { " + text + " }"}, builtin_ops())), UserError);
  }
}

// Each task makes its own padded rows: those of its columns, once.
TEST(Apply, ColumnsSharedAmongTasksPadTheirOwnInput) {
  const Target target = parse_target("x86-64-avx2");
  const auto kernel = [&](int images) {
    return analyse({fmt::format("graph {{ %0: f32[{0},16,6,64] aBcd8b = input %1: f32[16,16,3,3] = weight "
                                "%2: f32[{0},16,6,64] aBcd8b = conv(%0, %1) {{dilations=[1,1], group=1, "
                                "pads=[1,1,1,1], strides=[1,1]}} return %2 }}",
                                images)},
                   builtin_ops());
  };
  const auto schedule = [](int tasks) {
    return parse_schedule(
        fmt::format("window v1\ntile x=4 c=2\nband y=6\npad at=band\nparallel axis=x tasks={}", tasks));
  };
  EXPECT_THAT(lowered_text(kernel(1), target, schedule(4)), testing::ContainsRegex("allocate pad.*.float32 . 18 . 8"));
  // As many tasks as tiles of columns; the only loop around them is that over the tasks.
  const std::string text = lowered_text(kernel(1), target, schedule(16));
  EXPECT_THAT(text, testing::ContainsRegex("allocate pad.*.float32 . 6 . 8"));
  const size_t entry = text.find("external_plus_metadata");
  ASSERT_NE(entry, std::string::npos);
  EXPECT_THAT(text.substr(entry), testing::Not(testing::HasSubstr("for (")));
  EXPECT_THAT(why_illegal(kernel(2), target, schedule(4)), testing::HasSubstr("every task pads whole rows"));
}

TEST(Apply, AScheduleThatDoesNotFitIsRefusedWithItsReason) {
  const Target target = parse_target("x86-64-avx2");
  const Kernel kernel = analyse({"graph { %0: f32[4,6] = input %1: f32[6,9] = weight %2: f32[4,9] = matmul(%0, %1) "
                                 "return %2 }"},
                                builtin_ops());
  struct Case {
    const char *text, *reason;
  };
  for (const Case& c : {Case{"elementwise v1", "schedule: a elementwise schedule for a contraction kernel"},
                        Case{"contraction v1\ntile m=5", "schedule: tile m=5 of 4 rows"},
                        Case{"contraction v1\ntile n=3", "schedule: tile n=3 vectors of 8 for 9 columns"},
                        Case{"contraction v1\nunroll k=7", "schedule: unroll k=7 of 6"}}) {
    std::string message;
    try {
      (void)apply_schedule(kernel, builtin_ops(), target, parse_schedule(c.text));
    } catch (const UserError& error) {
      message = error.what();
    }
    EXPECT_EQ(message, c.reason);
  }
}

}  // namespace
}  // namespace oc::test
