#include "autotune/whole_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <vector>

namespace oc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A model as the sum of its kernels, by clockwork: what the new schedules cost it more than the old.
struct FakeModel {
  std::map<size_t, int64_t> loss_ns;
  std::vector<std::optional<size_t>> asked = {};

  std::optional<Duel> operator()(std::optional<size_t> put_back) {
    asked.push_back(put_back);
    int64_t before = 1'000'000, now = before;
    for (const auto& [kernel, loss] : loss_ns) now += loss;
    if (!put_back) return rounds(now, before);
    return rounds(now - loss_ns[*put_back], now);
  }

  static Duel rounds(int64_t candidate, int64_t incumbent) {
    Duel duel;
    for (int64_t i = 0; i < 9; ++i) {  // a little noise, in which 0.1 % is lost
      duel.candidate_ns.push_back(candidate + 1500 * (i % 3));
      duel.incumbent_ns.push_back(incumbent + 1500 * (i % 2));
    }
    return duel;
  }
};

const std::vector<ChangedKernel> kChanged = {{3, 100}, {5, 900}, {8, 500}};

TEST(WholeModel, AFasterOneIsTimedOnce) {
  FakeModel fake{{{3, -50'000}}};
  const auto model = judge_model(kChanged, std::ref(fake));
  ASSERT_TRUE(model);
  EXPECT_FALSE(model->slower);
  EXPECT_THAT(model->losers, IsEmpty());
  EXPECT_NEAR(model->speedup.median, 1 / 0.95, 0.003);
  EXPECT_NEAR(model->before_ns, 1'000'000, 3000);
  EXPECT_NEAR(model->now_ns, 950'000, 3000);
  EXPECT_THAT(fake.asked, ElementsAre(std::nullopt));
}

TEST(WholeModel, LosersAreFoundThoseThatPromisedMostFirst) {
  FakeModel fake{{{3, 30'000}, {5, -20'000}, {8, 40'000}}};
  const auto model = judge_model(kChanged, std::ref(fake));
  ASSERT_TRUE(model);
  EXPECT_TRUE(model->slower);
  EXPECT_THAT(fake.asked, ElementsAre(std::nullopt, 5, 8, 3));
  EXPECT_THAT(model->losers, ElementsAre(8, 3));
}

TEST(WholeModel, WhatNoiseMayExplainIsNoLoss) {
  FakeModel fake{{{3, 1'000}}};
  const auto model = judge_model(kChanged, std::ref(fake));
  ASSERT_TRUE(model);
  EXPECT_FALSE(model->slower);
  EXPECT_THAT(fake.asked, ElementsAre(std::nullopt));
}

TEST(WholeModel, NotEveryKernelOfManyIsPutBack) {
  std::vector<ChangedKernel> many;
  FakeModel fake;
  for (size_t k = 0; k < 2 * kMaxPutBack; ++k) {
    many.push_back({k, static_cast<double>(k)});
    fake.loss_ns[k] = 10'000;
  }
  const auto model = judge_model(many, std::ref(fake));
  ASSERT_TRUE(model);
  EXPECT_EQ(fake.asked.size(), 1 + kMaxPutBack);
  EXPECT_EQ(fake.asked[1], 2 * kMaxPutBack - 1);
}

TEST(WholeModel, NothingIsSaidOfWhatWasNotTimed) {
  EXPECT_FALSE(judge_model(kChanged, [](std::optional<size_t>) { return std::nullopt; }));
  FakeModel fake{{{5, 50'000}}};
  const auto model = judge_model(
      kChanged, [&](std::optional<size_t> put_back) { return put_back == 8 ? std::nullopt : fake(put_back); });
  ASSERT_TRUE(model);
  EXPECT_THAT(model->losers, ElementsAre(5)) << "interrupted then";
}

}  // namespace
}  // namespace oc
