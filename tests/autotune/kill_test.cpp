// A tuner killed at random: the database stays sound, committed trials stay, nothing is left running, a rerun resumes.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "autotune/tune.h"
#include "base/files.h"
#include "base/process.h"
#include "tests/autotune/fakes.h"
#include "tests/autotune/workloads.h"

namespace oc {
namespace {

using testing::matmul_task;

// Each trial runs in a child that would go on for a minute when its parent dies.
class SlowMeasurer : public testing::FakeMeasurer {
 public:
  Measurement measure(const Kernel& kernel, const Schedule& schedule, std::optional<double> hopeless_ns) override {
    Child builder([] { return sleep_for(std::chrono::minutes(1)); }, {});  // the next candidate's build
    (void)run_in_child([] { return sleep_for(std::chrono::milliseconds(8)); });
    return FakeMeasurer::measure(kernel, schedule, hopeless_ns);
  }

 private:
  static std::string sleep_for(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
    return {};
  }
};

// Far from the limit, so that the search goes on until it is killed.
double formula(const Kernel& kernel, const Schedule& s) {
  return kernel.flops + 2000 * std::abs(static_cast<double>(s["tile.m"]) - 5) +
         1000 * static_cast<double>(s["unroll.k"]);
}

TuneReport tune_into(const std::filesystem::path& path, int64_t trials, int progress_fd) {
  Database database = Database::open(path, OpenMode::create);
  SlowMeasurer measurer;
  measurer.time = formula;
  const std::vector<TuneTask> tasks = {matmul_task("a", 64, 96, 80), matmul_task("b", 32, 64, 96)};
  TuneOptions options;
  options.trials = trials;
  options.seed = 4;
  return tune(tasks, host_target(), 1, database, measurer, options, [&](const TuneProgress&) {
    if (progress_fd >= 0) (void)!::write(progress_fd, ".", 1);  // the trial is committed by now
  });
}

struct Killed {
  int64_t reported = 0;  // trials whose commit was reported before the blow
  bool orphans = false;
};

// Forks a tuner, kills it after `life`, waits until everybody who holds the pipe is gone.
Killed tune_and_kill(const std::filesystem::path& path, std::chrono::milliseconds life) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    (void)tune_into(path, 1'000'000, ends[1]);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::this_thread::sleep_for(life);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  Killed killed;
  for (;;) {  // the children inherited the pipe: its end comes when the last of them is dead
    pollfd entry{ends[0], POLLIN, 0};
    char buffer[256];
    if (::poll(&entry, 1, 3000) <= 0) {
      killed.orphans = true;
      break;
    }
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
    if (n <= 0) break;
    killed.reported += n;
  }
  ::close(ends[0]);
  return killed;
}

TEST(Kill, NothingCommittedIsLostAndNobodyIsLeftBehind) {
  const TempDir folder;
  const std::filesystem::path path = folder.path() / "tuning.db";
  std::mt19937 random(1);
  int64_t before = 0;
  for (int round = 0; round < 5; ++round) {
    const Killed killed = tune_and_kill(path, std::chrono::milliseconds(300 + random() % 500));
    EXPECT_FALSE(killed.orphans);
    Database database = Database::open(path, OpenMode::read_write);
    EXPECT_TRUE(database.integrity_check().empty());
    const int64_t trials = database.stats().trials;
    EXPECT_GE(trials, before + killed.reported) << "a committed trial was lost";
    EXPECT_LE(trials, before + killed.reported + 1);
    EXPECT_GT(trials, before) << "a rerun goes on";
    before = trials;
  }
  const TuneReport report = tune_into(path, 3, -1);
  EXPECT_EQ(report.trials, 3);
  EXPECT_EQ(report.tasks[0].known + report.tasks[1].known, before) << "every trial on record is known";
  EXPECT_EQ(Database::open(path, OpenMode::read_only).stats().trials, before + 3);
}

}  // namespace
}  // namespace oc
