#include "tuning_db/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/files.h"
#include "tests/tuning_db/samples.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct LayersTest : testing::Test {
  TempDir dir;
  LayerPaths paths{.user = dir.path() / "user.db",
                   .user_is_default = true,
                   .teams = {dir.path() / "team.db"},
                   .system = dir.path() / "system"};

  std::string add(const fs::path& file, const Trial& trial) {
    return Database::open(file, OpenMode::create).add_trial(trial);
  }
  std::string add_system(const Trial& trial) {
    Database shipped = Database::in_memory();
    const std::string id = shipped.add_trial(trial);
    fs::create_directories(*paths.system);
    std::ofstream(*paths.system / (trial.schedule + ".jsonl")) << shipped.export_jsonl();
    return id;
  }
};

TEST_F(LayersTest, NothingAtAll) {
  const Layers layers = open_layers({});
  EXPECT_FALSE(layers.best(sample_key(), kAnyBuild));
  EXPECT_FALSE(layers.look_up(sample_key(), kAnyBuild));
}

TEST_F(LayersTest, TheBestOfAllWins) {
  add(*paths.user, sample_trial("user", {200}));
  add(paths.teams[0], sample_trial("team", {300}));
  add_system(sample_trial("system", {100}));
  const Layers layers = open_layers(paths);
  EXPECT_THAT(layers.warnings(), IsEmpty());
  const auto found = layers.best(sample_key(), kAnyBuild);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trial.schedule, "system");
  EXPECT_EQ(found->source, paths.system->string());
  EXPECT_THAT(layers.keys_of(sample_key().workload), ElementsAre(sample_key()));
}

TEST_F(LayersTest, AMarkHoldsInEveryLayer) {
  const std::string shipped = add_system(sample_trial("system", {100}));
  add(paths.teams[0], sample_trial("team", {300}));
  Database user = Database::open(*paths.user, OpenMode::create);
  user.add_mark({MarkKind::quarantine, shipped, 1, "slow here"});
  EXPECT_EQ(open_layers(paths).best(sample_key(), kAnyBuild)->trial.schedule, "team");
  user.add_mark({MarkKind::pin, shipped, 2, ""});
  EXPECT_EQ(open_layers(paths).best(sample_key(), kAnyBuild)->trial.schedule, "system");
  Database::open(paths.teams[0], OpenMode::read_write).add_mark({MarkKind::clear, shipped, 3, ""});
  Database::open(paths.teams[0], OpenMode::read_write)
      .add_mark({MarkKind::confirm, row_id(sample_trial("team", {300})), 3, ""});
  EXPECT_EQ(open_layers(paths).best(sample_key(), kAnyBuild)->trial.schedule, "team");
}

TEST_F(LayersTest, AMarkFromTheFutureInAFileOfOthersDoesNotCount) {
  const std::string slow = add(paths.teams[0], sample_trial("slow", {300})),
                    fast = add(*paths.user, sample_trial("fast", {100}));
  constexpr int64_t kHourMs = 3600 * 1000;
  const int64_t now = unix_ms_now();
  const auto best = [&] { return open_layers(paths).best(sample_key(), kAnyBuild)->trial.schedule; };
  for (const MarkKind kind : {MarkKind::pin, MarkKind::confirm})
    Database::open(paths.teams[0], OpenMode::read_write).add_mark({kind, slow, now + 48 * kHourMs, ""});
  EXPECT_EQ(best(), "fast");
  const Database team = Database::open(paths.teams[0], OpenMode::read_only, Origin::foreign);
  EXPECT_THAT(team.marks_of(slow), IsEmpty());
  Database::open(*paths.user, OpenMode::read_write).add_mark({MarkKind::pin, slow, now + 12 * kHourMs, ""});
  EXPECT_EQ(best(), "slow") << "a clock may be wrong by hours";
  Database::open(*paths.user, OpenMode::read_write).add_mark({MarkKind::quarantine, slow, now + 72 * kHourMs, ""});
  EXPECT_EQ(best(), "fast") << "one's own clock may have been set back since";
}

TEST_F(LayersTest, OfMarksOfOneMomentAllAgreeWhichIsLater) {
  const Trial trial = sample_trial("s");
  const std::string id = add(*paths.user, trial);
  const Mark pin{MarkKind::pin, id, 5, ""}, quarantine{MarkKind::quarantine, id, 5, ""};
  Database::open(*paths.user, OpenMode::read_write).add_mark(pin);
  Database::open(paths.teams[0], OpenMode::create).add_mark(quarantine);
  const Database user = Database::open(*paths.user, OpenMode::read_only),
                 team = Database::open(paths.teams[0], OpenMode::read_only);
  const bool out = row_id(quarantine) > row_id(pin);
  EXPECT_EQ(!open_layers(paths).best(sample_key(), kAnyBuild), out);
  EXPECT_EQ(quarantined(std::vector{&user, &team}, id), out);
  EXPECT_EQ(quarantined(std::vector{&team, &user}, id), out);
}

TEST_F(LayersTest, TheNewestMarkOfAKeyIsFoundWhereverItAndTheTrialsLie) {
  constexpr int64_t kHourMs = 3600 * 1000;
  const int64_t now = unix_ms_now();
  const std::string user = add(*paths.user, sample_trial("user")), team = add(paths.teams[0], sample_trial("team")),
                    shipped = add_system(sample_trial("system")),
                    other = add(paths.teams[0], sample_trial("team", {1}, sample_key(2)));
  const auto newest = [&](const std::string& trial) { return open_layers(paths).newest_mark(trial); };
  EXPECT_EQ(newest(user), -1);
  Database::open(*paths.user, OpenMode::read_write).add_mark({MarkKind::clear, shipped, 3, ""});
  for (const std::string& trial : {user, team, shipped}) EXPECT_EQ(newest(trial), 3);
  Database theirs = Database::open(paths.teams[0], OpenMode::read_write);
  theirs.add_mark({MarkKind::pin, team, now + 12 * kHourMs, ""});
  theirs.add_mark({MarkKind::pin, other, now + 13 * kHourMs, ""});
  for (const std::string& trial : {user, team, shipped}) EXPECT_EQ(newest(trial), now + 12 * kHourMs);
  theirs.add_mark({MarkKind::pin, team, now + 48 * kHourMs, ""});
  EXPECT_EQ(newest(user), now + 12 * kHourMs) << "one that does not count";
}

TEST_F(LayersTest, TrialsAreFoundByTheFirstDigitsOfTheirIds) {
  std::set<std::string> all;
  for (int i = 0; i < 40; ++i) {
    const Trial trial = sample_trial("schedule " + std::to_string(i));
    all.insert(add(i % 2 == 0 ? *paths.user : paths.teams[0], trial));
    if (i % 10 == 0) add_system(trial);
  }
  const Layers layers = open_layers(paths);
  EXPECT_EQ(layers.trial_ids(""), all);
  for (const std::string& id : all)
    for (const size_t digits : {1, 6, 31, 32}) {
      std::set<std::string> expected = all;
      std::erase_if(expected, [&](const auto& each) { return !each.starts_with(id.substr(0, digits)); });
      EXPECT_EQ(layers.trial_ids(id.substr(0, digits)), expected);
    }
  for (const char* other : {"g", "no id", "%", "'"}) EXPECT_THAT(layers.trial_ids(other), IsEmpty());
}

TEST_F(LayersTest, AWrongResultElsewhereCounts) {
  add_system(sample_trial("racy", {100}));
  add(paths.teams[0], sample_trial("team", {300}));
  add(*paths.user, failed_trial("racy", TrialStatus::wrong_result));
  EXPECT_EQ(open_layers(paths).best(sample_key(), kAnyBuild)->trial.schedule, "team");
}

TEST_F(LayersTest, RecordsAreAllTrialsOfAScheduleWithTheMarksOfAllLayers) {
  const Trial slow = sample_trial("s", {300}), fast = sample_trial("s", {100}, sample_key(2)),
              failed = failed_trial("s", TrialStatus::crash);
  const std::string marked = add(*paths.user, slow);
  add(paths.teams[0], slow);
  add(paths.teams[0], fast);
  add_system(failed);
  add(*paths.user, sample_trial("another", {1}));
  Database::open(paths.teams[0], OpenMode::read_write).add_mark({MarkKind::quarantine, marked, 1, ""});
  Database::open(*paths.user, OpenMode::read_write).add_mark({MarkKind::confirm, row_id(fast), 1, ""});
  const std::vector<Record> found = open_layers(paths).records(sample_key().workload, "s");
  EXPECT_THAT(found, UnorderedElementsAre(Record{slow, marked, paths.user->string(), true, false},
                                          Record{fast, row_id(fast), paths.teams[0].string(), false, true},
                                          Record{failed, row_id(failed), paths.system->string(), false, false}));
  EXPECT_TRUE(std::ranges::is_sorted(found, {}, &Record::id));
  EXPECT_THAT(open_layers(paths).records("another workload", "s"), IsEmpty());
}

TEST_F(LayersTest, ContestedIsWhereTwoSchedulesWereConfirmed) {
  const auto contested = [&](int threads = 1) {
    return open_layers(paths).contested(kMachine, sample_key().features, threads);
  };
  const std::string user = add(*paths.user, sample_trial("a")), team = add(paths.teams[0], sample_trial("b")),
                    other = add(paths.teams[0], sample_trial("b", {1}, sample_key(2)));
  Database marks = Database::open(*paths.user, OpenMode::read_write);
  marks.add_mark({MarkKind::confirm, user, 1, ""});
  marks.add_mark({MarkKind::confirm, other, 2, ""});
  EXPECT_THAT(contested(), IsEmpty());
  marks.add_mark({MarkKind::confirm, team, 3, ""});  // in another layer
  EXPECT_THAT(contested(), ElementsAre(sample_key().workload));
  EXPECT_THAT(contested(2), IsEmpty());
  EXPECT_THAT(open_layers(paths).contested("another", sample_key().features, 1), IsEmpty());
}

TEST_F(LayersTest, MachinesAreUnited) {
  const auto add_machine = [](const fs::path& file, const MachineRow& row) {
    Database::open(file, OpenMode::create).add_machine(row);
  };
  add_machine(*paths.user, {kMachine, ""});
  add_machine(paths.teams[0], sample_machine(2));
  EXPECT_THAT(open_layers(paths).machines(), ElementsAre(sample_machine(2)));
  add_machine(*paths.user, sample_machine(1));
  add_machine(*paths.user, sample_machine(1, "another"));
  EXPECT_THAT(open_layers(paths).machines(), UnorderedElementsAre(sample_machine(2), sample_machine(1, "another")));
}

TEST_F(LayersTest, AnExactHitAnywhereBeatsOtherThreadCounts) {
  add(*paths.user, sample_trial("two", {10}, sample_key(2)));
  add(paths.teams[0], sample_trial("four", {300}, sample_key(4)));
  const Layers layers = open_layers(paths);
  EXPECT_EQ(layers.look_up(sample_key(4), kAnyBuild)->trial.schedule, "four");
  EXPECT_EQ(layers.look_up(sample_key(4), kAnyBuild)->rung, Rung::exact);
  EXPECT_EQ(layers.look_up(sample_key(1), kAnyBuild)->trial.schedule, "two");
  EXPECT_EQ(layers.look_up(sample_key(8), kAnyBuild)->trial.schedule, "four");
  EXPECT_EQ(layers.look_up(sample_key(8), kAnyBuild)->rung, Rung::other_threads);
}

TEST_F(LayersTest, AnUnusableDefaultIsAWarningANamedOneAnError) {
  paths.teams.clear();
  EXPECT_THAT(open_layers(paths).warnings(), IsEmpty());  // missing
  std::ofstream(*paths.user) << "rubbish rubbish rubbish";
  add_system(sample_trial("system", {100}));
  const Layers layers = open_layers(paths);
  EXPECT_THAT(layers.warnings(), ElementsAre(HasSubstr(paths.user->string())));
  EXPECT_EQ(layers.best(sample_key(), kAnyBuild)->trial.schedule, "system");
  paths.user_is_default = false;
  EXPECT_THROW((void)open_layers(paths), UserError);
  paths.user.reset();
  paths.teams = {dir.path() / "missing.db"};
  EXPECT_THROW((void)open_layers(paths), UserError);
}

TEST_F(LayersTest, SkippedSystemRowsAreAWarning) {
  paths.teams.clear();
  add_system(sample_trial("system", {100}));
  std::ofstream(*paths.system / "broken.jsonl") << "rubbish\n";
  const Layers layers = open_layers(paths);
  EXPECT_TRUE(layers.best(sample_key(), kAnyBuild));
  EXPECT_THAT(layers.warnings(), ElementsAre(HasSubstr("broken.jsonl: 1 lines skipped, the first: line 1: not a")));
}

}  // namespace
}  // namespace oc
