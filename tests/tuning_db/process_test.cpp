// Several processes on one file, and processes that are killed.
#include "base/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/files.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/database.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

Trial numbered(int writer, int number) {
  return sample_trial("writer " + std::to_string(writer) + " schedule " + std::to_string(number), {100 + number});
}

TEST(TwoWriters, LoseNothing) {
  const TempDir dir;
  const fs::path file = dir.path() / "tuning.db";
  constexpr int kTrials = 150;
  // Both make the file, both write, and a third reads all the while.
  const auto write = [&](int writer) {
    return Child(
        [&file, writer] {
          Database db = Database::open(file, OpenMode::create);
          for (int i = 0; i < kTrials; ++i) db.add_mark({MarkKind::confirm, db.add_trial(numbered(writer, i)), i, ""});
          return std::string("done");
        },
        {});
  };
  Child first = write(0), second = write(1);
  Child reader(
      [&file] {
        while (!fs::exists(file)) ::usleep(1000);
        ::usleep(50'000);
        const Database db = Database::open(file, OpenMode::read_only);
        int64_t seen = 0;
        for (int i = 0; i < 50; ++i) {
          const int64_t now = db.stats().trials;
          if (now < seen) return std::string("trials vanished");
          seen = now;
          (void)db.best(sample_key(), kAnyBuild);
          ::usleep(2000);
        }
        return std::string("done");
      },
      {});
  EXPECT_EQ(first.wait().result, "done");
  EXPECT_EQ(second.wait().result, "done");
  EXPECT_EQ(reader.wait().result, "done");
  const Database db = Database::open(file, OpenMode::read_only);
  EXPECT_EQ(db.stats().trials, 2 * kTrials);
  EXPECT_EQ(db.stats().marks, 2 * kTrials);
  EXPECT_THAT(db.doctor().problems, IsEmpty());
}

// Forks a writer that reports each trial once it is committed, kills it after `life`, and returns how many it reported.
int write_until_killed(const fs::path& file, int writer, std::chrono::microseconds life) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    // Now and then a large row, so that a commit takes several pages and longer.
    Database db = Database::open(file, OpenMode::create);
    for (int i = 0;; ++i) {
      Trial trial = numbered(writer, i);
      if (i % 5 == 0) trial.schedule += std::string(60'000, 's');
      db.add_trial(trial);
      if (::write(ends[1], ".", 1) != 1) ::_exit(1);
    }
  }
  ::close(ends[1]);
  ::usleep(static_cast<useconds_t>(life.count()));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  int reported = 0;
  for (char dot = 0; ::read(ends[0], &dot, 1) == 1;) ++reported;
  ::close(ends[0]);
  return reported;
}

TEST(KilledWriter, LosesNothingCommitted) {
  const TempDir dir;
  const fs::path file = dir.path() / "tuning.db";
  std::mt19937 random(1);
  int64_t reported = 0;
  constexpr int kKills = 25;
  // On a slow disk few commits come to pass in so short lives: then there are more of them.
  for (int writer = 0; writer < kKills || (reported <= kKills && writer < 20 * kKills); ++writer) {
    reported += write_until_killed(file, writer, std::chrono::microseconds(random() % 60'000));
    if (!fs::exists(file)) continue;  // killed before it was made
    // The reader meets the journal of the dead first.
    auto opened = Database::try_open(file, OpenMode::read_only);
    if (auto* failure = std::get_if<OpenFailure>(&opened)) {
      EXPECT_EQ(failure->message, "tuning database " + file.string() + ": it is empty; name another file");
      EXPECT_EQ(reported, 0);
      continue;
    }
    const Database& db = std::get<Database>(opened);
    EXPECT_THAT(db.doctor().problems, IsEmpty());
    // Each life may have committed one trial that it could not report any more.
    const int64_t kept = db.stats().trials;
    EXPECT_GE(kept, reported);
    EXPECT_LE(kept, reported + writer + 1);
  }
  EXPECT_GT(reported, kKills);
}

TEST(KilledImport, KeepsWholeBatches) {
  const TempDir dir;
  const fs::path file = dir.path() / "tuning.db";
  Database source = Database::in_memory();
  for (int i = 0; i < 3500; ++i) source.add_trial(numbered(0, i));
  const fs::path lines = dir.path() / "lines.jsonl";
  write_file_atomic(lines, source.export_jsonl());
  std::mt19937 random(2);
  for (int round = 0; round < 6; ++round) {
    fs::remove(file);
    (void)Database::open(file, OpenMode::create);
    const pid_t child = ::fork();
    if (child == 0) {
      std::ifstream stream(lines);
      (void)Database::open(file, OpenMode::read_write).import_jsonl(stream);
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(random() % 150'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    Database db = Database::open(file, OpenMode::read_write);
    EXPECT_THAT(db.doctor().problems, IsEmpty());
    const int64_t trials = db.stats().trials;
    EXPECT_TRUE(trials == 3500 || (trials + 1) % 1000 == 0 || trials == 0) << trials;
    std::ifstream stream(lines);
    db.import_jsonl(stream);
    EXPECT_EQ(db.export_jsonl(), source.export_jsonl());
  }
}

}  // namespace
}  // namespace oc
