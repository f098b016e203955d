// Export, import, merge: sets of rows, whatever the order, whoever wrote them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "base/hash.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/database.h"
#include "tuning_db/rows.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

struct MergeTest : testing::Test {
  TempDir dir;
  int files = 0;

  fs::path random_database(uint32_t seed, int rows) {
    const fs::path path = dir.path() / (std::to_string(++files) + ".db");
    Database database = Database::open(path, OpenMode::create);
    RandomRows(seed).fill(database, rows);
    return path;
  }
  // Merged in this order into an empty database.
  static std::string united(const std::vector<fs::path>& paths) {
    Database database = Database::in_memory();
    for (const fs::path& path : paths) EXPECT_EQ(database.merge(path).skipped, 0);
    EXPECT_THAT(database.doctor().problems, IsEmpty());
    return database.export_jsonl();
  }
};

TEST_F(MergeTest, IsASetUnion) {
  for (uint32_t round = 0; round < 6; ++round) {
    const fs::path a = random_database(round * 3, 15), b = random_database(round * 3 + 1, 15),
                   c = random_database(round * 3 + 2, 15);
    const std::string all = united({a, b, c});
    EXPECT_EQ(all, united({c, b, a}));        // commutative
    EXPECT_EQ(all, united({b, c, a, a, b}));  // idempotent
    Database bc = Database::open(b, OpenMode::read_write);
    bc.merge(c);
    EXPECT_EQ(all, united({a, b}));  // associative: b holds c now
    // Exactly the union of the trials.
    std::set<std::string> expected, found;
    for (const fs::path& path : {a, b})
      for (const auto& line : lines_of(Database::open(path, OpenMode::read_only).export_jsonl()))
        if (json::parse(line)["kind"] == "trial") expected.insert(line);
    for (const auto& line : lines_of(all))
      if (json::parse(line)["kind"] == "trial") found.insert(line);
    EXPECT_EQ(expected, found);
  }
}

TEST_F(MergeTest, EqualsImportOfTheExport) {
  const fs::path a = random_database(100, 40), b = random_database(200, 40);
  Database imported = Database::in_memory();
  for (const fs::path& path : {b, a})
    EXPECT_EQ(import_text(imported, Database::open(path, OpenMode::read_only).export_jsonl()).skipped, 0);
  EXPECT_EQ(imported.export_jsonl(), united({a, b}));
}

TEST_F(MergeTest, OfItselfChangesNothing) {
  const fs::path a = random_database(1, 30);
  Database database = Database::open(a, OpenMode::read_write);
  const std::string before = database.export_jsonl();
  const ImportReport report = database.merge(a);
  EXPECT_EQ(report.added, 0);
  EXPECT_EQ(report.skipped, 0);
  EXPECT_EQ(database.export_jsonl(), before);
}

TEST_F(MergeTest, MoreRowsThanABatch) {
  Database many = Database::open(dir.path() / "many.db", OpenMode::create);
  std::string text;
  for (int i = 0; i < 2500; ++i) text += row_line(sample_trial("schedule " + std::to_string(i), {1000 + i})) + "\n";
  EXPECT_EQ(import_text(many, row_line(WorkloadRow{sample_key().workload, ""}) + "\n" + text).added, 2501);
  Database other = Database::in_memory();
  EXPECT_EQ(other.merge(dir.path() / "many.db").added, 2502);  // the machine as well
  EXPECT_EQ(other.export_jsonl(), many.export_jsonl());
}

struct ImportTest : testing::Test {
  Database source = Database::in_memory();
  Database target = Database::in_memory();

  ImportTest() {
    RandomRows(5).fill(source, 60);
    source.add_trial(failed_trial("wrong", TrialStatus::wrong_result));
  }
};

TEST_F(ImportTest, RoundTripsInAnyOrder) {
  std::vector<std::string> lines = lines_of(source.export_jsonl());
  std::mt19937 random(3);
  for (int round = 0; round < 3; ++round) {
    std::ranges::shuffle(lines, random);
    Database shuffled = Database::in_memory();
    const ImportReport report = import_text(shuffled, joined(lines));
    EXPECT_EQ(report.skipped, 0) << (report.examples.empty() ? "" : report.examples[0]);
    EXPECT_EQ(shuffled.export_jsonl(), source.export_jsonl());
  }
}

TEST_F(ImportTest, KnownRowsAreCounted) {
  const std::string text = source.export_jsonl();
  const auto count = static_cast<int64_t>(lines_of(text).size());
  EXPECT_EQ(import_text(target, text).added, count);
  EXPECT_EQ(import_text(target, text).known, count);
}

TEST_F(ImportTest, LinesAreOfOneRowWithSortedKeys) {
  for (const std::string& line : lines_of(source.export_jsonl())) {
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed.dump(), line);
    EXPECT_TRUE(parsed.contains("id"));
  }
}

TEST_F(ImportTest, CarriageReturnsBlankLinesAndNoLastNewlineAreFine) {
  std::vector<std::string> lines = lines_of(source.export_jsonl());
  std::string text = "\r\n\n";
  for (const std::string& line : lines) text += line + "\r\n";
  text.resize(text.size() - 2);
  EXPECT_EQ(import_text(target, text).skipped, 0);
  EXPECT_EQ(target.export_jsonl(), source.export_jsonl());
}

TEST_F(ImportTest, InfiniteErrorsSurvive) {
  Trial trial = failed_trial("s", TrialStatus::wrong_result);
  trial.relative_error = INFINITY;
  const std::string id = source.add_trial(trial);
  import_text(target, source.export_jsonl());
  EXPECT_THAT(target.trials_with(id), testing::ElementsAre(trial));
}

TEST_F(ImportTest, TheBestAloneCarriesItsProvenance) {
  Database db = Database::in_memory();
  const std::string build = db.add_build({"llvm", "0.1", "space"});
  db.add_machine(sample_machine());
  db.add_calibration({kMachine, "run", 100, 20, 1, 1});
  db.add_calibration({kMachine, "another run", 100, 20, 1, 1});
  Trial fast = sample_trial("fast", {10});
  fast.build = build;
  fast.run = "run";
  const std::string id = db.add_trial(fast);
  db.add_mark({MarkKind::confirm, id, 1, ""});
  db.add_mark({MarkKind::quarantine, db.add_trial(sample_trial("bad", {5})), 1, ""});
  db.add_trial(sample_trial("slow", {20}));
  std::vector<std::string> kinds;
  for (const std::string& line : lines_of(db.export_jsonl(ExportScope::best)))
    kinds.push_back(json::parse(line)["kind"]);
  EXPECT_EQ(kinds, (std::vector<std::string>{"workload", "machine", "build", "calibration", "trial", "mark"}));
  import_text(target, db.export_jsonl(ExportScope::best));
  EXPECT_EQ(target.best(sample_key(), kAnyBuild)->id, id);
}

TEST_F(ImportTest, ABaselineGoesAlongAndTheBestStaysTheBest) {
  Database db = Database::in_memory();
  const Baseline baseline = [](const Key& key) { return key == sample_key() ? "base" : "other"; };
  const auto exported = [&] {
    Database copy = Database::in_memory();
    import_text(copy, db.export_jsonl(ExportScope::best, baseline));
    EXPECT_EQ(copy.best(sample_key(), kAnyBuild)->id, db.best(sample_key(), kAnyBuild)->id);
    return copy;
  };
  const std::string winner = db.add_trial(sample_trial("fast", {10})), base = db.add_trial(sample_trial("base", {20}));
  db.add_mark({MarkKind::confirm, base, 1, ""});
  db.add_mark({MarkKind::confirm, winner, 2, ""});
  db.add_trial(sample_trial("slow", {30}));
  Trial elsewhere = sample_trial("base", {5});
  elsewhere.machine = "another";
  db.add_trial(elsewhere);
  Trial older = sample_trial("base", {5});
  older.build = db.add_build({"llvm", "0.0", "space"});
  db.add_trial(older);
  const Database first = exported();
  EXPECT_EQ(first.trials_of(sample_key()).size(), 2U);
  EXPECT_EQ(first.marks_of(base), db.marks_of(base));
  EXPECT_EQ(first.stats().trials, 3) << "the other machine's best, too";

  Trial wrong = sample_trial("base", {});
  wrong.status = TrialStatus::wrong_result;
  db.add_mark({MarkKind::confirm, base, 3, ""});
  ASSERT_EQ(db.best(sample_key(), kAnyBuild)->id, base);
  db.add_trial(wrong);
  ASSERT_EQ(db.best(sample_key(), kAnyBuild)->id, winner);
  EXPECT_EQ(exported().trials_of(sample_key()).size(), 1U) << "what computes wrong results takes nothing's place";
}

// One hostile line among good ones: it alone is skipped, and counted under its reason.
struct HostileLine {
  std::string name, line, reason;
};
void PrintTo(const HostileLine& hostile, std::ostream* out) {
  *out << hostile.name;
}

// A trial line with one field changed, and the id made to fit again.
std::string changed(const std::string& field, const json& value, bool fix_id = true) {
  json line = json::parse(row_line(sample_trial()));
  line[field] = value;
  if (fix_id) {
    line.erase("id");
    const std::string id = content_hash(line.dump());
    line["id"] = id;
  }
  return line.dump();
}

std::vector<HostileLine> hostile_lines() {
  const int64_t tomorrow = unix_ms_now() + 48 * 3600 * 1000;
  const std::string id(32, 'a');
  json orphan = json::parse(changed("workload", id));
  return {
      {"text", "hello", "not a JSON object"},
      {"array", "[1, 2]", "not a JSON object"},
      {"half", row_line(sample_trial()).substr(0, 100), "not a JSON object"},
      {"nul", std::string("{\"kind\":\"trial\0\"}", 17), "not a JSON object"},
      {"utf8", "{\"kind\":\"\xff\"}", "not a JSON object"},
      {"brackets", std::string(900'000, '['), "not a JSON object"},
      {"objects",
       [] {
         std::string s;
         for (int i = 0; i < 100'000; ++i) s += "{\"a\":";
         return s;
       }(),
       "not a JSON object"},
      {"deep", R"({"kind":"trial","samples_ns":[[[[1]]]]})", "not a JSON object"},
      {"kind", R"({"kind":"code","id":"x"})", "unknown kind"},
      {"kindtype", R"({"kind":7})", "kind has the wrong type"},
      {"long", "{\"kind\":\"" + std::string(10 << 20, 'x') + "\"}", "over 1048576 bytes"},
      {"id", changed("threads", 2, false), "the id does not match the content"},
      {"noid", R"({"kind":"build","version":"1"})", "the id does not match the content"},
      {"workload", R"({"kind":"workload","text":"matmul","id":"00000000000000000000000000000000"})",
       "the id does not match the content"},
      {"unknown", changed("code", "rm -rf"), "the id does not match the content"},
      {"empty", changed("author", "", false), "unknown or empty field"},
      {"extra", changed("code", "rm -rf", false), "unknown or empty field"},
      {"negative", changed("samples_ns", {-5}), "a sample is out of range"},
      {"zero", changed("samples_ns", {0}), "a sample is out of range"},
      {"huge", changed("samples_ns", {INT64_MAX}), "a sample is out of range"},
      {"unsigned", changed("samples_ns", {UINT64_MAX}), "samples_ns has the wrong type"},
      {"fraction", changed("samples_ns", {1.5}), "samples_ns has the wrong type"},
      {"none", changed("samples_ns", json::array()), "ok without samples"},
      {"null", changed("samples_ns", {nullptr}), "samples_ns has the wrong type"},
      {"many", changed("samples_ns", std::vector<int>(5000, 7)), "samples_ns has the wrong type"},
      {"error", changed("relative_error", -1.0), "relative_error is not a number of 0 or more"},
      {"inf", changed("relative_error", "inf"), "ok with an infinite error"},
      {"nan", changed("relative_error", "nan"), "relative_error has the wrong type"},
      {"threads", changed("threads", 0), "threads is out of range"},
      {"threads2", changed("threads", int64_t{1} << 40), "threads is out of range"},
      {"status", changed("status", "great"), "unknown status"},
      {"time", changed("unix_ms", -1), "unix_ms is out of range"},
      {"schedule", changed("schedule", std::string(100'000, 's')), "schedule is over 65536 bytes"},
      {"noschedule", changed("schedule", ""), "schedule is missing"},
      {"escape", changed("schedule", "\x1b[2J"), "schedule is not plain text"},
      {"nulltext", changed("schedule", std::string("a\0b", 3)), "schedule is not plain text"},
      {"path", changed("workload", "../../etc"), "workload is not a hash"},
      {"orphan", orphan.dump(), "its workload is neither in the file nor in the database"},
      {"future", row_line(Mark{MarkKind::pin, id, tomorrow, ""}), "the mark is from the future"},
      {"machine", row_line(MachineRow{kMachine, "~"}), "description is not that of the machine"},
      {"othermachine", row_line(MachineRow{kMachine, sample_machine(1, "another").description}),
       "description is not that of the machine"},
      {"marked", R"({"kind":"mark","mark":"run","trial":"x","unix_ms":1,"id":"x"})", "unknown mark"},
      {"markid", R"({"kind":"mark","mark":"pin","trial":"x","unix_ms":1,"id":"x"})", "trial is not an id"},
      {"peak", R"({"kind":"calibration","machine":"m","peak_gflops":-1,"bandwidth_gbs":1,"threads":1,"unix_ms":1})",
       "peak_gflops is not a number of 0 or more"},
      {"overflow", R"({"kind":"calibration","machine":"m","peak_gflops":1e999})", "not a JSON object"},
  };
}

struct HostileImport : testing::TestWithParam<HostileLine> {};

TEST_P(HostileImport, IsSkippedAndCounted) {
  Database target = Database::in_memory();
  const std::string good = row_line(WorkloadRow{sample_key().workload, ""}) + "\n";
  const ImportReport report =
      import_text(target, good + GetParam().line + "\n" + row_line(sample_trial("good")) + "\n");
  EXPECT_EQ(report.added, 2);
  EXPECT_EQ(report.skipped, 1);
  EXPECT_EQ(report.reasons, (std::map<std::string, int64_t>{{GetParam().reason, 1}}));
  EXPECT_EQ(report.examples, (std::vector<std::string>{"line 2: " + GetParam().reason}));
  EXPECT_EQ(target.stats().trials, 1);
  EXPECT_THAT(target.doctor().problems, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lines, HostileImport, testing::ValuesIn(hostile_lines()),
                         [](const auto& info) { return info.param.name; });

TEST(ImportFuzz, RandomDamageNeverGetsThrough) {
  Database source = Database::in_memory();
  RandomRows(9).fill(source, 30);
  const std::string text = source.export_jsonl();
  std::set<std::string> original;
  for (const std::string& line : lines_of(text)) original.insert(line);
  std::mt19937 random(11);
  for (int round = 0; round < 100; ++round) {
    std::string damaged = text;
    for (int i = 0; i < 10; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    Database target = Database::in_memory();
    import_text(target, damaged);
    for (const std::string& line : lines_of(target.export_jsonl())) {
      // What machines and workloads are called is not part of their ids.
      const std::string kind = json::parse(line)["kind"];
      EXPECT_TRUE(kind == "machine" || kind == "workload" || original.contains(line)) << line;
    }
    EXPECT_THAT(target.doctor().problems, IsEmpty());
  }
}

}  // namespace
}  // namespace oc
