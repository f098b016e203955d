// What things cost with 100,000 trials, and that the answers are right; prints the times: of the processor where
// nothing else is said.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <random>

#include "base/files.h"
#include "tests/tuning_db/samples.h"
#include "tuning_db/layers.h"
#include "tuning_db/rows.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
constexpr int kTrials = 100'000;
constexpr int kWorkloads = 500;

// Of the processor for this process: what else runs on the machine does not count.
double processor_seconds(const std::function<void()>& body) {
  const std::clock_t start = std::clock();
  body();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

std::string workload_text(int i) {
  std::string text = fmt::format("conv {}\n", i);
  while (text.size() < 700) text += "  %1 = relu(%0) : f32[1, 64, 56, 56] aBcd16b\n";
  return text;
}

struct Made {
  std::string lines;
  std::vector<int64_t> best_ns = std::vector<int64_t>(kWorkloads, INT64_MAX);  // by workload
};

Made make_lines() {
  std::mt19937 random(1);
  Made made;
  std::string& out = made.lines;
  for (int i = 0; i < kWorkloads; ++i) out += row_line(WorkloadRow{workload_text(i), "window"}) + "\n";
  Trial trial = sample_trial();
  trial.features = "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41";
  for (int i = 0; i < kTrials; ++i) {
    trial.workload = workload_text(i % kWorkloads);
    trial.schedule =
        fmt::format("window v1\nacc tile c=16 x={} y=2; vectorize c 16\nblock c={} x=56\nparallel c,y tasks={}\n",
                    i % 13 + 1, i, i % 9);
    trial.samples_ns.assign(10, 0);
    for (int64_t& sample : trial.samples_ns) sample = 100'000 + static_cast<int64_t>(random() % 100'000);
    trial.unix_ms += 1;
    int64_t& best = made.best_ns[static_cast<size_t>(i % kWorkloads)];
    best = std::min(best, median_ns(trial.samples_ns));
    out += row_line(trial) + "\n";
  }
  return made;
}

TEST(Speed, OfAHundredThousandTrials) {
  const TempDir dir;
  const fs::path file = dir.path() / "tuning.db", lines = dir.path() / "lines.jsonl";
  const Made made = make_lines();
  write_file_atomic(lines, made.lines);
  const auto report = [](const char* what, double time, const char* unit = "s") {
    fmt::print("{:<44}{:10.3f} {}\n", what, time, unit);
  };
  Database db = Database::open(file, OpenMode::create);
  ImportReport imported;
  const auto started = std::chrono::steady_clock::now();
  const double import_seconds = processor_seconds([&] {
    std::ifstream stream(lines);
    imported = db.import_jsonl(stream);
  });
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - started;
  report("import of JSON lines", import_seconds);
  report("import of JSON lines, wall clock", wall.count());
  EXPECT_LT(import_seconds, 10) << "of processor time; wall clock depends on the disk and on what else runs";
  EXPECT_EQ(imported.added, kTrials + kWorkloads);
  report("file", static_cast<double>(fs::file_size(file)) / 1e6, "MB");
  report("JSON lines", static_cast<double>(fs::file_size(lines)) / 1e6, "MB");

  Key key{workload_text(7), kMachine, "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41", 1};
  constexpr int kLookups = 1000;
  const auto look_up_all = [&](const auto& where) {
    return 1e3 / kLookups * processor_seconds([&] {
             for (int i = 0; i < kLookups; ++i) {
               key.workload = workload_text(i % kWorkloads);
               ASSERT_TRUE(where.look_up(key, kAnyBuild));
             }
           });
  };
  for (int i = 0; i < kWorkloads; ++i) {
    key.workload = workload_text(i);
    const auto found = db.best(key, kAnyBuild);
    ASSERT_TRUE(found);
    EXPECT_EQ(median_ns(found->trial.samples_ns), made.best_ns[static_cast<size_t>(i)]);
  }
  const double bare = look_up_all(db);
  report("look-up, 200 trials a key", bare, "ms");
  report("one transaction a mark", 1e3 / kWorkloads * processor_seconds([&] {
                                     for (int i = 0; i < kWorkloads; ++i) {
                                       key.workload = workload_text(i);
                                       db.add_mark({MarkKind::confirm, db.best(key, kAnyBuild)->id, 1000, ""});
                                     }
                                   }),
         "ms");
  const double marked = look_up_all(db);
  report("look-up, with marks", marked, "ms");
  report("one transaction a trial", 1e3 / 500 * processor_seconds([&] {
                                      for (int i = 0; i < 500; ++i) db.add_trial(sample_trial("s", {i + 1}));
                                    }),
         "ms");
  report("all trials of a key",
         1e3 * processor_seconds([&] { EXPECT_EQ(db.trials_of(key).size(), kTrials / kWorkloads); }), "ms");
  std::string exported;
  report("export", processor_seconds([&] { exported = db.export_jsonl(); }));
  report("export of the best", processor_seconds([&] { (void)db.export_jsonl(ExportScope::best); }));
  Database merged = Database::in_memory();
  report("merge into an empty database in memory", processor_seconds([&] { (void)merged.merge(file); }));
  EXPECT_EQ(merged.export_jsonl(), exported);
  report("open", 1e3 * processor_seconds([&] { (void)Database::open(file, OpenMode::read_only); }), "ms");
  report("open a foreign file",
         1e3 * processor_seconds([&] { (void)Database::open(file, OpenMode::read_only, Origin::foreign); }), "ms");
  report("doctor", processor_seconds([&] { EXPECT_TRUE(db.doctor().problems.empty()); }));
  const Layers layers = open_layers({.user = file, .teams = {file, file}});
  const double layered = look_up_all(layers);
  report("look-up over three layers", layered, "ms");
  EXPECT_LT(bare, 1);
  EXPECT_LT(marked, 1);
  EXPECT_LT(layered, 3);
}

}  // namespace
}  // namespace oc
