// Files as they are met: missing, damaged, of other programs and of other times, not writable.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/files.h"
#include "base/process.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/database.h"
#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

void run_sql(const fs::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  char* message = nullptr;
  ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
  sqlite3_close(db);
}

struct OpenTest : testing::Test {
  TempDir dir;
  fs::path file = dir.path() / "tuning.db";

  void make(int trials = 1) {
    Database db = Database::open(file, OpenMode::create);
    for (int i = 0; i < trials; ++i) db.add_trial(sample_trial("schedule " + std::to_string(i), {100 + i}));
  }
  [[nodiscard]] OpenFailure failure(OpenMode mode = OpenMode::read_only, Origin origin = Origin::own) const {
    auto opened = Database::try_open(file, mode, origin);
    if (std::holds_alternative<Database>(opened)) return {DatabaseFault::io, "it opened"};
    return std::get<OpenFailure>(opened);
  }
};

TEST_F(OpenTest, CreatesWithItsFolders) {
  file = dir.path() / "a" / "b" / "tuning.db";
  EXPECT_EQ(failure(OpenMode::read_write).fault, DatabaseFault::missing);
  make();
  const Database db = Database::open(file, OpenMode::read_only);
  EXPECT_TRUE(db.best(sample_key(), kAnyBuild));
  EXPECT_EQ(db.name(), file.string());
}

TEST_F(OpenTest, AMissingFileIsNamed) {
  try {
    (void)Database::open(file, OpenMode::read_only);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(error.what(), "tuning database " + file.string() +
                                ": there is no such file; `opencompiler tune` makes one, or name another");
  }
}

TEST_F(OpenTest, OddPathsAreOnlyPaths) {
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  for (const char* name : {":memory:", "file:x?mode=memory", " "}) {
    (void)Database::open(name, OpenMode::create).add_trial(sample_trial());
    EXPECT_TRUE(fs::is_regular_file(dir.path() / name)) << name;
  }
  fs::current_path(before);
}

TEST_F(OpenTest, WhatIsNoFileIsRefusedAtOnce) {
  fs::create_directory(file);
  EXPECT_EQ(failure().fault, DatabaseFault::unreadable);
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0666), 0);
  EXPECT_EQ(failure(OpenMode::create).fault, DatabaseFault::unreadable);
  file = "/dev/zero";
  EXPECT_EQ(failure().fault, DatabaseFault::unreadable);
}

TEST_F(OpenTest, ReadOnlyRefusesEveryChange) {
  make();
  Database db = Database::open(file, OpenMode::read_only);
  EXPECT_FALSE(db.writable());
  EXPECT_THAT(db.read_only_reason(), HasSubstr("reading only"));
  EXPECT_THROW(db.add_trial(sample_trial("x")), DatabaseError);
  EXPECT_THROW(db.add_mark({MarkKind::pin, row_id(sample_trial()), 1, ""}), DatabaseError);
  EXPECT_THROW(db.merge(file), DatabaseError);
}

TEST_F(OpenTest, AnEmptyFileBecomesADatabaseOnlyWhenWritten) {
  std::ofstream(file).flush();
  EXPECT_EQ(failure(OpenMode::read_only).fault, DatabaseFault::not_a_database);
  EXPECT_EQ(fs::file_size(file), 0U);
  EXPECT_TRUE(Database::open(file, OpenMode::read_write).writable());
}

TEST_F(OpenTest, OtherFilesAreLeftAlone) {
  std::ofstream(file) << std::string(5000, 'x');
  EXPECT_EQ(failure(OpenMode::create).fault, DatabaseFault::not_a_database);
  EXPECT_EQ(read_file(file), std::string(5000, 'x'));
  fs::remove(file);
  run_sql(file, "CREATE TABLE contacts(name)");
  const std::string before = read_file(file);
  EXPECT_EQ(failure(OpenMode::create).fault, DatabaseFault::not_a_database);
  EXPECT_THAT(failure(OpenMode::create).message, HasSubstr("another program"));
  EXPECT_EQ(read_file(file), before);
}

TEST_F(OpenTest, ATruncatedFileIsNoticed) {
  make(200);
  const auto size = fs::file_size(file);
  for (const uintmax_t rest : {uintmax_t{10}, uintmax_t{99}, uintmax_t{4096}, size / 2, size - 4096, size - 1}) {
    make(200);
    fs::resize_file(file, rest);
    const OpenFailure found = failure(OpenMode::read_write);
    EXPECT_TRUE(found.fault == DatabaseFault::corrupt || found.fault == DatabaseFault::not_a_database) << rest;
    EXPECT_THAT(found.message, HasSubstr(file.string()));
    fs::remove(file);
  }
}

TEST_F(OpenTest, DamageEndsInAnErrorOrInSoundRows) {
  make(300);
  const std::string whole = read_file(file);
  std::mt19937 random(7);
  int noticed = 0;
  for (int round = 0; round < 60; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 40; ++i) bytes[100 + random() % (bytes.size() - 100)] = static_cast<char>(random());
    write_file_atomic(file, bytes);
    try {
      const Database db = Database::open(file, OpenMode::read_only);
      for (const Trial& trial : db.trials_of(sample_key())) EXPECT_FALSE(trial.samples_ns.empty());
      (void)db.look_up(sample_key(2), kAnyBuild);
      (void)db.export_jsonl();
      noticed += db.doctor().problems.empty() ? 0 : 1;
    } catch (const DatabaseError&) {
      ++noticed;
    }
    Database fresh = Database::in_memory();
    try {
      fresh.merge(file);
    } catch (const DatabaseError&) {
    }
    EXPECT_THAT(fresh.doctor().problems, IsEmpty());
  }
  EXPECT_GT(noticed, 50);
}

TEST_F(OpenTest, RepairSavesWhatIsSound) {
  make(300);
  const std::string sound = Database::open(file, OpenMode::read_only).export_jsonl();
  EXPECT_FALSE(Database::repair(file));  // nothing to do
  const std::string whole = read_file(file);
  std::mt19937 random(11);
  int64_t saved = 0, most = 0;
  for (int round = 0; round < 12; ++round) {
    // One page is lost; the first holds the schema.
    std::string bytes = whole;
    const size_t page = 1 + random() % (bytes.size() / 4096 - 1);
    for (size_t i = 0; i < 4096; ++i) bytes[page * 4096 + i] = static_cast<char>(random());
    write_file_atomic(file, bytes);
    const std::optional<RepairReport> report = Database::repair(file);
    const Database repaired = Database::open(file, OpenMode::read_write);
    EXPECT_THAT(repaired.doctor().problems, IsEmpty());
    if (!report) continue;  // a page that is not in use
    EXPECT_EQ(read_file(report->damaged), bytes);
    // Nothing but rows that were there before.
    std::istringstream lines(repaired.export_jsonl());
    for (std::string line; std::getline(lines, line);) EXPECT_THAT(sound, HasSubstr(line));
    saved += repaired.stats().trials;
    most += 300;
  }
  EXPECT_GT(most, 0);
  EXPECT_GT(saved, most / 2);
}

TEST_F(OpenTest, RepairLeavesOtherFilesAlone) {
  std::ofstream(file) << std::string(5000, 'x');
  EXPECT_THROW((void)Database::repair(file), DatabaseError);
  EXPECT_EQ(read_file(file), std::string(5000, 'x'));
  fs::remove(file);
  EXPECT_THROW((void)Database::repair(file), DatabaseError);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(OpenTest, RepairDropsRowsThatAreNotWhatTheyClaim) {
  make(3);
  run_sql(file, "UPDATE trial SET median_ns = 1 WHERE samples = '[101]'");
  const std::optional<RepairReport> report = Database::repair(file);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->rows.reasons, (std::map<std::string, int64_t>{{"the median does not match the samples", 1}}));
  EXPECT_EQ(Database::open(file, OpenMode::read_only).stats().trials, 2);
}

TEST_F(OpenTest, ANewerSchemaIsReadButNotWritten) {
  make();
  run_sql(file, "ALTER TABLE trial ADD COLUMN joules REAL; CREATE TABLE later(x); PRAGMA user_version = 99");
  const std::string before = read_file(file);
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write, OpenMode::create}) {
    Database db = Database::open(file, mode);
    EXPECT_FALSE(db.writable());
    EXPECT_TRUE(db.best(sample_key(), kAnyBuild));
    EXPECT_THROW(db.add_trial(sample_trial("x")), DatabaseError);
  }
  EXPECT_THAT(Database::open(file, OpenMode::read_write).read_only_reason(), HasSubstr("update OpenCompiler"));
  EXPECT_EQ(read_file(file), before);
  run_sql(file, "ALTER TABLE trial RENAME COLUMN samples TO sketches");
  EXPECT_EQ(failure(OpenMode::read_write).fault, DatabaseFault::newer);
}

struct MigrationTest : OpenTest {
  std::vector<Migration> steps{migrations().begin(), migrations().end()};
  const int now = steps.back().version;
  void add_step(std::string_view sql) { steps.push_back({steps.back().version + 1, sql}); }
};

TEST_F(MigrationTest, AnOlderFileIsBroughtUpToDate) {
  make();
  add_step("CREATE TABLE later(x INTEGER) STRICT; INSERT INTO later VALUES(1);");
  Database::State state = open_state(file, OpenMode::read_write, Origin::own, steps);
  EXPECT_EQ(state.db.value("PRAGMA user_version"), now + 1);
  EXPECT_EQ(state.db.value("SELECT count(*) FROM later"), 1);
  EXPECT_EQ(state.db.value("SELECT count(*) FROM trial"), 1);
}

// Of the ranking and of the search for a schedule's trials, one line a step.
std::string plans(sqlite::Connection& db) {
  std::string result;
  for (const char* sql :
       {"EXPLAIN QUERY PLAN SELECT id, median_ns, build FROM trial WHERE workload = 1 AND machine = 1 AND target = 1 "
        "AND "
        "threads = 1 AND status = 'ok'",
        "EXPLAIN QUERY PLAN SELECT id, median_ns, build FROM trial WHERE workload = 1 AND schedule = 1"}) {
    auto steps = db.query(sql);
    while (steps.step()) result += steps.text(3) + "\n";
  }
  return result;
}

TEST_F(MigrationTest, AFileOfTheFirstVersionGetsTheIndicesOfTheSecond) {
  {
    Database::State old = open_state(file, OpenMode::create, Origin::own, std::span(steps).first(1));
    ASSERT_EQ(old.db.value("PRAGMA user_version"), 1);
    EXPECT_THAT(plans(old.db), Not(HasSubstr("COVERING")));
    EXPECT_THAT(plans(old.db), Not(HasSubstr("trial_by_schedule")));
  }
  Database::open(file, OpenMode::read_write).add_trial(sample_trial("one"));
  Database::State state = open_state(file, OpenMode::read_only, Origin::own, steps);
  EXPECT_EQ(state.db.value("PRAGMA user_version"), now);
  EXPECT_THAT(plans(state.db), HasSubstr("USING COVERING INDEX trial_by_key"));
  EXPECT_THAT(plans(state.db), HasSubstr("USING INDEX trial_by_schedule"));
  EXPECT_TRUE(Database::open(file, OpenMode::read_only).best(sample_key(), kAnyBuild));
}

TEST_F(MigrationTest, AnOlderFileOpenedForReadingStaysAsItIs) {
  make();
  const std::string before = read_file(file);
  add_step("CREATE TABLE later(x INTEGER) STRICT");
  for (const Origin origin : {Origin::own, Origin::foreign}) {
    Database::State state = open_state(file, OpenMode::read_only, origin, steps);
    EXPECT_EQ(state.db.value("SELECT count(*) FROM later"), 0);
    EXPECT_EQ(state.db.value("SELECT count(*) FROM trial"), 1);
  }
  EXPECT_EQ(read_file(file), before);
}

TEST_F(MigrationTest, AFailedMigrationLeavesTheOldVersion) {
  make();
  add_step("CREATE TABLE later(x INTEGER) STRICT");
  add_step("DROP TABLE no_such_table");
  EXPECT_THROW((void)open_state(file, OpenMode::read_write, Origin::own, steps), DatabaseError);
  EXPECT_TRUE(Database::open(file, OpenMode::read_write).writable());
}

TEST_F(OpenTest, AForeignFileWithTricksIsRefused) {
  for (const std::string sql : {"CREATE TRIGGER t AFTER INSERT ON mark BEGIN DELETE FROM trial; END",
                                "CREATE VIEW later AS SELECT 1", "CREATE VIRTUAL TABLE later USING fts5(x)"}) {
    fs::remove(file);
    make();
    run_sql(file, sql);
    EXPECT_EQ(failure(OpenMode::read_only, Origin::foreign).fault, DatabaseFault::corrupt) << sql;
    EXPECT_THROW(Database::in_memory().merge(file), DatabaseError);
  }
}

TEST_F(OpenTest, ATriggerInOnesOwnFileDoesNotRun) {
  make();
  run_sql(file, "CREATE TRIGGER t AFTER INSERT ON mark BEGIN DELETE FROM mark; END");
  Database db = Database::open(file, OpenMode::read_write);
  db.add_mark({MarkKind::pin, row_id(sample_trial()), 1, ""});
  EXPECT_EQ(db.stats().marks, 1);
}

TEST_F(OpenTest, HostileRowsInAFileArePassedOver) {
  for (const std::string sql :
       {"median_ns = 1, samples = '[1]'", "median_ns = -5", "median_ns = 1", "median_ns = 2, samples = '[nan]'",
        "median_ns = -7, samples = '[-7]'", "relative_error = -1", "relative_error = 9e999"}) {
    fs::remove(file);
    make(2);
    run_sql(file, "UPDATE trial SET " + sql + " WHERE samples = '[101]'");
    const Database db = Database::open(file, OpenMode::read_only, Origin::foreign);
    ASSERT_TRUE(db.best(sample_key(), kAnyBuild)) << sql;
    EXPECT_EQ(db.best(sample_key(), kAnyBuild)->trial.schedule, "schedule 0") << sql;
    EXPECT_EQ(db.trials_of(sample_key()).size(), 1U) << sql;
    EXPECT_EQ(db.doctor().problems.size(), 1U) << sql;
    Database mine = Database::in_memory();
    EXPECT_EQ(mine.merge(file).skipped, 1) << sql;
    EXPECT_EQ(mine.stats().trials, 1) << sql;
  }
}

TEST_F(OpenTest, MarksThatAreNotWhatTheyClaimDoNotCount) {
  for (const std::string sql : {"kind = 'quarantine'", "unix_ms = 3", "note = 'another'", "id = 'no id'"}) {
    fs::remove(file);
    make(2);
    const std::string trial = row_id(Database::open(file, OpenMode::read_only).trials_of(sample_key())[0]);
    Database::open(file, OpenMode::read_write).add_mark({MarkKind::pin, trial, 1, ""});
    Database::open(file, OpenMode::read_write).add_mark({MarkKind::clear, trial, 2, ""});
    run_sql(file, "UPDATE mark SET " + sql + " WHERE kind = 'clear'");
    const Database db = Database::open(file, OpenMode::read_only, Origin::foreign);
    ASSERT_TRUE(db.best(sample_key(), kAnyBuild)) << sql;
    EXPECT_TRUE(db.best(sample_key(), kAnyBuild)->pinned) << sql;
    EXPECT_EQ(db.marks_of(trial).size(), 1U) << sql;
  }
}

// "~" comes behind all JSON in byte order.
TEST_F(OpenTest, WhatIsNoDescriptionOfItsMachineGivesWay) {
  const std::string other = sample_machine(1, "another").description;
  for (const std::string& description : {std::string("~"), other}) {
    fs::remove(file);
    make();
    run_sql(file, "UPDATE machine SET description = '" + description + "'");
    Database db = Database::open(file, OpenMode::read_write);
    EXPECT_THAT(db.machines(), IsEmpty());
    EXPECT_THAT(db.export_jsonl(), Not(HasSubstr(R"("kind":"machine")")));
    EXPECT_EQ(db.doctor().problems.size(), 1U);
    Database mine = Database::in_memory();
    mine.add_machine(sample_machine());
    const ImportReport report = mine.merge(file);
    EXPECT_EQ(report.reasons, (std::map<std::string, int64_t>{{"description is not that of the machine", 1}}));
    EXPECT_THAT(mine.machines(), ElementsAre(sample_machine()));
    db.add_machine(sample_machine());
    EXPECT_THAT(db.machines(), ElementsAre(sample_machine()));
    EXPECT_THAT(db.doctor().problems, IsEmpty());
  }
}

TEST_F(OpenTest, MissingTablesAreAnErrorOfTheFile) {
  make();
  run_sql(file, "DROP TABLE mark");
  try {
    (void)Database::open(file, OpenMode::read_only).best(sample_key(), kAnyBuild);
    FAIL();
  } catch (const DatabaseError& error) {
    EXPECT_EQ(error.fault, DatabaseFault::corrupt);
  }
}

TEST_F(OpenTest, AnOversizedRowIsSkipped) {
  make(3);
  run_sql(file, "UPDATE trial SET message = hex(zeroblob(12000000)) WHERE samples = '[101]'");
  Database mine = Database::in_memory();
  const ImportReport report = mine.merge(file);
  EXPECT_EQ(report.reasons, (std::map<std::string, int64_t>{{"over the size limit", 1}}));
  EXPECT_EQ(mine.stats().trials, 2);
}

TEST_F(OpenTest, WalIsSwitchedOff) {
  make();
  run_sql(file, "PRAGMA journal_mode = WAL");
  (void)Database::open(file, OpenMode::read_write).add_trial(sample_trial("x"));
  EXPECT_EQ(read_file(file)[18], 1);  // the file format's "write version": 1 rollback journal, 2 WAL
}

// Permissions mean nothing to root, so this runs as nobody.
TEST_F(OpenTest, WithoutPermissionToWrite) {
  make();
  fs::permissions(dir.path(), static_cast<fs::perms>(0755));
  const auto as_nobody = [&](const std::function<std::string()>& body) {
    return run_in_child([&] {
             if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return std::string("setuid");
             return body();
           })
        .result;
  };
  const auto writing = [&] {
    Database db = Database::open(file, OpenMode::create);
    std::string out = db.best(sample_key(), kAnyBuild) ? "found; " : "lost; ";
    try {
      db.add_trial(sample_trial("x"));
    } catch (const DatabaseError& error) {
      out += error.what();
    }
    return out;
  };
  const std::string prefix = "found; tuning database " + file.string() + ": ";
  fs::permissions(file, static_cast<fs::perms>(0444));
  EXPECT_EQ(as_nobody(writing), prefix + "the file cannot be written to; check its permissions");
  fs::permissions(file, static_cast<fs::perms>(0666));
  fs::permissions(dir.path(), static_cast<fs::perms>(0555));
  EXPECT_EQ(as_nobody(writing), prefix + "its folder cannot be written to; check its permissions");
  const auto creating = [&] {
    auto opened = Database::try_open(dir.path() / "other.db", OpenMode::create);
    return std::string(std::get<OpenFailure>(opened).fault == DatabaseFault::not_writable ? "not writable" : "?");
  };
  EXPECT_EQ(as_nobody(creating), "not writable");
  fs::permissions(file, fs::perms::none);
  EXPECT_THAT(as_nobody([&] { return failure().message; }), HasSubstr("check the permissions"));
  fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST_F(OpenTest, PublishMakesACompleteCopy) {
  make(50);
  const Database db = Database::open(file, OpenMode::read_only);
  const fs::path copy = dir.path() / "published.db";
  std::ofstream(copy) << "old";
  db.publish(copy);
  EXPECT_EQ(Database::open(copy, OpenMode::read_only, Origin::foreign).export_jsonl(), db.export_jsonl());
  EXPECT_THROW(db.publish(file), UserError);
  EXPECT_THROW(db.publish(dir.path() / "no folder" / "x.db"), UserError);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 2);
}

TEST_F(OpenTest, AFullDiskKeepsWhatWasCommitted) {
  make();
  Database::State state = open_state(file, OpenMode::read_write, Origin::own, migrations());
  (void)state.db.value("PRAGMA max_page_count = 1");  // SQLite clips it to the present size
  const Trial large = sample_trial(std::string(60'000, 's'));
  try {
    sqlite::Transaction transaction(state.db, sqlite::Transaction::Kind::write);
    insert_row(state.db, large, row_id(large));
    transaction.commit();
    FAIL();
  } catch (const DatabaseError& error) {
    EXPECT_EQ(error.fault, DatabaseFault::full);
  }
  (void)state.db.value("PRAGMA max_page_count = 100000");
  sqlite::Transaction transaction(state.db, sqlite::Transaction::Kind::write);
  EXPECT_TRUE(insert_row(state.db, large, row_id(large)));
  transaction.commit();
  EXPECT_EQ(state.db.value("SELECT count(*) FROM trial"), 2);
}

}  // namespace
}  // namespace oc
