#include "autotune/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "autotune/interrupt.h"
#include "autotune/journal.h"
#include "autotune/provenance.h"
#include "base/error.h"
#include "tests/autotune/fakes.h"
#include "tests/autotune/workloads.h"

namespace oc {
namespace {

using testing::FakeMeasurer;
using testing::matmul_task;

// Larger tiles are faster, to a point: a landscape over the real space of contractions.
double formula(const Kernel& kernel, const Schedule& s) {
  return kernel.flops / 50 + 6000 * std::abs(static_cast<double>(s["tile.m"]) - 5) +
         4000 * std::abs(static_cast<double>(s["tile.n"]) - 2) + 2000 * static_cast<double>(s["unroll.k"]) +
         200 * static_cast<double>(s["block.m"]);
}

class Tune : public ::testing::Test {
 protected:
  Tune() {
    measurer.time = formula;
    measurer.clock = &clock;
    options.clock = [this] { return clock; };
    options.trials = 60;
    options.seed = 1;
  }

  TuneReport run(std::vector<TuneTask> tasks) {
    return tune(tasks, target, 1, database, measurer, options, [this](const TuneProgress& p) {
      ++reports;
      last = p;
    });
  }
  TuneReport run() { return run({matmul_task("a", 64, 96, 80)}); }

  [[nodiscard]] Key key(const TuneTask& task) const {
    return {task.kernel.workload.text, host_machine().hash(), target.name(), 1};
  }
  [[nodiscard]] std::vector<Trial> trials() const { return database.trials_of(key(matmul_task("a", 64, 96, 80))); }
  [[nodiscard]] Schedule first_default() const {
    return default_schedule(matmul_task("a", 64, 96, 80).kernel, target, 1);
  }
  // As if another build had found the schedule to be the fastest.
  void add_of_older_build(const TuneTask& task, const Schedule& schedule) {
    add_of_older_build(database, task, schedule);
  }
  void add_of_older_build(Database& to, const TuneTask& task, const Schedule& schedule) const {
    (void)to.add_machine({host_machine().hash(), ""});
    (void)to.add_trial({.workload = task.kernel.workload.text,
                        .schedule = print_schedule(schedule),
                        .machine = host_machine().hash(),
                        .features = target.name(),
                        .threads = 1,
                        .build = to.add_build({"an older toolchain", "0.0.1", "x"}),
                        .samples_ns = {1},
                        .message = {},
                        .unix_ms = 1,
                        .author = {},
                        .run = {}});
  }
  // The same kernel as the settled schedule, written in another way.
  [[nodiscard]] static Schedule unsettled(Schedule schedule) {
    for (const auto& [knob, value] : {std::pair{"tile.m", 1}, {"order.inner", 0}, {"block.m", 64}})
      schedule.values[knob] = value;
    return schedule;
  }

  Target target = host_target();
  Database database = Database::in_memory();
  FakeMeasurer measurer;
  Seconds clock{0};
  TuneOptions options;
  int reports = 0;
  TuneProgress last;
};

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

TEST_F(Tune, ARerunResumes) {
  measurer.status = [](const Schedule& s) { return s["unroll.k"] == 8 ? TrialStatus::crash : TrialStatus::ok; };
  const TuneReport first = run();
  std::set<std::pair<std::string, std::string>> known(measurer.measured.begin(), measurer.measured.end());
  measurer.measured.clear();
  options.seed = 99;
  const TuneReport second = run();
  EXPECT_EQ(second.tasks[0].known, 60);
  for (const auto& pair : measurer.measured) EXPECT_FALSE(known.contains(pair)) << "measured again: " << pair.second;
  EXPECT_EQ(second.tasks[0].first_ns, first.tasks[0].best_ns);
  EXPECT_LE(*second.tasks[0].best_ns, *first.tasks[0].best_ns);
  EXPECT_EQ(trials().size(), 120U);
}

TEST_F(Tune, AnUnconfirmedFasterTrialOnRecordGetsItsDuel) {
  options.trials = 1;
  (void)run();
  // As if the run had ended between the trial and its confirmation.
  Schedule faster = first_default();
  for (const auto& [knob, value] : {std::pair{"tile.m", 5}, {"tile.n", 2}, {"unroll.k", 1}, {"block.m", 0}})
    faster.values[knob] = value;  // nothing is faster by the formula
  const Kernel kernel = matmul_task("a", 64, 96, 80).kernel;
  Journal journal(database, nullptr, target, 1, "");
  journal.commit(kernel, faster, {.samples_ns = {static_cast<int64_t>(formula(kernel, faster))}}, false);
  EXPECT_EQ(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule),
            first_default());
  options.trials = 0;
  const TuneReport report = run();
  EXPECT_EQ(measurer.measured.size(), 1U);
  options.trials = 1;
  EXPECT_EQ(*run().tasks[0].best, faster);
  EXPECT_EQ(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule), faster);
}

TEST_F(Tune, TrialsOfAnotherBuildAreTimedAnewAndFirst) {
  Schedule old = first_default();
  old.values["tile.m"] = 5;
  old.values["block.m"] = 0;
  add_of_older_build(matmul_task("a", 64, 96, 80), old);
  options.trials = 2;
  const TuneReport report = run();
  EXPECT_EQ(report.tasks[0].known, 0);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(old));
  EXPECT_EQ(measurer.measured.at(1).second, print_schedule(first_default()));
}

TEST_F(Tune, AConfirmedTrialOfAnotherBuildDoesNotUnseatTheIncumbent) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule best = *run({task}).tasks[0].best;
  // It comes from a database of others, confirmed later than ours, and is slow in fact.
  Schedule slow = first_default();
  slow.values["unroll.k"] = 8;
  add_of_older_build(task, slow);
  for (const Trial& trial : trials())
    if (trial.unix_ms == 1) database.add_mark({MarkKind::confirm, row_id(trial), INT64_C(4'000'000'000'000), ""});
  ASSERT_EQ(parse_schedule(database.best(key(task), kAnyBuild)->trial.schedule), slow);
  measurer.measured.clear();
  options.trials = 1;
  EXPECT_EQ(*run({task}).tasks[0].best, best);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(slow)) << "the suspect is timed anew";
  const std::string build = current_build_id();
  EXPECT_EQ(parse_schedule(database.best(key(task), build)->trial.schedule), best);
}

TEST_F(Tune, AShortRunDoesNotReplaceTheWinnersOfOthers) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule winner = first_default();
  winner.values["tile.m"] = 5;
  winner.values["block.m"] = 0;
  const auto all = [&](Database user) {
    std::vector<Database> layers;
    layers.push_back(std::move(user));
    layers.push_back(Database::in_memory("team"));
    add_of_older_build(layers.back(), task, winner);
    return Layers(std::move(layers));
  };
  const auto compiled = [&](const Layers& layers) {
    return parse_schedule(layers.best(key(task), current_build_id())->trial.schedule);
  };
  const Layers known = all(Database::in_memory());
  ASSERT_EQ(compiled(known), winner);
  options.layers = &known;
  options.trials = 1;
  const TuneReport report = run({task});
  EXPECT_EQ(report.tasks[0].best, winner);
  EXPECT_EQ(trials().size(), 1U) << "it was timed anew, into the user's database";
  EXPECT_EQ(compiled(all(std::move(database))), winner);
}

TEST_F(Tune, AWinnerOfOthersIsTimedAgainstOurIncumbent) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  options.trials = 1;
  ASSERT_EQ(run({task}).tasks[0].best, first_default());
  Schedule winner = first_default();
  winner.values["tile.m"] = 5;
  winner.values["block.m"] = 0;
  std::vector<Database> team;
  team.push_back(Database::in_memory("team"));
  add_of_older_build(team.back(), task, winner);
  const Layers known(std::move(team));
  options.layers = &known;
  measurer.measured.clear();
  EXPECT_EQ(run({task}).tasks[0].best, winner);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(winner));
}

TEST_F(Tune, WhatCompileTakesIsTimedFirst) {
  TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule of_older_build = first_default(), taken = first_default();
  of_older_build.values["unroll.k"] = 8;
  add_of_older_build(task, of_older_build);
  taken.values["unroll.k"] = 1;
  taken = settled(task.kernel, target, taken);
  ASSERT_NE(taken, first_default());
  task.start = taken;
  options.trials = 3;
  (void)run({task});
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(taken));
  EXPECT_EQ(measurer.measured.at(1).second, print_schedule(of_older_build));
  EXPECT_EQ(measurer.measured.at(2).second, print_schedule(first_default()));
}

TEST_F(Tune, SchedulesOnRecordAreSettledBeforeTheyAreTimed) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule old = unsettled(first_default()), once = settled(task.kernel, target, old);
  ASSERT_NE(old, once);
  add_of_older_build(task, old);
  options.trials = 1;
  (void)run({task});
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(once));
}

TEST_F(Tune, WhatIsOnRecordUnsettledIsNotTimedAgain) {
  const TuneTask task = matmul_task("tiny", 1, 4, 8);  // a space that is walked to its end
  const Schedule old = unsettled(default_schedule(task.kernel, target, 1)), once = settled(task.kernel, target, old);
  ASSERT_NE(old, once);
  ASSERT_EQ(why_illegal(task.kernel, target, old), "");
  Journal(database, nullptr, target, 1, "").commit(task.kernel, old, {.samples_ns = {1000}}, true);
  options.trials = 1000;
  EXPECT_EQ(run({task}).end, TuneEnd::finished);
  EXPECT_THAT(measurer.measured,
              ::testing::Not(::testing::Contains(::testing::Pair(::testing::_, print_schedule(once)))));
}

TEST_F(Tune, HostileRowsAreSkipped) {
  const Kernel kernel = matmul_task("a", 64, 96, 80).kernel;
  Journal journal(database, nullptr, target, 1, "");
  const std::string build = database.add_build(current_build());
  for (const char* text : {"contraction v1\ntile m=1000000000\n", "nonsense", "contraction v7\n", ""}) try {
      (void)database.add_trial({.workload = kernel.workload.text,
                                .schedule = text,
                                .machine = host_machine().hash(),
                                .features = target.name(),
                                .threads = 1,
                                .build = build,
                                .samples_ns = {1},
                                .message = {},
                                .unix_ms = 1,
                                .author = {},
                                .run = {}});
    } catch (const InternalError&) {  // refused on the way in: as good
    }
  options.trials = 3;
  const TuneReport report = run();
  EXPECT_EQ(report.trials, 3);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(first_default()));
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
