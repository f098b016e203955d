#include "tuning_db/shipped.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/process.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/layers.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct ShippedTest : testing::Test {
  TempDir dir;
  fs::path folder = dir.path() / "system", cache = dir.path() / "cache" / "shipped";

  void ship(const std::string& schedule, const std::string& file = "models.jsonl") const {
    Database rows = Database::in_memory();
    rows.add_trial(sample_trial(schedule, {100}));
    fs::create_directories(folder);
    std::ofstream(folder / file) << rows.export_jsonl();
  }
  // The schedule that a look-up gives; nothing is warned of.
  [[nodiscard]] std::string found() const {
    std::vector<std::string> warnings;
    const auto result = open_shipped(folder, cache, warnings).best(sample_key(), kAnyBuild);
    EXPECT_THAT(warnings, IsEmpty());
    return result ? result->trial.schedule : "";
  }
  [[nodiscard]] std::vector<fs::path> kept() const {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(cache)) files.push_back(entry.path());
    return files;
  }
};

TEST_F(ShippedTest, IsImportedOnce) {
  ship("shipped");
  EXPECT_EQ(found(), "shipped");
  ASSERT_THAT(kept(), SizeIs(1));
  Database::open(kept()[0], OpenMode::read_write).add_trial(sample_trial("only in the cache", {50}));
  EXPECT_EQ(found(), "only in the cache");
}

TEST_F(ShippedTest, OtherContentIsImportedAgainAndFewDatabasesAreKept) {
  for (int i = 0; i < 7; ++i) {
    ship("shipped " + std::to_string(i));
    EXPECT_EQ(found(), "shipped " + std::to_string(i));
  }
  EXPECT_THAT(kept(), SizeIs(4));
  ship("faster", "more.jsonl");
  EXPECT_THAT(found(), testing::AnyOf("faster", "shipped 6"));  // equally fast: by id
}

TEST_F(ShippedTest, ADamagedDatabaseIsReplaced) {
  ship("shipped");
  EXPECT_EQ(found(), "shipped");
  std::ofstream(kept()[0]) << "rubbish rubbish rubbish";
  EXPECT_EQ(found(), "shipped");
  EXPECT_TRUE(Database::open(kept()[0], OpenMode::read_only).best(sample_key(), kAnyBuild));
  fs::resize_file(kept()[0], fs::file_size(kept()[0]) / 2);
  EXPECT_EQ(found(), "shipped");
  EXPECT_THAT(kept(), SizeIs(1));
}

TEST_F(ShippedTest, ServesWithoutACache) {
  ship("shipped");
  std::ofstream(dir.path() / "cache") << "a file where a folder should be";
  EXPECT_EQ(found(), "shipped");
  cache.clear();
  EXPECT_EQ(found(), "shipped");
}

TEST_F(ShippedTest, NamesTheFolderAsItsSource) {
  ship("shipped");
  std::vector<std::string> warnings;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(open_shipped(folder, cache, warnings).name(), folder.string());
}

TEST_F(ShippedTest, SkippedRowsAreSaidEachTime) {
  ship("shipped");
  std::ofstream(folder / "broken.jsonl") << "rubbish\n";
  for (int i = 0; i < 2; ++i) {
    std::vector<std::string> warnings;
    EXPECT_TRUE(open_shipped(folder, cache, warnings).best(sample_key(), kAnyBuild));
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("broken.jsonl: 1 lines skipped, the first: line 1: not a")));
  }
}

TEST_F(ShippedTest, IsOpenedByTheFirstLookUp) {
  ship("shipped");
  const Layers layers = open_layers({.system = folder, .system_cache = cache});
  EXPECT_FALSE(fs::exists(cache));
  EXPECT_TRUE(layers.best(sample_key(), kAnyBuild));
  EXPECT_TRUE(fs::exists(cache));
}

TEST_F(ShippedTest, ServesProcessesThatStartAtOnce) {
  ship("shipped");
  std::vector<Child> children;
  for (int i = 0; i < 8; ++i) children.emplace_back([this] { return found(); }, ChildLimits{});
  for (Child& child : children) EXPECT_EQ(child.wait().result, "shipped");
  EXPECT_THAT(kept(), SizeIs(1));
}

}  // namespace
}  // namespace oc
