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

// A random point of the space and every point that differs from it in one knob; the legal ones, as schedules.
std::vector<Schedule> neighbourhood(const Space& space, std::mt19937& random) {
  Point base;
  for (const Knob& knob : space.knobs) base.push_back(static_cast<uint32_t>(random() % knob.values.size()));
  std::vector<Schedule> schedules;
  for (size_t knob = 0; knob < base.size(); ++knob)
    for (uint32_t i = 0; i < space.knobs[knob].values.size(); ++i) {
      Point point = base;
      point[knob] = i;
      if (Schedule schedule = space.at(point); space.legal(schedule)) schedules.push_back(std::move(schedule));
    }
  return schedules;
}

struct DistinctTest : testing::TestWithParam<Family> {};

TEST_P(DistinctTest, NoTwoSchedulesOfASpaceAreOneKernel) {
  constexpr int kDraws = 12;
  constexpr size_t kEnough = 20;
  std::mt19937 random(3);
  const Target target = parse_target("x86-64-avx2");
  for (const int64_t n : {8, 127})
    for (const Kernel& kernel : kernels(n, target)) {
      if (kernel.family != GetParam()) continue;
      const Space space = schedule_space(kernel, target, 1);
      std::map<std::string, std::string> schedule_of;  // by the kernel's text
      std::set<std::string> known;
      for (int draw = 0; draw < kDraws && known.size() < kEnough; ++draw)
        for (const Schedule& schedule : neighbourhood(space, random)) {
          const std::string text = print_schedule(schedule);
          if (!known.insert(text).second) continue;
          const auto [first, fresh] = schedule_of.emplace(lowered_text(kernel, target, schedule), text);
          EXPECT_TRUE(fresh) << kernel.workload.text << "\n" << first->second << text;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Families, DistinctTest,
                         testing::Values(Family::elementwise, Family::window, Family::attention, Family::movement),
                         [](const auto& info) { return std::string(family_name(info.param)); });

}  // namespace
}  // namespace oc::test
