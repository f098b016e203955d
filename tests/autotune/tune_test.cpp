#include "autotune/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "autotune/interrupt.h"
#include "base/error.h"
#include "tests/autotune/tune_fixture.h"

namespace oc {
namespace {

using testing::FakeMeasurer;
using testing::formula;
using testing::matmul_task;
using testing::Tune;

TEST_F(Tune, FindsAScheduleMuchFasterThanTheDefaultAndRecordsEveryTrial) {
  const TuneReport report = run();
  EXPECT_EQ(report.trials, 60);
  EXPECT_EQ(report.end, TuneEnd::trials);
  ASSERT_EQ(trials().size(), 60U);
  const TaskProgress& task = report.tasks.at(0);
  EXPECT_LT(*task.best_ns, 0.8 * *task.first_ns);
  EXPECT_EQ(report.total_best_ns(), *task.best_ns);

  const auto best = database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild);
  ASSERT_TRUE(best);
  EXPECT_TRUE(best->confirmed);
  EXPECT_EQ(parse_schedule(best->trial.schedule), *task.best);
  EXPECT_EQ(database.stats().calibrations, 1);
}

TEST_F(Tune, TheDefaultOfEveryWorkloadComesFirstTheQuickestBeforeAll) {
  const std::vector<TuneTask> tasks = {matmul_task("large", 128, 256, 256), matmul_task("small", 16, 32, 32),
                                       matmul_task("middle", 64, 96, 80)};
  (void)run(tasks);
  const std::vector<size_t> order = {1, 2, 0};
  for (size_t i = 0; i < 3; ++i) {
    const Kernel& kernel = tasks[order[i]].kernel;
    EXPECT_EQ(measurer.measured[i].first, kernel.workload.hash());
    EXPECT_EQ(measurer.measured[i].second, print_schedule(default_schedule(kernel, target, 1)));
  }
}

TEST_F(Tune, TheNextIsPreparedBeforeTheCurrentIsMeasured) {
  options.trials = 5;
  (void)run();
  ASSERT_EQ(measurer.prepared.size(), 5U) << "and nothing beyond the budget";
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(measurer.prepared[i], measurer.measured[i].second);
}

TEST_F(Tune, SameSeedSameTrials) {
  (void)run();
  const auto first = measurer.measured;
  measurer.measured.clear();
  database = Database::in_memory();
  (void)run();
  EXPECT_EQ(measurer.measured, first);
}

TEST_F(Tune, AWrongResultNeverWinsHoweverFast) {
  measurer.time = [](const Kernel&, const Schedule& s) { return s["unroll.k"] == 1 ? 1.0 : 1e5; };
  const int64_t usual = first_default()["unroll.k"];
  ASSERT_NE(usual, 1);
  measurer.status = [](const Schedule& s) { return s["unroll.k"] == 1 ? TrialStatus::wrong_result : TrialStatus::ok; };
  const TuneReport report = run();
  EXPECT_GT(report.tasks[0].failed, 0);
  EXPECT_NE((*report.tasks[0].best)["unroll.k"], 1);
  EXPECT_NE(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule)["unroll.k"], 1);
}

TEST_F(Tune, NoisePromotesNobody) {
  measurer.time = [](const Kernel&, const Schedule&) { return 1e5; };
  measurer.noise = 0.15;
  options.trials = 300;
  const TuneReport report = run();
  EXPECT_GT(measurer.duels, 20) << "lucky measurements are challenged";
  EXPECT_EQ(*report.tasks[0].best, first_default());
  EXPECT_EQ(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule),
            first_default())
      << "a lucky median on record does not beat a confirmed incumbent";
}

TEST_F(Tune, ARealGainIsFoundUnderNoise) {
  measurer.noise = 0.03;
  const TuneReport report = run();
  EXPECT_LT(formula(matmul_task("a", 64, 96, 80).kernel, *report.tasks[0].best), 0.85 * *report.tasks[0].first_ns);
}

TEST_F(Tune, SlowCandidatesAreStoppedAtThreeTimesTheIncumbent) {
  options.trials = 2;
  (void)run();
  EXPECT_EQ(measurer.hopeless[0], std::nullopt);
  EXPECT_NEAR(measurer.hopeless[1].value(), 3 * formula(matmul_task("a", 64, 96, 80).kernel, first_default()), 2);
}

TEST_F(Tune, TheTimeBudgetIsKept) {
  options.trials.reset();
  options.time = Seconds(2.05);
  const TuneReport report = run();
  EXPECT_EQ(report.end, TuneEnd::time);
  EXPECT_EQ(report.trials, 21) << "0.1 s each; the one under way is finished";
  EXPECT_EQ(reports, 22);
}

TEST_F(Tune, ProgressTellsTimeLeft) {
  options.trials = 10;
  std::vector<double> left;
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80)};
  (void)tune(tasks, target, 1, database, measurer, options, [&](const TuneProgress& p) {
    if (p.end == TuneEnd::running) left.push_back(p.eta.value().count());
  });
  ASSERT_EQ(left.size(), 10U);
  EXPECT_NEAR(left[0], 0.9, 1e-9);
  EXPECT_NEAR(left[9], 0, 1e-9);
}

TEST_F(Tune, StopsCleanlyAfterTheTrialUnderWay) {
  options.stop = [&] { return measurer.measured.size() == 7; };
  const TuneReport report = run();
  EXPECT_EQ(report.end, TuneEnd::stopped);
  EXPECT_EQ(trials().size(), 7U);
}

TEST_F(Tune, AnInterruptIsAQuestion) {
  InterruptGuard guard;
  options.stop = [&] { return guard.pending(); };
  measurer.status = [&](const Schedule&) {
    if (measurer.measured.size() == 5) (void)raise(SIGINT);
    return TrialStatus::ok;
  };
  EXPECT_EQ(run().end, TuneEnd::stopped);
  EXPECT_EQ(trials().size(), 5U);
}

TEST_F(Tune, ASmallSpaceIsExhausted) {
  options.trials = 1000;
  const TuneReport report = run({matmul_task("tiny", 1, 4, 8)});
  EXPECT_EQ(report.end, TuneEnd::finished);
  EXPECT_LT(report.trials, 1000);
  EXPECT_EQ(report.tasks[0].state, TaskState::exhausted);
}

TEST_F(Tune, NoScheduleOfASmallSpaceIsLeftOut) {
  const TuneTask task = matmul_task("tiny", 1, 4, 8);
  const Space space = schedule_space(task.kernel, target, 1);
  std::set<std::string> all, tried;
  Point point(space.knobs.size(), 0);
  for (size_t knob = 0; knob < point.size();) {
    if (const Schedule schedule = space.at(point); space.legal(schedule)) all.insert(print_schedule(schedule));
    for (knob = 0; knob < point.size() && ++point[knob] == space.knobs[knob].values.size();) point[knob++] = 0;
  }
  ASSERT_GT(all.size(), 1U);
  for (const int jobs : {1, 2}) {
    database = Database::in_memory();
    measurer.measured.clear();
    tried.clear();
    options.trials = 1000;
    options.jobs = jobs;
    EXPECT_EQ(run({task}).tasks[0].state, TaskState::exhausted);
    for (const auto& [workload, schedule] : measurer.measured) tried.insert(schedule);
    EXPECT_EQ(tried, all) << jobs;
  }
}

TEST_F(Tune, AWorkloadAtItsLimitGetsNoMoreTrials) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  // 1e11 flop/s is what the fake calibration says.
  measurer.time = [](const Kernel& kernel, const Schedule&) { return kernel.flops / 100 * 1.02; };
  const TuneReport report = run({task});
  EXPECT_EQ(report.end, TuneEnd::finished);
  EXPECT_EQ(report.tasks[0].state, TaskState::near_limit);
  EXPECT_GT(report.tasks[0].share_of_limit(), 0.95);
  EXPECT_EQ(report.trials, 1);
}

TEST_F(Tune, TheBudgetGoesWhereTheModelGainsMost) {
  std::vector<TuneTask> tasks = {matmul_task("rare", 64, 96, 80), matmul_task("often", 64, 96, 96)};
  tasks[1].weight = 30;
  const TuneReport report = run(tasks);
  EXPECT_GT(report.tasks[1].trials, 3 * report.tasks[0].trials);
  EXPECT_GE(report.tasks[0].trials, 6);
}

TEST_F(Tune, AWinnerIsTriedInWorkloadsOfTheSameOp) {
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80), matmul_task("b", 48, 96, 64)};
  const TuneReport report = run(tasks);
  const Kernel& other = tasks[1].kernel;
  const std::string winner = print_schedule(*report.tasks[0].best);
  EXPECT_THAT(measurer.measured, ::testing::Contains(std::pair(other.workload.hash(), winner)));
}

TEST_F(Tune, EverythingFailsAndTheWorkloadIsGivenUp) {
  measurer.status = [](const Schedule&) { return TrialStatus::compile_error; };
  options.trials = 500;
  const TuneReport report = run();
  EXPECT_EQ(report.tasks[0].state, TaskState::unmeasurable);
  EXPECT_EQ(report.tasks[0].best, std::nullopt);
  EXPECT_EQ(report.tasks[0].message, "as the test wants");
  EXPECT_LT(report.trials, 100);
  EXPECT_FALSE(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild));
}

TEST_F(Tune, WithoutAReferenceNothingIsRecorded) {
  struct NoReference : FakeMeasurer {
    Measurement measure(const Kernel&, const Schedule&, std::optional<double>) override {
      return {.status = TrialStatus::invalid, .message = "the reference does not run: SIGSEGV", .hopeless = true};
    }
  } broken;
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80)};
  const TuneReport report = tune(tasks, target, 1, database, broken, options);
  EXPECT_EQ(report.end, TuneEnd::finished);
  EXPECT_EQ(report.tasks[0].state, TaskState::unmeasurable);
  EXPECT_EQ(report.tasks[0].message, "the reference does not run: SIGSEGV");
  EXPECT_TRUE(trials().empty());
}

TEST_F(Tune, EqualCodeIsNotRecordedTwice) {
  struct Repeating : FakeMeasurer {
    Measurement measure(const Kernel& kernel, const Schedule& schedule, std::optional<double> hopeless_ns) override {
      Measurement result = FakeMeasurer::measure(kernel, schedule, hopeless_ns);
      result.repeated = measured.size() % 2 == 0;
      return result;
    }
  } repeating;
  repeating.time = formula;
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80)};
  EXPECT_EQ(tune(tasks, target, 1, database, repeating, options).trials, 60);
  EXPECT_EQ(trials().size(), 60U);
  EXPECT_GE(repeating.measured.size(), 119U);
}

TEST_F(Tune, MistakesAreSaid) {
  EXPECT_THROW((void)run(std::vector<TuneTask>{}), UserError);
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80)};
  EXPECT_THROW((void)tune(tasks, target, 0, database, measurer, options), UserError);
}

}  // namespace
}  // namespace oc
