#include "autotune/cost_models/features.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>

#include "autotune/cost_models/estimate.h"
#include "opencompiler/dsl.h"
#include "tests/schedules/kernels.h"

namespace oc {
namespace {

// The default and random legal points of the kernel's space.
std::vector<Schedule> some_schedules(const Setting& setting, size_t wanted) {
  const Space space = schedule_space(setting.kernel, setting.target, setting.threads);
  std::vector<Schedule> result{default_schedule(setting.kernel, setting.target, setting.threads)};
  std::mt19937 random(5);
  for (int draw = 0; draw < 400 && result.size() < wanted; ++draw) {
    Point point;
    for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    if (Schedule schedule = space.at(point); space.legal(schedule)) result.push_back(std::move(schedule));
  }
  return result;
}

TEST(Features, HaveNamesEachItsOwn) {
  const std::set<std::string> unique(feature_names().begin(), feature_names().end());
  EXPECT_EQ(unique.size(), feature_names().size());
  EXPECT_TRUE(unique.contains("estimate.efficiency"));
  EXPECT_TRUE(unique.contains("contraction.tile.m"));
}

TEST(Features, AreFiniteAndTellSchedulesOfEveryFamilyApart) {
  std::set<Family> families;
  for (const char* name : {"x86-64-avx2", "x86-64-avx512", "arm-64-linux"})
    for (const int64_t n : {1, 7, 33})
      for (const int threads : {1, 4}) {
        const Target target = parse_target(name);
        for (const Kernel& kernel : test::kernels(n, target)) {
          const Setting setting{kernel, target, threads};
          std::map<std::vector<float>, std::string> schedule_of;
          for (const Schedule& schedule : some_schedules(setting, 24)) {
            const std::vector<float> row = features(setting, {&schedule, 1});
            ASSERT_EQ(row.size(), feature_names().size());
            const std::string text = print_schedule(schedule);
            const auto [place, fresh] = schedule_of.try_emplace(row, text);
            EXPECT_TRUE(fresh || place->second == text) << place->second << text << kernel.workload.text;
          }
          families.insert(kernel.family);
        }
      }
  EXPECT_EQ(families.size(), std::size(kFamilies));
}

// c[m, n] += a[m, k] · b[k, n], each 512 KB, tile by tile of 8 × 16.
Nest product() {
  enum : int { kM, kN, kK };
  Nest nest{.extents = {512, 256, 256}, .loops = {{kM, 8}, {kN, 16}, {kK, 1}}};
  nest.tensors = {{NestTensor::Role::input, 4, {{{kM, 1}}, {{kK, 1}}}},
                  {NestTensor::Role::weight, 4, {{{kK, 1}}, {{kN, 1}}}},
                  {NestTensor::Role::result, 4, {{{kM, 1}}, {{kN, 1}}}}};
  return nest;
}

TEST(Traffic, WhatFitsComesOnce) {
  Target target = parse_target("x86-64-avx2");
  target.l2_bytes = 8 << 20;
  const Traffic traffic = traffic_of(product(), target);
  EXPECT_EQ(traffic.bytes[1][0], 512 * 256 * 4);
  EXPECT_EQ(traffic.bytes[1][1], 256 * 256 * 4);
  EXPECT_EQ(traffic.distinct[2], 512 * 256 * 4);
}

TEST(Traffic, WhatDoesNotFitComesAgainForEveryLoopAround) {
  Target target = parse_target("x86-64-avx2");
  target.l1_bytes = 48 << 10;  // holds a's 8 rows, 16 columns of b and a tile of c: 8 + 16 + 0.5 KB
  const Traffic traffic = traffic_of(product(), target);
  EXPECT_EQ(traffic.tile, 8 * 256 * 4 + 256 * 16 * 4 + 8 * 16 * 4);
  EXPECT_EQ(traffic.bytes[0][0], 512 * 256 * 4);       // a's rows stay while b's columns pass by
  EXPECT_EQ(traffic.bytes[0][1], 64 * 256 * 256 * 4);  // all of b for each of 64 tiles of rows
  EXPECT_EQ(traffic.bytes[0][2], 512 * 256 * 4);
}

TEST(Traffic, OfALookupIsItsRow) {
  const Target target = parse_target("x86-64-avx2");
  const Kernel kernel = analyse({"graph { %0: i64[1] = input %1: f32[50257,768] = weight %2: f32[1,768] = "
                                 "gather(%1, %0) {axis=0} return %2 }"},
                                builtin_ops());
  const Traffic traffic = traffic_of(loop_nests(kernel, target, default_schedule(kernel, target, 1)).front(), target);
  EXPECT_EQ(traffic.distinct[static_cast<size_t>(NestTensor::Role::weight)], 768 * 4);
}

TEST(Traffic, WhatLiesSideBySideIsOneRunUntilTheLoopsJump) {
  enum : int { kM, kN, kK };
  Nest nest = product();
  NestTensor& b = nest.tensors[1];
  EXPECT_EQ(run_of(nest, b), 16 * 4);                 // 16 columns of a row, then the next row
  EXPECT_EQ(run_of(nest, nest.tensors[0]), 256 * 4);  // a row of a; the others of its tile lie elsewhere
  b.layout = {.order = {1, 0}, .blocks = {{1, 16}}};  // panels of 16 columns
  EXPECT_EQ(run_of(nest, b), 256 * 256 * 4);
  nest.loops = {{kN, 64}, {kK, 32}, {kN, 16}, {kK, 1}};
  EXPECT_EQ(run_of(nest, b), 32 * 16 * 4);  // 32 rows of a panel, then those of the next
  nest.loops = {{kN, 16}, {kK, 32}, {kM, 8}, {kK, 1}};
  EXPECT_EQ(run_of(nest, b), 256 * 256 * 4);  // the same ones again for other rows of a, then on
  const Traffic traffic = traffic_of(nest, parse_target("x86-64-avx2"));
  EXPECT_EQ(traffic.run, 256 * 256 * 4);
  EXPECT_EQ(traffic.jumps, 1);
}

TEST(Estimate, ShortTilesHideTheLatencyOfOneAnother) {
  const Target target = parse_target("x86-64-avx2");  // 8 multiply-adds under way
  Nest nest{.sums = 1, .loads = 2, .depth = 10'000};
  EXPECT_NEAR(latency_hidden(nest, target), 1.0 / 8, 0.01);
  nest.depth = 8;
  EXPECT_GT(latency_hidden(nest, target), 0.5);
  nest.sums = 8;
  EXPECT_EQ(latency_hidden(nest, target), 1);
}

// Bytes of a tensor, and as many as whole lines along its innermost dim.
std::pair<double, double> in_lines(const Type& type) {
  const int64_t inner = physical_extents(type.layout, type.extents()).back() * 4, lines = (inner + 63) / 64;
  const auto bytes = static_cast<double>(type.bytes());
  return {bytes, bytes / static_cast<double>(inner) * static_cast<double>(lines * 64)};
}

// Left out is what nests leave out or sum up differently: results of reductions, padded inputs, Winograd's transforms.
TEST(Traffic, WhatIsTouchedAtAllIsAsLargeAsTheTensor) {
  constexpr size_t kInput = 0, kWeight = 1, kResult = 2;
  size_t tensors = 0;
  for (const char* name : {"x86-64-avx2", "x86-64-avx512"})
    for (const Kernel& kernel : test::kernels(64, parse_target(name))) {
      const Target target = parse_target(name);
      if (kernel.family == Family::reduction) continue;
      std::array<std::pair<double, double>, kTensorRoles> expected{};
      expected[kResult] = in_lines(kernel.output());
      if (kernel.family == Family::contraction)
        for (size_t i = 0; i < 2; ++i) {
          auto& [least, most] =
              expected[kernel.is_weight(static_cast<size_t>(kernel.input_of_anchor(i))) ? kWeight : kInput];
          const auto [bytes, lines] = in_lines(kernel.graph[kernel.anchor_node().inputs[i]].type);
          least += bytes;
          most += lines;
        }
      for (const Schedule& schedule : some_schedules({kernel, target, 4}, 24)) {
        if (const auto form = schedule.values.find("algorithm.form");
            form != schedule.values.end() && form->second != 0)
          continue;
        const Traffic traffic = traffic_of(loop_nests(kernel, target, schedule).back(), target);
        for (const size_t role : {kInput, kWeight, kResult}) {
          if (expected[role].second == 0) continue;
          ++tensors;
          EXPECT_GE(traffic.distinct[role], expected[role].first) << print_schedule(schedule) << kernel.workload.text;
          EXPECT_LE(traffic.distinct[role], expected[role].second) << print_schedule(schedule) << kernel.workload.text;
        }
      }
    }
  EXPECT_GT(tensors, 100U);
}

TEST(Features, OfTheMatrixProductSayWhatItsTilesDo) {
  const Target target = parse_target("x86-64-avx2");
  const Kernel kernel = test::kernels(33, target)[5];  // [33, 35] · [35, 33]
  ASSERT_EQ(kernel.family, Family::contraction);
  Schedule schedule = default_schedule(kernel, target, 1);
  const auto feature = [&](std::string_view name) {
    const std::vector<float> row = features({kernel, target, 1}, {&schedule, 1});
    return row[static_cast<size_t>(std::ranges::find(feature_names(), name) - feature_names().begin())];
  };
  schedule.values["tile.m"] = 3;
  schedule.values["tile.n"] = 1;
  EXPECT_FLOAT_EQ(feature("tile.sums"), 3);
  EXPECT_FLOAT_EQ(feature("tile.loads_per_sum"), 4.0F / 3);
  EXPECT_FLOAT_EQ(feature("tile.waste"), 40.0F / 33);  // 33 columns by vectors of 8
  const float narrow = feature("estimate.efficiency");
  schedule.values["tile.m"] = 4;
  schedule.values["tile.n"] = 3;
  EXPECT_FLOAT_EQ(feature("tile.waste"), 36.0F * 48 / (33 * 33));
  EXPECT_FLOAT_EQ(feature("tile.latency"), 1);
  EXPECT_GT(narrow, 0);
}

}  // namespace
}  // namespace oc
