#include "tuning_db/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "tests/tuning_db/samples.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
  EXPECT_FALSE(layers.best(sample_key()));
  EXPECT_FALSE(layers.look_up(sample_key()));
  EXPECT_THAT(layers.workloads(), IsEmpty());
}

TEST_F(LayersTest, TheBestOfAllWins) {
  add(*paths.user, sample_trial("user", {200}));
  add(paths.teams[0], sample_trial("team", {300}));
  add_system(sample_trial("system", {100}));
  const Layers layers = open_layers(paths);
  EXPECT_THAT(layers.warnings(), IsEmpty());
  const auto found = layers.best(sample_key());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->trial.schedule, "system");
  EXPECT_EQ(found->source, paths.system->string());
  EXPECT_THAT(layers.keys_of(sample_key().workload), ElementsAre(sample_key()));
  EXPECT_EQ(layers.workloads().size(), 1U);
}

TEST_F(LayersTest, AMarkHoldsInEveryLayer) {
  const std::string shipped = add_system(sample_trial("system", {100}));
  add(paths.teams[0], sample_trial("team", {300}));
  Database user = Database::open(*paths.user, OpenMode::create);
  user.add_mark({MarkKind::quarantine, shipped, 1, "slow here"});
  EXPECT_EQ(open_layers(paths).best(sample_key())->trial.schedule, "team");
  user.add_mark({MarkKind::pin, shipped, 2, ""});
  EXPECT_EQ(open_layers(paths).best(sample_key())->trial.schedule, "system");
  Database::open(paths.teams[0], OpenMode::read_write).add_mark({MarkKind::clear, shipped, 3, ""});
  Database::open(paths.teams[0], OpenMode::read_write)
      .add_mark({MarkKind::confirm, row_id(sample_trial("team", {300})), 3, ""});
  EXPECT_EQ(open_layers(paths).best(sample_key())->trial.schedule, "team");
}

TEST_F(LayersTest, AWrongResultElsewhereCounts) {
  add_system(sample_trial("racy", {100}));
  add(paths.teams[0], sample_trial("team", {300}));
  add(*paths.user, failed_trial("racy", TrialStatus::wrong_result));
  EXPECT_EQ(open_layers(paths).best(sample_key())->trial.schedule, "team");
}

TEST_F(LayersTest, AnExactHitAnywhereBeatsOtherThreadCounts) {
  add(*paths.user, sample_trial("two", {10}, sample_key(2)));
  add(paths.teams[0], sample_trial("four", {300}, sample_key(4)));
  const Layers layers = open_layers(paths);
  EXPECT_EQ(layers.look_up(sample_key(4))->trial.schedule, "four");
  EXPECT_EQ(layers.look_up(sample_key(4))->rung, Rung::exact);
  EXPECT_EQ(layers.look_up(sample_key(1))->trial.schedule, "two");
  EXPECT_EQ(layers.look_up(sample_key(8))->trial.schedule, "four");
  EXPECT_EQ(layers.look_up(sample_key(8))->rung, Rung::other_threads);
}

TEST_F(LayersTest, AnUnusableDefaultIsAWarningANamedOneAnError) {
  paths.teams.clear();
  EXPECT_THAT(open_layers(paths).warnings(), IsEmpty());  // missing
  std::ofstream(*paths.user) << "rubbish rubbish rubbish";
  add_system(sample_trial("system", {100}));
  const Layers layers = open_layers(paths);
  EXPECT_THAT(layers.warnings(), ElementsAre(HasSubstr(paths.user->string())));
  EXPECT_EQ(layers.best(sample_key())->trial.schedule, "system");
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
  EXPECT_TRUE(layers.best(sample_key()));
  EXPECT_THAT(layers.warnings(), ElementsAre(HasSubstr("broken.jsonl: 1 lines skipped, the first: line 1: not a")));
}

}  // namespace
}  // namespace oc
