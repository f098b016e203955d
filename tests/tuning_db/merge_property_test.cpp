// Merge as a set union, over hundreds of small random databases with rows of every kind. A failure names its seed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <tuple>

#include "base/files.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/database.h"
#include "tuning_db/layers.h"
#include "tuning_db/rows.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

constexpr uint32_t kCases = 100;

// Lines from pools so small that databases share rows, and have rows that differ in one field only: workloads and
// machines under one hash with different families and descriptions among them.
class RandomLines {
 public:
  explicit RandomLines(uint32_t seed) : random_(seed) {}

  std::string text() {
    std::string out;
    for (int rows = 4 + pick(24); rows > 0; --rows) out += line();
    return out;
  }

 private:
  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[pick(static_cast<int>(values.size()))];
  }

  std::string workload() { return fmt::format("workload {}", pick(3)); }
  MachineRow machine_row() { return sample_machine(pick(3), fmt::format("machine {}", pick(2))); }
  std::string machine() { return machine_row().hash; }

  Trial trial() {
    Trial out{.workload = workload(), .schedule = fmt::format("schedule {}", pick(3)), .machine = machine()};
    out.features = one_of<const char*>({"avx2", "avx512"});
    out.threads = 1 + pick(2);
    out.build = fmt::format("build {}", pick(2));
    out.status = one_of({TrialStatus::ok, TrialStatus::ok, TrialStatus::ok, static_cast<TrialStatus>(pick(8))});
    for (int i = out.status == TrialStatus::ok ? 1 + pick(3) : pick(2); i > 0; --i)
      out.samples_ns.push_back(100 + pick(4));
    out.message = out.status == TrialStatus::ok ? "" : one_of<const char*>({"", "SIGSEGV", "größer als 1e-5\n\t\"x\""});
    out.relative_error = one_of({0.0, 1.25e-7, 0.1});
    if (out.status == TrialStatus::wrong_result && pick(2) == 0)
      out.relative_error = std::numeric_limits<double>::infinity();
    out.unix_ms = 1'700'000'000'000 + pick(2);
    out.author = one_of<const char*>({"", "Ada"});
    out.run = one_of<const char*>({"", "run 1"});
    return out;
  }

  std::string trial_line() {
    Trial made = trial();
    trials_.push_back(row_id(made));
    return row_line(WorkloadRow{made.workload, ""}) + "\n" + row_line(made) + "\n";
  }

  std::string line() {
    switch (pick(9)) {
      case 0:
        return row_line(WorkloadRow{workload(), one_of<const char*>({"", "window", "contraction", "größer"})}) + "\n";
      case 1: {
        MachineRow row = machine_row();
        if (pick(4) == 0) row.description.clear();
        return row_line(row) + "\n";
      }
      case 2:
        return row_line(BuildRow{"llvm", fmt::format("0.{}", pick(2)), one_of<const char*>({"", "spaces"})}) + "\n";
      case 3: return row_line(CalibrationRow{machine(), "run 1", 100.5 + pick(2), 20.25, 1 + pick(2), 5}) + "\n";
      case 4:
      case 5: {
        // Of a trial before it, or of one that no database here may hold.
        const std::string of = trials_.empty() || pick(8) == 0
                                   ? row_id(trial())
                                   : trials_[static_cast<size_t>(pick(static_cast<int>(trials_.size())))];
        return row_line(Mark{static_cast<MarkKind>(pick(4)), of, 1'700'000'000'000 + pick(3),
                             one_of<const char*>({"", "slow here", kWithoutDuel.data()})}) +
               "\n";
      }
      default: return trial_line();
    }
  }

  std::mt19937 random_;
  std::vector<std::string> trials_;
};

// A union of rows written down plainly, to compare with.
struct Rows {
  std::map<std::string, Trial> trials;
  std::map<std::string, Mark> marks;

  void add(const Database& database) {
    for (const WorkloadRow& workload : database.workloads())
      for (const Trial& trial : database.trials_of(workload.text)) trials.emplace(row_id(trial), trial);
    std::istringstream lines(database.export_jsonl());
    for (std::string line; std::getline(lines, line);)
      if (const ParsedLine parsed = parse_line(line); const auto* mark = std::get_if<Mark>(&parsed.row))
        marks.emplace(parsed.id, *mark);
  }

  [[nodiscard]] std::set<std::tuple<std::string, std::string, std::string, int>> keys() const {
    std::set<std::tuple<std::string, std::string, std::string, int>> out;
    for (const auto& [id, trial] : trials) out.emplace(trial.workload, trial.machine, trial.features, trial.threads);
    return out;
  }

  static bool without_duel(const Mark& mark) { return mark.kind == MarkKind::confirm && mark.note == kWithoutDuel; }
  [[nodiscard]] bool without_duel(const std::string& trial) const {
    return std::ranges::any_of(
        marks, [&](const auto& entry) { return entry.second.trial == trial && without_duel(entry.second); });
  }

  // The latest mark of the trial among these kinds, but for those without a duel: its time and id, and what it is.
  using Latest = std::tuple<int64_t, std::string, MarkKind>;
  [[nodiscard]] Latest latest(const std::string& trial, const std::set<MarkKind>& kinds) const {
    Latest found{-1, "", MarkKind::clear};
    for (const auto& [id, mark] : marks)
      if (mark.trial == trial && kinds.contains(mark.kind) && !without_duel(mark))
        found = std::max(found, {mark.unix_ms, id, mark.kind});
    return found;
  }

  // The rule that stands at Database::best. Empty: there is none.
  [[nodiscard]] std::string best(const Key& key, std::string_view build) const {
    const auto of_key = [&](const Trial& t) { return Key{t.workload, t.machine, t.features, t.threads} == key; };
    const auto proven_wrong = [&](const Trial& t) {
      return std::ranges::any_of(trials, [&](const auto& entry) {
        const Trial& other = entry.second;
        return of_key(other) && other.status == TrialStatus::wrong_result && other.schedule == t.schedule &&
               other.build == t.build;
      });
    };
    // Greatest wins: pinned, when; of the asking build; confirmed when; incumbent without a duel; then the
    // lowest median, the lowest id.
    using Rank = std::tuple<bool, Latest, bool, Latest, bool, int64_t>;
    std::string winner;
    Rank best_rank;
    for (const auto& [id, trial] : trials) {  // by id, so that of equals the first stays
      if (!of_key(trial) || trial.status != TrialStatus::ok || proven_wrong(trial)) continue;
      const Latest standing = latest(id, {MarkKind::pin, MarkKind::quarantine, MarkKind::clear});
      if (std::get<MarkKind>(standing) == MarkKind::quarantine) continue;
      const bool pinned = std::get<MarkKind>(standing) == MarkKind::pin;
      const Rank rank{pinned,
                      pinned ? standing : Latest{},
                      build == kAnyBuild || trial.build == build,
                      latest(id, {MarkKind::confirm}),
                      without_duel(id),
                      -median_ns(trial.samples_ns)};
      if (winner.empty() || rank > best_rank) std::tie(winner, best_rank) = std::pair(id, rank);
    }
    return winner;
  }
};

struct MergeProperty : testing::Test {
  TempDir dir;
  int files = 0;

  fs::path saved(const Database& database) {
    fs::path path = dir.path() / fmt::format("{}.db", ++files);
    database.publish(path);
    return path;
  }
  static Database made(const std::string& lines) {
    Database database = Database::in_memory();
    EXPECT_EQ(import_text(database, lines).skipped, 0);
    return database;
  }
  // Merged in this order into an empty database.
  static Database united(const std::vector<fs::path>& paths) {
    Database database = Database::in_memory();
    for (const fs::path& path : paths) EXPECT_EQ(database.merge(path).skipped, 0);
    return database;
  }
};

TEST_F(MergeProperty, IsAUnionWhateverTheOrder) {
  int64_t keys = 0, trials = 0, pinned = 0, suspect = 0;
  for (uint32_t seed = 1; seed <= kCases && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomLines random(seed);
    const Database x = made(random.text()), y = made(random.text()), z = made(random.text());
    const fs::path a = saved(x), b = saved(y), c = saved(z);

    const Database all = united({a, b, c});
    const std::string lines = all.export_jsonl();
    EXPECT_EQ(lines, united({c, b, a}).export_jsonl()) << "commutative";
    EXPECT_EQ(lines, united({b, c, a, a, b}).export_jsonl()) << "idempotent";
    const fs::path ab = saved(united({a, b})), bc = saved(united({b, c}));
    EXPECT_EQ(lines, united({ab, c}).export_jsonl()) << "associative";
    EXPECT_EQ(lines, united({a, bc}).export_jsonl()) << "associative";
    Database again = united({ab});
    const ImportReport report = again.merge(ab);
    EXPECT_EQ(report.added, 0);
    EXPECT_EQ(again.export_jsonl(), united({a, b}).export_jsonl());
    EXPECT_THAT(all.doctor().problems, IsEmpty());

    Rows rows;
    for (const Database* database : {&x, &y, &z}) rows.add(*database);
    EXPECT_EQ(all.stats().trials, static_cast<int64_t>(rows.trials.size()));
    EXPECT_EQ(all.stats().marks, static_cast<int64_t>(rows.marks.size()));
    const Layers layers = open_layers({.teams = {a, b, c}});
    for (const auto& [workload, machine, features, threads] : rows.keys()) {
      const Key key{workload, machine, features, threads};
      for (const std::string_view build : {kAnyBuild, std::string_view("build 0"), std::string_view("build 1")}) {
        const auto found = all.best(key, build), layered = layers.best(key, build);
        const std::string expected = rows.best(key, build);
        EXPECT_EQ(found ? found->id : "", expected);
        EXPECT_EQ(layered ? layered->id : "", expected) << "layers look up as their union";
        suspect += build != kAnyBuild && expected != rows.best(key, kAnyBuild);
      }
      ++keys;
      const auto found = all.best(key, kAnyBuild);
      pinned += found && found->pinned;
    }
    trials += all.stats().trials;
    for (const fs::path& path : {a, b, c, ab, bc}) fs::remove(path);
  }
  // The random databases are worth looking at.
  EXPECT_GT(trials, 10 * kCases);
  EXPECT_GT(keys, 3 * kCases);
  EXPECT_GT(pinned, kCases);
  EXPECT_GT(suspect, kCases / 2) << "the build has a say";
}

TEST_F(MergeProperty, AnExportImportsToItselfInAnyOrder) {
  for (uint32_t seed = 1001; seed <= 1000 + 2 * kCases && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomLines random(seed);
    const Database x = made(random.text()), y = made(random.text());
    const std::string lines = x.export_jsonl();
    EXPECT_EQ(made(lines).export_jsonl(), lines);

    std::vector<std::string> shuffled;
    std::istringstream stream(lines + y.export_jsonl());
    for (std::string line; std::getline(stream, line);) shuffled.push_back(line + "\n");
    std::ranges::shuffle(shuffled, std::mt19937(seed));
    std::string text;
    for (const std::string& line : shuffled) text += line;
    EXPECT_EQ(made(text).export_jsonl(), made(y.export_jsonl() + lines).export_jsonl());
  }
}

}  // namespace
}  // namespace oc
