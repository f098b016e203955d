// What the tuner makes of what is on record: its own runs before, other tuners, other builds, teams, hostile rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <utility>

#include "tests/autotune/tune_fixture.h"

namespace oc {
namespace {

using testing::formula;
using testing::matmul_task;
struct TuneRecord : testing::Tune {};

TEST_F(TuneRecord, ARerunResumes) {
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

TEST_F(TuneRecord, AnUnconfirmedFasterTrialOnRecordGetsItsDuel) {
  options.trials = 1;
  (void)run();
  // As if the run had ended between the trial and its confirmation.
  Schedule faster = first_default();
  for (const auto& [knob, value] : {std::pair{"tile.m", 5}, {"tile.n", 2}, {"unroll.k", 1}, {"block.m", 0}})
    faster.values[knob] = value;  // nothing is faster by the formula
  const Kernel kernel = matmul_task("a", 64, 96, 80).kernel;
  Journal journal(database, nullptr, target, 1, "");
  journal.commit(kernel, faster, {.samples_ns = {static_cast<int64_t>(formula(kernel, faster))}}, Rise::none);
  EXPECT_EQ(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule),
            first_default());
  options.trials = 0;
  const TuneReport report = run();
  EXPECT_EQ(measurer.measured.size(), 1U);
  options.trials = 1;
  EXPECT_EQ(*run().tasks[0].best, faster);
  EXPECT_EQ(parse_schedule(database.best(key(matmul_task("a", 64, 96, 80)), kAnyBuild)->trial.schedule), faster);
}

TEST_F(TuneRecord, TrialsOfAnotherBuildAreTimedAnewAndFirst) {
  Schedule old = first_default();
  old.values["tile.m"] = 5;
  old.values["block.m"] = 0;
  (void)add_of_older_build(matmul_task("a", 64, 96, 80), old);
  options.trials = 2;
  const TuneReport report = run();
  EXPECT_EQ(report.tasks[0].known, 0);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(old));
  EXPECT_EQ(measurer.measured.at(1).second, print_schedule(first_default()));
}

TEST_F(TuneRecord, AConfirmedTrialOfAnotherBuildDoesNotUnseatTheIncumbent) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule best = *run({task}).tasks[0].best;
  // It comes from a database of others, confirmed later than ours, and is slow in fact.
  Schedule slow = first_default();
  slow.values["unroll.k"] = 8;
  database.add_mark({MarkKind::confirm, add_of_older_build(task, slow), INT64_C(4'000'000'000'000), ""});
  ASSERT_EQ(parse_schedule(database.best(key(task), kAnyBuild)->trial.schedule), slow);
  measurer.measured.clear();
  options.trials = 1;
  EXPECT_EQ(*run({task}).tasks[0].best, best);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(slow)) << "the suspect is timed anew";
  const std::string build = current_build_id();
  EXPECT_EQ(parse_schedule(database.best(key(task), build)->trial.schedule), best);
}

TEST_F(TuneRecord, AShortRunDoesNotReplaceTheWinnersOfOthers) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule winner = good();
  {
    Database team = team_database();
    (void)add_of_older_build(team, task, winner);
  }
  const Layers known = shared();
  ASSERT_EQ(compiled(known, task), winner);
  options.layers = &known;
  options.trials = 1;
  const TuneReport report = run({task});
  EXPECT_EQ(report.tasks[0].best, winner);
  EXPECT_EQ(trials().size(), 1U) << "it was timed anew, into the user's database";
  EXPECT_EQ(compiled(known, task), winner);
}

TEST_F(TuneRecord, AWinnerOfOthersIsTimedAgainstOurIncumbent) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule winner = good();
  {
    Database team = team_database();
    team.add_mark({MarkKind::confirm, add_of_older_build(team, task, winner), 1, ""});
  }
  const Layers known = shared();
  options.trials = 1;
  ASSERT_EQ(run({task}).tasks[0].best, first_default());
  options.layers = &known;
  measurer.measured.clear();
  EXPECT_EQ(run({task}).tasks[0].best, winner);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(winner));
}

TEST_F(TuneRecord, WhatATeamMarkedAndSawFailCountsHere) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule crashing = first_default();
  crashing.values["unroll.k"] = 1;
  {
    Database team = team_database();
    Journal theirs(team, nullptr, target, 1, "");
    theirs.commit(task.kernel, crashing, {.status = TrialStatus::crash, .message = "SIGSEGV"}, Rise::none);
  }
  const Layers known = shared();
  options.layers = &known;
  options.trials = 3;
  ASSERT_EQ(run({task}).tasks[0].known, 1);
  EXPECT_THAT(measurer.measured,
              ::testing::Not(::testing::Contains(::testing::Pair(::testing::_, print_schedule(crashing)))));

  const auto best = known.best(key(task), current_build_id());
  ASSERT_TRUE(best);
  {
    Database team = team_database();
    team.add_mark({MarkKind::quarantine, best->id, unix_ms_now(), ""});
  }
  options.trials = 1;
  EXPECT_NE(run({task}).tasks[0].best, parse_schedule(best->trial.schedule)) << "it is no incumbent any more";
}

TEST_F(TuneRecord, AnImpossibleTimeInADatabaseOfOthersSettlesNothing) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule slow = first_default();
  slow.values["unroll.k"] = 8;
  slow = settled(task.kernel, target, slow);
  commit_for_team(task, slow, 1, Rise::won);
  const Layers known = shared();
  ASSERT_EQ(compiled(known, task), slow);
  options.layers = &known;
  const TuneReport report = run({task});
  EXPECT_EQ(report.trials, 60);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(slow));
  EXPECT_EQ(trials().at(0).samples_ns.at(0), std::llround(formula(task.kernel, slow)));
  EXPECT_LT(formula(task.kernel, *report.tasks[0].best), formula(task.kernel, first_default()));
  EXPECT_EQ(compiled(known, task), report.tasks[0].best);
}

TEST_F(TuneRecord, TimesOfAFasterHostAreNoBarHere) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  commit_for_team(task, first_default(), std::llround(formula(task.kernel, first_default()) / 4), Rise::unopposed);
  const Layers known = shared();
  options.layers = &known;
  const TuneReport report = run({task});
  EXPECT_GT(measurer.duels, 0);
  EXPECT_LT(formula(task.kernel, *report.tasks[0].best), formula(task.kernel, first_default()));
  EXPECT_EQ(compiled(known, task), report.tasks[0].best);
}

TEST_F(TuneRecord, AFastTrialOfOthersIsCheckedHereBeforeItIsConfirmed) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  for (const TrialStatus status : {TrialStatus::wrong_result, TrialStatus::ok}) {
    std::filesystem::remove(folder.path() / "user.db");
    std::filesystem::remove(folder.path() / "team.db");
    commit_for_team(task, good(), 1, Rise::none);
    const Layers known = shared();
    options.trials = 1;
    ASSERT_EQ(run({task}).tasks[0].best, first_default());
    options.layers = &known;
    measurer.status = [&](const Schedule& s) { return s == good() ? status : TrialStatus::ok; };
    measurer.measured.clear();
    const TuneReport report = run({task});
    EXPECT_THAT(measurer.measured, ::testing::ElementsAre(::testing::Pair(::testing::_, print_schedule(good()))));
    const Schedule expected = status == TrialStatus::ok ? good() : first_default();
    EXPECT_EQ(report.tasks[0].best, expected);
    EXPECT_EQ(compiled(known, task), expected);
    options.layers = nullptr;
  }
}

TEST_F(TuneRecord, AWinnerOfOthersThatIsSlowerHereIsBeatenHere) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  // Ours is at its limit: nothing else is left to time.
  measurer.time = [](const Kernel& kernel, const Schedule& s) { return kernel.flops / (s["tile.m"] == 5 ? 99 : 50); };
  Journal(database = user_database(), nullptr, target, 1, "")
      .commit(task.kernel, good(), {.samples_ns = {std::llround(task.kernel.flops / 99)}}, Rise::won);
  commit_for_team(task, first_default(), 1, Rise::won);
  const Layers known = shared();
  ASSERT_EQ(compiled(known, task), first_default());
  options.layers = &known;
  const TuneReport report = run({task});
  EXPECT_EQ(report.trials, 1);
  EXPECT_EQ(report.tasks[0].state, TaskState::near_limit);
  EXPECT_EQ(report.tasks[0].best, good());
  EXPECT_EQ(compiled(known, task), good());
}

TEST_F(TuneRecord, AWinHereOutranksOneOfAFastClock) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  {
    Database team = team_database();
    Journal(team, nullptr, target, 1, "").commit(task.kernel, first_default(), {.samples_ns = {1}}, Rise::none);
    const Trial slow = team.trials_of(key(task)).at(0);
    team.add_mark({MarkKind::confirm, row_id(slow), unix_ms_now() + INT64_C(12) * 3600 * 1000, ""});
  }
  const Layers known = shared();
  options.layers = &known;
  const TuneReport report = run({task});
  ASSERT_NE(report.tasks[0].best, first_default());
  EXPECT_EQ(compiled(known, task), report.tasks[0].best);
}

TEST_F(TuneRecord, AShortRunElsewhereDoesNotOutrankAWinner) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule winner = *run({task}).tasks[0].best;
  ASSERT_NE(winner, first_default());
  Database grace = Database::in_memory();
  options.trials = 1;
  const std::vector<TuneTask> tasks = {task};
  ASSERT_EQ(tune(tasks, target, 1, grace, measurer, options).tasks[0].best, first_default());
  const std::string build = current_build_id();
  EXPECT_FALSE(grace.best(key(task), build)->confirmed) << "it has beaten nobody";
  std::istringstream lines(grace.export_jsonl());
  ASSERT_EQ(database.import_jsonl(lines).skipped, 0);
  EXPECT_EQ(parse_schedule(database.best(key(task), build)->trial.schedule), winner);
}

TEST_F(TuneRecord, WhatAnotherTunerFoundMeanwhileIsTheOneToBeat) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule found = good();  // far faster than all that this tuner can find: it fails here when it is measured
  measurer.status = [&](const Schedule& s) { return s == found ? TrialStatus::crash : TrialStatus::ok; };
  Journal other(database, nullptr, target, 1, "Ada");
  bool wrote = false;
  measurer.time = [&](const Kernel& kernel, const Schedule& s) {
    if (measurer.duels == 1 && !std::exchange(wrote, true))  // while we fight our first duel
      other.commit(kernel, found, {.samples_ns = {10'000}}, Rise::won);
    return s == found ? 1e4 : 1e5 + formula(kernel, s);
  };
  const TuneReport report = run({task});
  EXPECT_TRUE(wrote);
  EXPECT_EQ(report.tasks[0].best, found);
  EXPECT_EQ(parse_schedule(database.best(key(task), current_build_id())->trial.schedule), found);
}

TEST_F(TuneRecord, WhatAnotherTunerFoundIsTheOneForAChallengerOnRecordToBeat) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule best = good();
  best.values["unroll.k"] = 1;
  best = settled(task.kernel, target, best);
  ASSERT_NE(best, good());
  const auto nanoseconds = [&](const Schedule& s) { return s == best ? 1e4 : s == good() ? 2e4 : 3e4; };
  Journal other(database, nullptr, target, 1, "Ada");
  other.commit(task.kernel, first_default(), {.samples_ns = {30'000}}, Rise::won);
  other.commit(task.kernel, good(), {.samples_ns = {20'000}}, Rise::none);
  measurer.time = [&](const Kernel& kernel, const Schedule& s) {
    if (database.stats().trials == 2)  // while the duel between those two is fought
      other.commit(kernel, best, {.samples_ns = {10'000}}, Rise::won);
    return nanoseconds(s);
  };
  options.stop = [&] { return measurer.duels > 0; };
  EXPECT_EQ(run({task}).tasks[0].best, best);
  EXPECT_EQ(measurer.duels, 1);
  EXPECT_EQ(parse_schedule(database.best(key(task), current_build_id())->trial.schedule), best);
}

TEST_F(TuneRecord, APinOfAnotherBuildLeavesUsOurIncumbent) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule best = *run({task}).tasks[0].best;
  Schedule slow = first_default();
  slow.values["unroll.k"] = 8;
  const std::string pinned = add_of_older_build(task, slow);
  database.add_mark({MarkKind::pin, pinned, 1, ""});
  options.trials = 3;
  options.seed = 2;
  EXPECT_EQ(run({task}).tasks[0].best, best);
  database.add_mark({MarkKind::clear, pinned, 2, ""});
  EXPECT_EQ(parse_schedule(database.best(key(task), current_build_id())->trial.schedule), best);
}

TEST_F(TuneRecord, ALaterFailureOfTheSameScheduleVoidsNoTrial) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule best = *run({task}).tasks[0].best;
  Journal other(database, nullptr, target, 1, "");
  other.commit(task.kernel, best, {.status = TrialStatus::run_timeout, .message = "a busy machine"}, Rise::none);
  options.trials = 0;
  EXPECT_EQ(run({task}).tasks[0].best, best);
  other.commit(task.kernel, best, {.status = TrialStatus::wrong_result, .message = "off"}, Rise::none);
  EXPECT_NE(run({task}).tasks[0].best, best) << "once wrong is always wrong";
}

TEST_F(TuneRecord, AnIncumbentThatNobodyConfirmedStaysOneUntilItIsBeaten) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  measurer.time = [](const Kernel&, const Schedule&) { return 1e5; };
  measurer.noise = 0.15;
  Journal other(database, nullptr, target, 1, "");
  other.commit(task.kernel, first_default(), {.samples_ns = {100'000}}, Rise::none);
  const TuneReport report = run({task});
  EXPECT_GT(measurer.duels, 0);
  EXPECT_EQ(report.tasks[0].best, first_default());
  EXPECT_EQ(parse_schedule(database.best(key(task), current_build_id())->trial.schedule), first_default());
}

TEST_F(TuneRecord, WhatCompileTakesIsTimedFirst) {
  TuneTask task = matmul_task("a", 64, 96, 80);
  Schedule of_older_build = first_default(), taken = first_default();
  of_older_build.values["unroll.k"] = 8;
  (void)add_of_older_build(task, of_older_build);
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

TEST_F(TuneRecord, SchedulesOnRecordAreSettledBeforeTheyAreTimed) {
  const TuneTask task = matmul_task("a", 64, 96, 80);
  const Schedule old = unsettled(first_default()), once = settled(task.kernel, target, old);
  ASSERT_NE(old, once);
  (void)add_of_older_build(task, old);
  options.trials = 1;
  (void)run({task});
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(once));
}

TEST_F(TuneRecord, WhatIsOnRecordUnsettledIsNotTimedAgain) {
  const TuneTask task = matmul_task("tiny", 1, 4, 8);  // a space that is walked to its end
  const Schedule old = unsettled(default_schedule(task.kernel, target, 1)), once = settled(task.kernel, target, old);
  ASSERT_NE(old, once);
  ASSERT_EQ(why_illegal(task.kernel, target, old), "");
  Journal(database, nullptr, target, 1, "").commit(task.kernel, old, {.samples_ns = {1000}}, Rise::won);
  options.trials = 1000;
  EXPECT_EQ(run({task}).end, TuneEnd::finished);
  EXPECT_THAT(measurer.measured,
              ::testing::Not(::testing::Contains(::testing::Pair(::testing::_, print_schedule(once)))));
}

TEST_F(TuneRecord, HostileRowsAreSkipped) {
  const Kernel kernel = matmul_task("a", 64, 96, 80).kernel;
  Schedule illegal = first_default();
  illegal.values["tile.m"] = illegal.values["tile.n"] = 32;
  ASSERT_NE(why_illegal(kernel, target, illegal), "");
  const std::string build = database.add_build(current_build());
  (void)database.add_machine({host_machine().hash(), ""});
  // At 1 ns it would be the best there can be; at a second it would be duelled first of all.
  for (const int64_t nanoseconds : {INT64_C(1), INT64_C(1'000'000'000)})
    for (const std::string& text :
         {std::string("contraction v1\ntile m=1000000000\n"), std::string("nonsense"), std::string("contraction v7\n"),
          std::string("window v1\n"), print_schedule(illegal)})
      database.add_mark({MarkKind::confirm,
                         database.add_trial({.workload = kernel.workload.text,
                                             .schedule = text,
                                             .machine = host_machine().hash(),
                                             .features = target.name(),
                                             .threads = 1,
                                             .build = build,
                                             .samples_ns = {nanoseconds},
                                             .message = {},
                                             .unix_ms = 1,
                                             .author = {},
                                             .run = {}}),
                         1, ""});
  options.trials = 3;
  const TuneReport report = run();
  EXPECT_EQ(report.trials, 3);
  EXPECT_EQ(report.tasks[0].known, 0);
  EXPECT_EQ(measurer.measured.at(0).second, print_schedule(first_default()));
  ASSERT_TRUE(report.tasks[0].best);
  EXPECT_EQ(why_illegal(kernel, target, *report.tasks[0].best), "");
}

}  // namespace
}  // namespace oc
