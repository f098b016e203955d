// How long things take with 100,000 trials; prints the times.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
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

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string workload_text(int i) {
  std::string text = fmt::format("conv {}\n", i);
  while (text.size() < 700) text += "  %1 = relu(%0) : f32[1, 64, 56, 56] aBcd16b\n";
  return text;
}

std::string all_lines() {
  std::mt19937 random(1);
  std::string out;
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
    out += row_line(trial) + "\n";
  }
  return out;
}

TEST(Speed, OfAHundredThousandTrials) {
  const TempDir dir;
  const fs::path file = dir.path() / "tuning.db", lines = dir.path() / "lines.jsonl";
  write_file_atomic(lines, all_lines());
  const auto report = [](const char* what, double time, const char* unit = "s") {
    fmt::print("{:<44}{:10.3f} {}\n", what, time, unit);
  };
  Database db = Database::open(file, OpenMode::create);
  ImportReport imported;
  report("import of JSON lines", seconds([&] {
           std::ifstream stream(lines);
           imported = db.import_jsonl(stream);
         }));
  EXPECT_EQ(imported.added, kTrials + kWorkloads);
  report("file", static_cast<double>(fs::file_size(file)) / 1e6, "MB");
  report("JSON lines", static_cast<double>(fs::file_size(lines)) / 1e6, "MB");

  Key key{workload_text(7), kMachine, "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41", 1};
  constexpr int kLookups = 1000;
  const auto look_up_all = [&](const auto& where) {
    return 1e3 / kLookups * seconds([&] {
             for (int i = 0; i < kLookups; ++i) {
               key.workload = workload_text(i % kWorkloads);
               ASSERT_TRUE(where.look_up(key));
             }
           });
  };
  const double bare = look_up_all(db);
  report("look-up, 200 trials a key", bare, "ms");
  report("one transaction a mark", 1e3 / kWorkloads * seconds([&] {
                                     for (int i = 0; i < kWorkloads; ++i) {
                                       key.workload = workload_text(i);
                                       db.add_mark({MarkKind::confirm, db.best(key)->id, 1000, ""});
                                     }
                                   }),
         "ms");
  const double marked = look_up_all(db);
  report("look-up, with marks", marked, "ms");
  report("one transaction a trial", 1e3 / 500 * seconds([&] {
                                      for (int i = 0; i < 500; ++i) db.add_trial(sample_trial("s", {i + 1}));
                                    }),
         "ms");
  report("all trials of a key", 1e3 * seconds([&] { EXPECT_EQ(db.trials_of(key).size(), kTrials / kWorkloads); }),
         "ms");
  report("export", seconds([&] { (void)db.export_jsonl(); }));
  report("export of the best", seconds([&] { (void)db.export_jsonl(ExportScope::best); }));
  report("merge into an empty database in memory", seconds([&] { (void)Database::in_memory().merge(file); }));
  report("open", 1e3 * seconds([&] { (void)Database::open(file, OpenMode::read_only); }), "ms");
  report("open a foreign file",
         1e3 * seconds([&] { (void)Database::open(file, OpenMode::read_only, Origin::foreign); }), "ms");
  report("doctor", seconds([&] { EXPECT_TRUE(db.doctor().problems.empty()); }));
  const Layers layers = open_layers({.user = file, .teams = {file, file}});
  report("look-up over three layers", look_up_all(layers), "ms");
  EXPECT_LT(bare, 1);
  EXPECT_LT(marked, 1);
}

}  // namespace
}  // namespace oc
