// Real workloads through the real measurer: built, linked, checked and timed.
#include <gtest/gtest.h>

#include "autotune/measure/kernel_measurer.h"
#include "autotune/tune.h"
#include "base/files.h"
#include "generators/build.h"
#include "tests/autotune/workloads.h"

namespace oc {
namespace {

using testing::kernel_of;
using testing::matmul_task;

TuneTask conv_task() {
  return {
      kernel_of(
          "graph \"\" {\n"
          "  %0: f32[1,32,14,14] aBcd16b = input\n"
          "  %1: f32[32,32,3,3] = weight\n"
          "  %2: f32[1,32,14,14] aBcd16b = conv(%0, %1, _) {dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]}\n"
          "  %3: f32[1,32,14,14] aBcd16b = relu(%2)\n"
          "  return %3\n"
          "}\n"),
      2, "conv"};
}

TuneTask softmax_task() {
  return {
      kernel_of("graph \"\" {\n  %0: f32[32,100] = input\n  %1: f32[32,100] = softmax(%0) {axis=1}\n  return %1\n}\n"),
      1, "softmax"};
}

TuneTask gather_task() {
  return {kernel_of("graph \"\" {\n  %0: f32[50,16] = weight\n  %1: i64[40] = input\n"
                    "  %2: f32[40,16] = gather(%0, %1) {axis=0}\n  return %2\n}\n"),
          1, "gather"};
}

TEST(EndToEnd, RealKernelsAreTunedIntoARealDatabase) {
  const TempDir folder;
  Database database = Database::open(folder.path() / "tuning.db", OpenMode::create);
  const Target target = host_target();
  const std::vector<TuneTask> tasks = {matmul_task("matmul", 64, 96, 80), conv_task(), softmax_task(), gather_task()};
  for (const int threads : {1, 2}) {
    const auto measurer =
        make_kernel_measurer(target, builtin_ops(), {.threads = threads, .seed = 3, .overlap = threads == 1});
    TuneOptions options;
    options.trials = 40;
    Seconds first_trial{0};
    const TuneReport report = tune(tasks, target, threads, database, *measurer, options, [&](const TuneProgress& p) {
      if (first_trial.count() == 0) first_trial = p.elapsed;
    });
    EXPECT_LT(first_trial.count(), 10) << "three seconds on a quiet machine";
    for (const TaskProgress& task : report.tasks) {
      EXPECT_NE(task.state, TaskState::unmeasurable) << task.name << ": " << task.message;
      EXPECT_TRUE(task.best_ns) << task.name << ": " << task.message;
      RecordProperty(
          task.name + std::to_string(threads),
          fmt::format("{:.0f} -> {:.0f} ns, {} trials, {} failed, {:.2f} of the limit, {}", task.first_ns.value_or(0),
                      task.best_ns.value_or(0), task.trials, task.failed, task.share_of_limit(), task.message));
    }
    EXPECT_LE(report.total_best_ns(), 1.2 * report.total_first_ns());
  }
  for (const TuneTask& task : tasks)
    for (const Trial& trial : database.trials_of(task.kernel.workload.text))
      EXPECT_NE(trial.status, TrialStatus::wrong_result) << trial.schedule << trial.message;
}

TEST(EndToEnd, EqualCodeIsTimedOnce) {
  const Target target = host_target();
  const Kernel kernel = matmul_task("matmul", 1, 4, 8).kernel;
  Schedule written = default_schedule(kernel, target, 1), other = written;
  for (const auto& [knob, value] : {std::pair{"tile.m", 1}, {"order.inner", 0}, {"block.m", 64}})
    written.values[knob] = value;
  const Schedule settles = settled(kernel, target, written);
  ASSERT_NE(written, settles);
  other.values["tile.n"] = 1;
  other.values["unroll.k"] = settles["unroll.k"] == 1 ? 2 : 1;
  ASSERT_EQ(why_illegal(kernel, target, other), "");
  const auto measurer = make_kernel_measurer(target, builtin_ops(), {});
  const Measurement first = measurer->measure(kernel, written, std::nullopt);
  ASSERT_TRUE(first.ok()) << first.message;
  EXPECT_FALSE(first.repeated);
  const Measurement again = measurer->measure(kernel, settles, std::nullopt);
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.samples_ns, first.samples_ns);
  // Each has another key, and so another name, in its object file.
  for (const int64_t unused : {2, 4, 8, 16, 32, 48, 96, 128}) {
    written.values["block.m"] = unused;
    ASSERT_EQ(settled(kernel, target, written), settles);
    EXPECT_TRUE(measurer->measure(kernel, written, std::nullopt).repeated) << unused;
  }
  const Measurement others = measurer->measure(kernel, other, std::nullopt);
  EXPECT_TRUE(others.ok()) << others.message;
  EXPECT_FALSE(others.repeated);
}

TEST(EndToEnd, AReferenceIsBuiltOnceHoweverManyRunsNeedIt) {
  const TempDir folder;
  ObjectCache cache(folder.path());
  const Target target = host_target();
  const Kernel kernel = matmul_task("matmul", 64, 96, 80).kernel;
  const Schedule schedule = default_schedule(kernel, target, 1);
  const auto measure = [&](std::chrono::milliseconds for_builds, ObjectCache* references) {
    MeasureOptions options{.references = references};
    options.build.wall = for_builds;
    return make_kernel_measurer(target, builtin_ops(), options)->measure(kernel, schedule, std::nullopt);
  };
  using std::chrono_literals::operator""ms;
  EXPECT_TRUE(measure(1ms, &cache).hopeless) << "neither can be built";
  EXPECT_TRUE(measure(30'000ms, &cache).ok());
  const Measurement again = measure(1ms, &cache);
  EXPECT_FALSE(again.hopeless) << "the reference is there";
  EXPECT_EQ(again.status, TrialStatus::compile_timeout);
  EXPECT_TRUE(measure(1ms, nullptr).hopeless);
}

}  // namespace
}  // namespace oc
