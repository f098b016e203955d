// A space gives no kernel twice: tuning would time it twice.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "schedules/schedule.h"
#include "tests/schedules/kernels.h"

namespace oc::test {
namespace {

Point random_point(const Space& space, std::mt19937& random) {
  Point point;
  for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
  return point;
}

// A random point of the space and every point that differs from it in one knob; the legal ones, as schedules.
std::vector<Schedule> neighbourhood(const Space& space, std::mt19937& random) {
  const Point base = random_point(space, random);
  std::vector<Schedule> schedules;
  for (size_t knob = 0; knob < base.size(); ++knob)
    for (uint32_t i = 0; i < space.knobs[knob].values.size(); ++i) {
      Point point = base;
      point[knob] = i;
      if (Schedule schedule = space.at(point); space.legal(schedule)) schedules.push_back(std::move(schedule));
    }
  return schedules;
}

// What a kernel is compiled for: vectors of several widths, alone and shared among threads. Sizes at which Halide peels
// loops of two iterations into the same straight line by chance are left out.
struct Setting {
  const char* target;
  int threads;
  int64_t n;
};
constexpr Setting kSettings[] = {{"x86-64-avx2", 1, 127}, {"x86-64-avx2", 4, 8}, {"x86-64-avx512", 4, 17}};

struct DistinctTest : testing::TestWithParam<Family> {};

TEST_P(DistinctTest, NoTwoSchedulesOfASpaceAreOneKernel) {
  constexpr int kDraws = 12;
  constexpr size_t kEnough = 20, kAtLeast = 2;
  std::mt19937 random(3);
  int spaces = 0;
  for (const auto& [name, threads, n] : kSettings) {
    const Target target = parse_target(name);
    for (const Kernel& kernel : kernels(n, target)) {
      if (kernel.family != GetParam()) continue;
      const Space space = schedule_space(kernel, target, threads);
      std::map<std::string, std::string> schedule_of;  // by the kernel's text
      std::set<std::string> known;
      for (int draw = 0; draw < kDraws && known.size() < kEnough; ++draw)
        for (const Schedule& schedule : neighbourhood(space, random)) {
          const std::string text = print_schedule(schedule);
          if (!known.insert(text).second) continue;
          const auto [first, fresh] = schedule_of.emplace(lowered_text(kernel, target, schedule), text);
          EXPECT_TRUE(fresh) << name << ", " << threads << " threads\n"
                             << kernel.workload.text << "\n"
                             << first->second << text;
        }
      if (known.size() >= kAtLeast) ++spaces;
    }
  }
  EXPECT_GE(spaces, 3) << "compared nothing";
}

// Settling a schedule changes how it is written, not what it makes.
TEST_P(DistinctTest, ASettledScheduleIsTheSameKernel) {
  constexpr int kDraws = 40, kEnough = 3;
  std::mt19937 random(5);
  int settled_ones = 0;
  for (const auto& [name, threads, n] : kSettings) {
    const Target target = parse_target(name);
    for (const Kernel& kernel : kernels(n, target)) {
      if (kernel.family != GetParam()) continue;
      Space space = schedule_space(kernel, target, threads);
      space.settle = nullptr;
      for (int draw = 0, compared = 0; draw < kDraws && compared < kEnough; ++draw) {
        const Schedule stated = space.at(random_point(space, random));
        if (!why_illegal(kernel, target, stated).empty()) continue;
        const Schedule settled = oc::settled(kernel, target, stated);
        EXPECT_EQ(why_illegal(kernel, target, settled), "") << print_schedule(stated) << print_schedule(settled);
        EXPECT_EQ(oc::settled(kernel, target, settled), settled) << print_schedule(stated) << kernel.workload.text;
        if (settled == stated) continue;
        EXPECT_EQ(lowered_text(kernel, target, settled), lowered_text(kernel, target, stated))
            << name << "\n"
            << kernel.workload.text << "\n"
            << print_schedule(stated) << print_schedule(settled);
        ++compared;
        ++settled_ones;
      }
    }
  }
  EXPECT_GE(settled_ones, 3) << "compared nothing";
}

INSTANTIATE_TEST_SUITE_P(Families, DistinctTest, testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(family_name(info.param)); });

}  // namespace
}  // namespace oc::test
