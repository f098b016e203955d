#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/autotune/fakes.h"

namespace oc {
namespace {

using testing::tiling_best;
using testing::tiling_space;
using testing::tiling_start;
using testing::tiling_time;

std::unique_ptr<Strategy> strategy(std::string_view name, uint64_t seed) {
  return make_strategy(name, {tiling_space(), {tiling_start()}, seed});
}

// Trials until a schedule within 5 % of the best was told; `most` if never.
int trials_to_5_percent(Strategy& search, int most) {
  const double wanted = 1.05 * tiling_best();
  for (int trial = 1; trial <= most; ++trial) {
    const auto asked = search.ask(1);
    if (asked.empty()) return most;
    const double time = tiling_time(asked.front());
    if (time <= wanted) return trial;
    search.tell(asked.front(), time);
  }
  return most;
}

double mean_trials(std::string_view name) {
  double sum = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) sum += trials_to_5_percent(*strategy(name, seed), 3000);
  return sum / 20;
}

TEST(Strategy, EvolutionNeedsAFractionOfRandomsTrials) {
  const double random = mean_trials("random");
  const double evolution = mean_trials("evolution");
  RecordProperty("random", std::to_string(random));
  RecordProperty("evolution", std::to_string(evolution));
  EXPECT_LT(evolution, random / 3) << "random " << random << ", evolution " << evolution;
  EXPECT_LT(evolution, 120);
}

class EachStrategy : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Strategies, EachStrategy, ::testing::Values("random", "evolution"));

TEST_P(EachStrategy, ProposesEveryLegalPointOnceAndNothingElse) {
  const Space space = tiling_space();
  Space small = space;
  small.knobs[0].values = {1, 6, 12};
  auto search = make_strategy(GetParam(), {small, {}, 3});
  std::set<std::string> texts;
  for (;;) {
    const auto asked = search->ask(5);
    if (asked.empty()) break;
    for (const Schedule& schedule : asked) {
      EXPECT_TRUE(small.legal(schedule));
      EXPECT_TRUE(texts.insert(print_schedule(schedule)).second) << "twice: " << print_schedule(schedule);
      search->tell(schedule, tiling_time(schedule));
    }
  }
  const size_t tiles = 6 + 5 + 2;  // of m ∈ {1, 6, 12}: the n ≤ 6 with m·n < 32
  EXPECT_EQ(texts.size(), tiles * 4 * 2 * 7);
}

TEST_P(EachStrategy, SameSeedAndTimesGiveTheSameProposals) {
  auto first = strategy(GetParam(), 11), second = strategy(GetParam(), 11), other = strategy(GetParam(), 12);
  bool differs = false;
  for (int i = 0; i < 200; ++i) {
    const Schedule a = first->ask(1).at(0), b = second->ask(1).at(0), c = other->ask(1).at(0);
    ASSERT_EQ(a, b);
    differs |= a != c;
    first->tell(a, tiling_time(a));
    second->tell(b, tiling_time(b));
    other->tell(c, tiling_time(c));
  }
  EXPECT_TRUE(differs);
}

TEST_P(EachStrategy, StartsComeFirstAndToldSchedulesNeverComeAgain) {
  auto search = strategy(GetParam(), 5);
  const Schedule told = tiling_space().at({8, 2, 1, 0, 3});
  search->tell(told, 900.0);
  EXPECT_EQ(search->ask(1).at(0), tiling_start());
  for (int i = 0; i < 300; ++i) EXPECT_NE(search->ask(1).at(0), told);
}

TEST_P(EachStrategy, LivesThroughFailuresOnly) {
  auto search = strategy(GetParam(), 5);
  for (int i = 0; i < 300; ++i) {
    const auto asked = search->ask(1);
    ASSERT_EQ(asked.size(), 1U);
    search->tell(asked.front(), std::nullopt);
  }
}

TEST_P(EachStrategy, AnEmptySpaceIsExhaustedAtOnce) {
  Space nothing = tiling_space();
  nothing.legal = [](const Schedule&) { return false; };
  EXPECT_TRUE(make_strategy(GetParam(), {nothing, {}, 1})->ask(4).empty());
  Space one{Family::contraction, {}, {}};  // no knobs: one point
  auto search = make_strategy(GetParam(), {one, {}, 1});
  const auto asked = search->ask(4);
  ASSERT_EQ(asked.size(), 1U);
  search->tell(asked[0], 10);
  EXPECT_TRUE(search->ask(4).empty());
}

TEST_P(EachStrategy, AHugeSpaceIsSampled) {
  Space huge = tiling_space();
  for (Knob& knob : huge.knobs) {
    if (knob.name == "order.inner") continue;
    for (int64_t value = 0; value < 60; ++value) knob.values.push_back(100 + value);
  }
  auto search = make_strategy(GetParam(), {huge, {}, 1});
  std::set<std::string> texts;
  for (int i = 0; i < 500; ++i) {
    const auto asked = search->ask(1);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_TRUE(texts.insert(print_schedule(asked[0])).second);
    search->tell(asked[0], tiling_time(asked[0]));
  }
}

TEST(Strategy, AScheduleFromElsewhereGuidesTheSearch) {
  // Told a near-optimal schedule outside the space's values, evolution is there within a few steps.
  Schedule guide = tiling_space().at({8, 2, 1, 0, 4});
  guide.values["block.m"] = 9;
  auto search = make_strategy("evolution", {tiling_space(), {guide}, 2});
  EXPECT_LT(trials_to_5_percent(*search, 1000), 40);
}

// What a cost model makes of the landscape: times off by up to a third.
std::vector<double> rough_scores(std::span<const Schedule> schedules) {
  std::vector<double> scores;
  for (const Schedule& schedule : schedules) {
    const double noise = static_cast<double>(std::hash<std::string>()(print_schedule(schedule)) % 1000) / 1000;
    scores.push_back(-tiling_time(schedule) * (1 + noise / 3));
  }
  return scores;
}

double mean_trials_guided(const std::function<std::vector<double>(std::span<const Schedule>)>& score) {
  double sum = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed)
    sum += trials_to_5_percent(*make_strategy("evolution", {tiling_space(), {tiling_start()}, seed, score}), 3000);
  return sum / 20;
}

TEST(Strategy, ACostModelSavesTrials) {
  const double alone = mean_trials("evolution"), guided = mean_trials_guided(rough_scores);
  EXPECT_LT(guided, alone / 1.5) << "alone " << alone << ", guided " << guided;
}

TEST(Strategy, ACostModelThatIsWrongCostsTrialsButHidesNothing) {
  const auto opposite = [](std::span<const Schedule> schedules) {
    std::vector<double> scores;
    for (const Schedule& schedule : schedules) scores.push_back(tiling_time(schedule));
    return scores;
  };
  EXPECT_LT(mean_trials_guided(opposite), 1500);
}

TEST(Strategy, WithACostModelEveryLegalPointStillComesOnce) {
  Space small = tiling_space();
  small.knobs[0].values = {1, 6, 12};
  auto search = make_strategy("evolution", {small, {}, 3, rough_scores});
  auto same = make_strategy("evolution", {small, {}, 3, rough_scores});
  std::set<std::string> texts;
  for (auto asked = search->ask(1); !asked.empty(); asked = search->ask(1)) {
    EXPECT_EQ(same->ask(1), asked);
    EXPECT_TRUE(small.legal(asked[0]));
    EXPECT_TRUE(texts.insert(print_schedule(asked[0])).second);
    search->tell(asked[0], tiling_time(asked[0]));
    same->tell(asked[0], tiling_time(asked[0]));
  }
  EXPECT_EQ(texts.size(), size_t{(6 + 5 + 2) * 4 * 2 * 7});
}

TEST(Strategy, UnknownNameListsTheKnownOnes) {
  try {
    (void)make_strategy("simulated-annealing", {tiling_space(), {}, 1});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "unknown search strategy 'simulated-annealing'; known are: random evolution");
  }
}

}  // namespace
}  // namespace oc
