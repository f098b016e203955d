#include "tuning_db/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/files.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/rows.h"

namespace oc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

struct DatabaseTest : testing::Test {
  Database db = Database::in_memory();
  std::string best_schedule(const Key& key = sample_key()) {
    const auto found = db.best(key, kAnyBuild);
    return found ? found->trial.schedule : "none";
  }
};

TEST_F(DatabaseTest, GivesBackWhatItGot) {
  Trial trial = sample_trial();
  trial.author = "Ada";
  trial.run = "run 1";
  const std::string id = db.add_trial(trial);
  EXPECT_EQ(id, row_id(trial));
  EXPECT_THAT(db.trials_with(id), ElementsAre(trial));
  EXPECT_EQ(db.trials_of(sample_key()), std::vector{trial});
  EXPECT_EQ(db.trials_of(trial.workload), std::vector{trial});
  EXPECT_EQ(db.keys_of(trial.workload), std::vector{sample_key()});

  const BuildRow build{"Halide 19, LLVM 19", "0.1.0", "abc"};
  EXPECT_EQ(db.build(db.add_build(build)), build);
  const CalibrationRow calibration{kMachine, "run 1", 123.5, 20.25, 4, 17};
  db.add_calibration(calibration);
  EXPECT_THAT(db.export_jsonl(), HasSubstr(row_line(calibration)));
  const MachineRow machine = sample_machine();
  db.add_machine(machine);
  EXPECT_EQ(db.machines(), std::vector{machine});
  db.add_workload({trial.workload, "contraction"});
  EXPECT_EQ(db.workloads(), (std::vector<WorkloadRow>{{trial.workload, "contraction"}}));
  const Mark mark{MarkKind::pin, id, 99, "because"};
  db.add_mark(mark);
  EXPECT_EQ(db.marks_of(id), std::vector{mark});
}

TEST_F(DatabaseTest, KeepsEveryStatus) {
  for (int i = 1; i < 8; ++i) {
    Trial trial = failed_trial("schedule", static_cast<TrialStatus>(i));
    trial.relative_error = std::numeric_limits<double>::infinity();
    EXPECT_THAT(db.trials_with(db.add_trial(trial)), ElementsAre(trial));
  }
  EXPECT_THAT(db.trials_of(sample_key()), SizeIs(7));
  EXPECT_EQ(best_schedule(), "none");
}

TEST_F(DatabaseTest, AddingAgainChangesNothing) {
  const std::string id = db.add_trial(sample_trial());
  EXPECT_EQ(db.add_trial(sample_trial()), id);
  const Mark mark{MarkKind::pin, id, 99, ""};
  const std::string mark_id = db.add_mark(mark);
  db.add_mark({MarkKind::clear, id, 200, ""});
  EXPECT_EQ(db.add_mark(mark), mark_id);
  EXPECT_EQ(db.stats().trials, 1);
  EXPECT_EQ(db.stats().marks, 2);
}

TEST_F(DatabaseTest, RowsBeyondTheLimitsAreOurBug) {
  Trial no_samples = sample_trial("s", {});
  EXPECT_THROW(db.add_trial(no_samples), InternalError);
  EXPECT_THROW(db.add_trial(sample_trial("s", {-1})), InternalError);
  EXPECT_THROW(db.add_trial(sample_trial("")), InternalError);
  EXPECT_THROW(db.add_trial(sample_trial("\xFF")), InternalError);
  EXPECT_THROW(db.add_mark({MarkKind::pin, "no id", 0, ""}), InternalError);
  EXPECT_EQ(db.stats().trials, 0);
}

TEST_F(DatabaseTest, MessagesOfCrashedChildrenAreCleaned) {
  Trial trial = failed_trial("s", TrialStatus::crash);
  trial.message = std::string("a\x1b[31m\xff\0b\n", 10) + std::string(1 << 20, 'x');
  trial.relative_error = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Trial> kept = db.trials_with(db.add_trial(trial));
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(kept[0].message.starts_with("a?[31m??b\nxxx"));
  EXPECT_EQ(kept[0].message.size(), kMaxMessageBytes);
  EXPECT_EQ(kept[0].relative_error, std::numeric_limits<double>::infinity());
}

TEST_F(DatabaseTest, TheLowestMedianIsBest) {
  db.add_trial(sample_trial("slow", {300, 310, 320}));
  db.add_trial(sample_trial("lucky once", {1, 400, 400}));
  db.add_trial(sample_trial("fast", {100, 900, 110}));
  db.add_trial(failed_trial("crashed", TrialStatus::crash));
  const auto found = db.best(sample_key(), kAnyBuild);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trial.schedule, "fast");
  EXPECT_EQ(found->rung, Rung::exact);
  EXPECT_EQ(found->source, "memory");
  EXPECT_EQ(found->id, row_id(found->trial));
  EXPECT_FALSE(found->pinned || found->confirmed);
}

TEST_F(DatabaseTest, OnlyTheExactKeyCounts) {
  db.add_trial(sample_trial());
  for (Key other : {sample_key(), sample_key(), sample_key(), sample_key(2)}) {
    static int field = 0;
    if (field == 0) other.workload += " ";
    if (field == 1) other.machine[0] = 'f';
    if (field == 2) other.features += "-fma";
    ++field;
    EXPECT_FALSE(db.best(other, kAnyBuild));
    EXPECT_TRUE(db.trials_of(other).empty());
  }
}

TEST_F(DatabaseTest, TheLastConfirmedBeatsALowerMedian) {
  const std::string slow = db.add_trial(sample_trial("slow", {300}));
  const std::string middle = db.add_trial(sample_trial("middle", {200}));
  db.add_trial(sample_trial("fast", {100}));
  db.add_mark({MarkKind::confirm, middle, 10, ""});
  EXPECT_EQ(best_schedule(), "middle");
  EXPECT_TRUE(db.best(sample_key(), kAnyBuild)->confirmed);
  db.add_mark({MarkKind::confirm, slow, 20, ""});
  EXPECT_EQ(best_schedule(), "slow");
}

TEST_F(DatabaseTest, AnIncumbentWithoutADuelYieldsToAWinnerWhateverTheTimes) {
  const std::string first = db.add_trial(sample_trial("first", {300})), won = db.add_trial(sample_trial("won", {200}));
  db.add_trial(sample_trial("lucky", {100}));
  db.add_mark({MarkKind::confirm, first, 10, std::string(kWithoutDuel)});
  EXPECT_EQ(best_schedule(), "first");
  EXPECT_FALSE(db.best(sample_key(), kAnyBuild)->confirmed);
  db.add_mark({MarkKind::confirm, won, 20, ""});
  db.add_mark({MarkKind::confirm, first, 30, std::string(kWithoutDuel)});
  EXPECT_EQ(best_schedule(), "won");
  db.add_mark({MarkKind::quarantine, won, 40, ""});
  EXPECT_EQ(best_schedule(), "first");
  db.add_mark({MarkKind::confirm, db.add_trial(sample_trial("other", {250})), 5, std::string(kWithoutDuel)});
  EXPECT_EQ(best_schedule(), "other") << "of these the lower median";
}

TEST_F(DatabaseTest, RecordsOfAKeyAreThoseOfTheBuildTheBestFirst) {
  const std::string slow = db.add_trial(sample_trial("slow", {300})), fast = db.add_trial(sample_trial("fast", {100})),
                    pinned = db.add_trial(sample_trial("pinned", {400}));
  Trial failed = sample_trial("failed"), rebuilt = sample_trial("rebuilt", {1});
  failed.status = TrialStatus::crash;
  failed.samples_ns.clear();
  rebuilt.build = "another";
  const std::string crash = db.add_trial(failed);
  db.add_trial(rebuilt);
  db.add_trial(sample_trial("elsewhere", {1}, sample_key(2)));
  db.add_mark({MarkKind::confirm, slow, 10, ""});
  db.add_mark({MarkKind::pin, pinned, 20, ""});
  const std::vector<Record> records = db.records(sample_key(), failed.build);
  std::vector<std::string> usable, all;
  for (const Record& record : records) {
    all.push_back(record.id);
    if (record.trial.status == TrialStatus::ok) usable.push_back(record.id);
    EXPECT_EQ(record.confirmed, record.id == slow);
  }
  EXPECT_EQ(usable, (std::vector{slow, fast, pinned}));
  EXPECT_EQ(all.size(), 4U);
  EXPECT_NE(std::ranges::find(all, crash), all.end());
  db.add_mark({MarkKind::quarantine, slow, 30, ""});
  for (const Record& record : db.records(sample_key(), failed.build))
    EXPECT_EQ(record.quarantined, record.id == slow) << record.trial.schedule;
}

TEST_F(DatabaseTest, PinsAndQuarantines) {
  const std::string slow = db.add_trial(sample_trial("slow", {300}));
  const std::string fast = db.add_trial(sample_trial("fast", {100}));
  db.add_mark({MarkKind::confirm, fast, 10, ""});
  db.add_mark({MarkKind::pin, slow, 20, ""});
  EXPECT_EQ(best_schedule(), "slow");
  EXPECT_TRUE(db.best(sample_key(), kAnyBuild)->pinned);
  db.add_mark({MarkKind::clear, slow, 30, ""});
  EXPECT_EQ(best_schedule(), "fast");
  db.add_mark({MarkKind::quarantine, fast, 40, ""});
  EXPECT_EQ(best_schedule(), "slow");
  db.add_mark({MarkKind::confirm, fast, 50, ""});  // says it is fast, not that it may be used
  EXPECT_EQ(best_schedule(), "slow");
  db.add_mark({MarkKind::quarantine, slow, 60, ""});
  EXPECT_EQ(best_schedule(), "none");
  db.add_mark({MarkKind::pin, fast, 70, ""});
  EXPECT_EQ(best_schedule(), "fast");
}

TEST_F(DatabaseTest, AClockSetBackDoesNotUndoADecision) {
  const std::string slow = db.add_trial(sample_trial("slow", {300}));
  const std::string fast = db.add_trial(sample_trial("fast", {100}));
  db.add_mark({MarkKind::confirm, fast, 1000, ""});
  db.add_mark({MarkKind::confirm, slow, 10, ""});
  EXPECT_EQ(best_schedule(), "slow");
  db.add_mark({MarkKind::quarantine, slow, 5, ""});
  EXPECT_EQ(best_schedule(), "fast");
  EXPECT_EQ(db.marks_of(slow).back().unix_ms, 1002);
}

TEST_F(DatabaseTest, AWrongResultNeverWins) {
  const std::string id = db.add_trial(sample_trial("racy", {10}));
  db.add_trial(sample_trial("honest", {100}));
  db.add_trial(failed_trial("racy", TrialStatus::wrong_result));
  EXPECT_EQ(best_schedule(), "honest");
  db.add_mark({MarkKind::confirm, id, 10, ""});
  EXPECT_EQ(best_schedule(), "honest");
  // Another build may compile the same schedule to correct code.
  Trial rebuilt = sample_trial("racy", {10});
  rebuilt.build = "another build";
  db.add_mark({MarkKind::confirm, db.add_trial(rebuilt), 20, ""});
  EXPECT_EQ(best_schedule(), "racy");
}

TEST_F(DatabaseTest, TrialsOfAnotherBuildAreSuspect) {
  Trial old = sample_trial("old", {10});
  old.build = "older";
  const std::string id = db.add_trial(old);
  const std::string fresh = db.add_trial(sample_trial("fresh", {100}));
  db.add_mark({MarkKind::confirm, fresh, 10, ""});
  db.add_mark({MarkKind::confirm, id, 20, ""});  // later, by somebody who has the older build still
  const auto best_for = [&](std::string_view build) { return db.best(sample_key(), build)->trial.schedule; };
  EXPECT_EQ(best_for("build"), "fresh") << "a suspect is not trusted over a fresh measurement";
  EXPECT_EQ(db.look_up(sample_key(), "build")->trial.schedule, "fresh");
  EXPECT_EQ(best_for("older"), "old");
  EXPECT_EQ(best_for(""), "old");
  EXPECT_EQ(best_for("newer"), "old") << "usable until there is a fresh one";
  db.add_mark({MarkKind::pin, id, 30, ""});
  EXPECT_EQ(best_for("build"), "old") << "what a person wants";
  db.add_mark({MarkKind::clear, id, 40, ""});
  db.add_mark({MarkKind::quarantine, fresh, 50, ""});
  EXPECT_EQ(best_for("build"), "old");
}

TEST_F(DatabaseTest, AMissTriesTheNearestThreadCount) {
  EXPECT_FALSE(db.look_up(sample_key(4), kAnyBuild));
  db.add_trial(sample_trial("one", {100}, sample_key(1)));
  db.add_trial(sample_trial("sixteen", {100}, sample_key(16)));
  db.add_trial(failed_trial("four", TrialStatus::crash));
  EXPECT_EQ(db.look_up(sample_key(4), kAnyBuild)->trial.schedule, "one");
  EXPECT_EQ(db.look_up(sample_key(5), kAnyBuild)->trial.schedule, "sixteen");
  EXPECT_EQ(db.look_up(sample_key(5), kAnyBuild)->rung, Rung::other_threads);
  db.add_trial(sample_trial("five", {1000}, sample_key(5)));
  EXPECT_EQ(db.look_up(sample_key(5), kAnyBuild)->trial.schedule, "five");
  EXPECT_EQ(db.look_up(sample_key(5), kAnyBuild)->rung, Rung::exact);
}

TEST_F(DatabaseTest, StatsCount) {
  db.add_trial(sample_trial("a"));
  db.add_trial(sample_trial("b"));
  db.add_trial(failed_trial("b", TrialStatus::crash));
  const DatabaseStats stats = db.stats();
  EXPECT_EQ(stats.trials, 3);
  EXPECT_EQ(stats.workloads, 1);
  EXPECT_EQ(stats.schedules, 2);
  EXPECT_EQ(stats.trials_by_status, (std::map<std::string, int64_t>{{"crash", 1}, {"ok", 2}}));
  EXPECT_GE(stats.schema_version, 1);
  EXPECT_TRUE(db.doctor().problems.empty());
}

TEST(Median, OfOddEvenAndHuge) {
  EXPECT_EQ(median_ns(std::vector<int64_t>{5}), 5);
  EXPECT_EQ(median_ns(std::vector<int64_t>{9, 1, 5}), 5);
  EXPECT_EQ(median_ns(std::vector<int64_t>{4, 1, 2, 9}), 3);
  EXPECT_EQ(median_ns(std::vector<int64_t>{INT64_MAX, INT64_MAX - 2}), INT64_MAX - 1);
  EXPECT_THROW((void)median_ns({}), InternalError);
}

TEST(Names, RoundTrip) {
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(parse_status(status_name(static_cast<TrialStatus>(i))), static_cast<TrialStatus>(i));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(parse_mark(mark_name(static_cast<MarkKind>(i))), static_cast<MarkKind>(i));
  EXPECT_FALSE(parse_status("OK"));
  EXPECT_FALSE(parse_mark(""));
}

}  // namespace
}  // namespace oc
