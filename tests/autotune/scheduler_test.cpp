#include "autotune/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "autotune/stats.h"

namespace oc {
namespace {

TEST(Scheduler, EveryTaskOnceTheQuickestFirst) {
  std::vector<TaskOutlook> tasks = {{.limit_ns = 500}, {.limit_ns = 100}, {.limit_ns = 900}};
  std::vector<size_t> order;
  for (int i = 0; i < 3; ++i) {
    order.push_back(next_task(tasks).value());
    ++tasks[order.back()].trials;
  }
  EXPECT_EQ(order, (std::vector<size_t>{1, 0, 2}));
}

TEST(Scheduler, ThenAFewEachThenWhereTheModelGainsMost) {
  std::vector<TaskOutlook> tasks = {{.weight = 1, .best_ns = 1000, .limit_ns = 500},
                                    {.weight = 9, .best_ns = 1000, .limit_ns = 500},
                                    {.weight = 1, .best_ns = 1500, .limit_ns = 1400}};
  std::vector<int> spent(3);
  for (int i = 0; i < 18; ++i) {
    const size_t task = next_task(tasks).value();
    ++tasks[task].trials;
    ++spent[task];
  }
  EXPECT_EQ(spent, (std::vector<int>{6, 6, 6}));
  EXPECT_EQ(next_task(tasks), 1U) << "nine occurrences, half of the time to win";
  // Without luck there for long, the others get their turn.
  for (int i = 0; i < 40; ++i) tasks[1].momentum = after_trial(tasks[1].momentum, 0);
  EXPECT_EQ(next_task(tasks), 0U);
}

TEST(Scheduler, ClosedTasksGetNothing) {
  std::vector<TaskOutlook> tasks = {{.open = false}, {.trials = 100, .best_ns = 10, .limit_ns = 1}};
  EXPECT_EQ(next_task(tasks), 1U);
  tasks[1].open = false;
  EXPECT_EQ(next_task(tasks), std::nullopt);
}

TEST(Scheduler, ATaskWithoutATimeIsNotForgotten) {
  std::vector<TaskOutlook> tasks = {{.trials = 50, .best_ns = 1000, .limit_ns = 900}, {.trials = 50, .limit_ns = 900}};
  EXPECT_EQ(next_task(tasks), 1U);
}

TEST(Scheduler, NearTheLimitIsDone) {
  EXPECT_TRUE(near_limit({.best_ns = 1000, .limit_ns = 970}));
  EXPECT_FALSE(near_limit({.best_ns = 1000, .limit_ns = 700}));
  EXPECT_FALSE(near_limit({.limit_ns = 700}));
}

std::vector<int64_t> around(int64_t center, std::vector<int64_t> offsets) {
  for (int64_t& offset : offsets) offset += center;
  return offsets;
}

TEST(Promotion, NeedsMoreThanThreePercent) {
  EXPECT_TRUE(promotes({around(960, {0, 1, -1, 0, 1}), around(1000, {0, 0, 1, -1, 0})}));
  EXPECT_FALSE(promotes({around(975, {0, 1, -1, 0, 1}), around(1000, {0, 0, 1, -1, 0})}));
  EXPECT_FALSE(promotes({around(1100, {0, 1, -1, 0, 1}), around(1000, {0, 0, 1, -1, 0})}));
}

TEST(Promotion, NeedsMoreThanTheNoiseExplains) {
  const std::vector<int64_t> noisy = {900, 1020, 880, 1010, 940, 990, 870};
  EXPECT_LT(median(noisy), 950);
  EXPECT_FALSE(promotes({noisy, std::vector<int64_t>(7, 1000)}));
  std::vector<int64_t> many;  // the same noise, long enough
  for (int i = 0; i < 11; ++i) many.insert(many.end(), noisy.begin(), noisy.end());
  EXPECT_TRUE(promotes({many, std::vector<int64_t>(many.size(), 1000)}));
}

TEST(Promotion, CommonDriftCancels) {
  // The machine slows down by half during the run, for both.
  std::vector<int64_t> candidate, incumbent;
  for (int64_t i = 0; i < 15; ++i) {
    incumbent.push_back(1000 + 35 * i);
    candidate.push_back((1000 + 35 * i) * 9 / 10);
  }
  EXPECT_TRUE(promotes({candidate, incumbent}));
}

TEST(Promotion, ASpeedupSaysHowSureItIs) {
  const Duel steady{std::vector<int64_t>(9, 800), std::vector<int64_t>(9, 1000)};
  EXPECT_EQ(speedup(steady).low, 1.25);
  EXPECT_EQ(speedup(steady).median, 1.25);
  EXPECT_EQ(speedup(steady).high, 1.25);
  const std::vector<int64_t> noisy = {900, 1020, 880, 1010, 940, 990, 870};
  const Speedup found = speedup({std::vector<int64_t>(7, 1000), noisy});
  EXPECT_EQ(found.median, 0.94);
  EXPECT_NEAR(found.high - found.median, 4 * 1.858 * 0.06 / std::sqrt(7), 1e-9);
  EXPECT_NEAR(found.median - found.low, found.high - found.median, 1e-9);
  EXPECT_EQ(speedup({}).median, 0);
}

TEST(Promotion, TooFewRoundsPromoteNobody) {
  EXPECT_FALSE(promotes({{500, 500}, {1000, 1000}}));
  EXPECT_FALSE(promotes({}));
}

TEST(Stats, MedianAndSpread) {
  EXPECT_EQ(median(std::vector<double>{}), 0);
  EXPECT_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(median(std::vector<int64_t>{4, 1, 3, 2}), 2.5);
  EXPECT_EQ(mad({1, 2, 3, 4, 100}), 1);
}

}  // namespace
}  // namespace oc
