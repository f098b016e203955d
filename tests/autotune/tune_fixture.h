// The tuner on a landscape of times instead of a machine, into a database in memory.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autotune/journal.h"
#include "autotune/provenance.h"
#include "autotune/tune.h"
#include "base/files.h"
#include "tests/autotune/fakes.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {

// Larger tiles are faster, to a point: a landscape over the real space of contractions.
inline double formula(const Kernel& kernel, const Schedule& s) {
  return kernel.flops / 50 + 6000 * std::abs(static_cast<double>(s["tile.m"]) - 5) +
         4000 * std::abs(static_cast<double>(s["tile.n"]) - 2) + 2000 * static_cast<double>(s["unroll.k"]) +
         200 * static_cast<double>(s["block.m"]);
}

class Tune : public ::testing::Test {
 protected:
  Tune() {
    measurer.time = formula;
    measurer.clock = &clock;
    options.clock = [this] { return clock; };
    options.trials = 60;
    options.seed = 1;
  }

  TuneReport run(std::vector<TuneTask> tasks) {
    return tune(tasks, target, 1, database, measurer, options, [this](const TuneProgress& p) {
      ++reports;
      last = p;
    });
  }
  TuneReport run() { return run({matmul_task("a", 64, 96, 80)}); }

  [[nodiscard]] Key key(const TuneTask& task) const {
    return {task.kernel.workload.text, host_machine().hash(), target.name(), 1};
  }
  [[nodiscard]] std::vector<Trial> trials() const { return database.trials_of(key(matmul_task("a", 64, 96, 80))); }
  [[nodiscard]] Schedule first_default() const {
    return default_schedule(matmul_task("a", 64, 96, 80).kernel, target, 1);
  }
  // As if another build had found the schedule to be the fastest.
  std::string add_of_older_build(const TuneTask& task, const Schedule& schedule) {
    return add_of_older_build(database, task, schedule);
  }
  std::string add_of_older_build(Database& to, const TuneTask& task, const Schedule& schedule) const {
    (void)to.add_machine({host_machine().hash(), ""});
    return to.add_trial({.workload = task.kernel.workload.text,
                         .schedule = print_schedule(schedule),
                         .machine = host_machine().hash(),
                         .features = target.name(),
                         .threads = 1,
                         .build = to.add_build({"an older toolchain", "0.0.1", "x"}),
                         .samples_ns = {1},
                         .message = {},
                         .unix_ms = 1,
                         .author = {},
                         .run = {}});
  }
  // Faster than the default.
  [[nodiscard]] Schedule good() const {
    Schedule schedule = first_default();
    schedule.values["tile.m"] = 5;
    schedule.values["block.m"] = 0;
    return settled(matmul_task("a", 64, 96, 80).kernel, target, schedule);
  }
  [[nodiscard]] Database team_database() const { return Database::open(folder.path() / "team.db", OpenMode::create); }
  // As if somebody with this build had measured it on such a machine.
  void commit_for_team(const TuneTask& task, const Schedule& schedule, int64_t nanoseconds, Rise rise) const {
    Database team = team_database();
    Journal(team, nullptr, target, 1, "").commit(task.kernel, schedule, {.samples_ns = {nanoseconds}}, rise);
  }
  [[nodiscard]] Database user_database() const { return Database::open(folder.path() / "user.db", OpenMode::create); }
  // From here on the user's database is a file, too, and looked up together with the team's.
  [[nodiscard]] Layers shared() {
    database = user_database();
    return open_layers({.user = folder.path() / "user.db", .teams = {folder.path() / "team.db"}});
  }
  [[nodiscard]] Schedule compiled(const Layers& layers, const TuneTask& task) const {
    return parse_schedule(layers.best(key(task), current_build_id())->trial.schedule);
  }
  // The same kernel as the settled schedule, written in another way.
  [[nodiscard]] static Schedule unsettled(Schedule schedule) {
    for (const auto& [knob, value] : {std::pair{"tile.m", 1}, {"order.inner", 0}, {"block.m", 64}})
      schedule.values[knob] = value;
    return schedule;
  }

  TempDir folder;
  Target target = host_target();
  Database database = Database::in_memory();
  FakeMeasurer measurer;
  Seconds clock{0};
  TuneOptions options;
  int reports = 0;
  TuneProgress last;
};

}  // namespace oc::testing
