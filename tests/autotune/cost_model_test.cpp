#include "autotune/cost_models/cost_model.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "autotune/cost_models/experience.h"
#include "autotune/cost_models/quality.h"
#include "autotune/stats.h"
#include "base/error.h"
#include "tests/autotune/fakes.h"
#include "tests/autotune/workloads.h"

namespace oc {
namespace {

using testing::FakeMeasurer;
using testing::matmul_task;

const Target& avx2() {
  static const Target target = parse_target("x86-64-avx2");
  return target;
}

// Different legal schedules of the kernel, in a random order.
std::vector<Schedule> draw(const Kernel& kernel, size_t count, uint64_t seed = 1) {
  std::vector<Schedule> result = make_strategy("random", {schedule_space(kernel, avx2(), 1), {}, seed})->ask(count);
  EXPECT_EQ(result.size(), count);
  return result;
}

// Time of a schedule on a machine that loves tiles of 6 × 2 and does not mind much else; relative to the work.
double planted_time(const Kernel& kernel, const Schedule& s) {
  const auto of = [&](const char* name) { return static_cast<double>(s[name]); };
  return kernel.flops / 10 *
         (1 + 0.1 * std::abs(of("tile.m") - 6) + 0.3 * std::abs(of("tile.n") - 2) + 0.02 * std::log2(of("unroll.k")) +
          (s["block.k"] != 0 ? 0.2 : 0) + 0.05 * std::log2(1 + of("block.m")));
}

void teach_some(CostModel& model, const Kernel& kernel, std::span<const Schedule> schedules) {
  for (const Schedule& schedule : schedules)
    model.learn({kernel, avx2(), 1}, "here", schedule, planted_time(kernel, schedule));
}

std::vector<double> speeds(const Kernel& kernel, std::span<const Schedule> schedules) {
  std::vector<double> result;
  for (const Schedule& schedule : schedules) result.push_back(1 / planted_time(kernel, schedule));
  return result;
}

size_t count_threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

constexpr const char* kModels[] = {
#define OC_COST_MODEL(name) #name,
#include "autotune/cost_models/cost_models.inc"
#undef OC_COST_MODEL
};

struct EachCostModel : ::testing::TestWithParam<const char*> {
  const Kernel kernel = matmul_task("", 96, 128, 160).kernel;
  const Setting setting{kernel, avx2(), 1};
  const std::vector<Schedule> schedules = draw(kernel, 200);
  const std::unique_ptr<CostModel> model = make_cost_model(GetParam());

  void expect_scores() const {
    const std::vector<double> scores = model->predict(setting, schedules);
    ASSERT_EQ(scores.size(), schedules.size());
    for (const double score : scores) ASSERT_TRUE(std::isfinite(score));
    EXPECT_EQ(model->predict(setting, schedules), scores);
  }
};
INSTANTIATE_TEST_SUITE_P(CostModels, EachCostModel, ::testing::ValuesIn(kModels));

TEST_P(EachCostModel, ScoresWithNothingLearnt) {
  expect_scores();
  model->train();
  expect_scores();
  EXPECT_TRUE(model->predict(setting, {}).empty());
}

TEST_P(EachCostModel, ScoresAfterFailuresAlone) {
  for (const Schedule& schedule : schedules) model->learn(setting, "here", schedule, std::nullopt);
  model->train();
  expect_scores();
}

TEST_P(EachCostModel, SameTrialsGiveTheSameScores) {
  const std::unique_ptr<CostModel> other = make_cost_model(GetParam());
  for (CostModel* each : {model.get(), other.get()}) {
    teach_some(*each, kernel, std::span(schedules).first(100));
    each->train();
  }
  expect_scores();
  EXPECT_EQ(model->predict(setting, schedules), other->predict(setting, schedules));
}

TEST_P(EachCostModel, LeavesNoThreadsAndLivesThroughAFork) {
  const size_t before = count_threads();
  teach_some(*model, kernel, std::span(schedules).first(150));
  model->train();
  const std::vector<double> scores = model->predict(setting, schedules);
  EXPECT_EQ(count_threads(), before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // a child that hangs dies
    const bool same = model->predict(setting, schedules) == scores;
    teach_some(*model, kernel, std::span(schedules).last(50));
    model->train();
    ::_exit(same && model->predict(setting, schedules).size() == scores.size() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(model->predict(setting, schedules), scores);
}

TEST(Xgboost, LearnsWhatSchedulesItNeverSawAreWorth) {
  const Kernel kernel = matmul_task("", 96, 128, 160).kernel;
  const std::vector<Schedule> all = draw(kernel, 500);
  const std::span<const Schedule> known = std::span(all).first(300), unseen = std::span(all).last(200);
  const std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  teach_some(*model, kernel, known);
  model->train();
  EXPECT_GE(spearman(model->predict({kernel, avx2(), 1}, unseen), speeds(kernel, unseen)).value_or(0), 0.9);
}

TEST(Xgboost, ForgetsTheOldestOfManyTrials) {
  const Kernel kernel = matmul_task("", 96, 128, 160).kernel;
  const std::vector<Schedule> all = draw(kernel, 100);
  const std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  const auto teach_times = [&](size_t trials, double sign) {  // -1: the slowest seem fastest
    for (size_t i = 0; i < trials; ++i) {
      const Schedule& schedule = all[i % all.size()];
      model->learn({kernel, avx2(), 1}, "here", schedule, std::pow(planted_time(kernel, schedule), sign));
    }
  };
  teach_times(kMostTrialsLearnt, -1);
  teach_times(kMostTrialsLearnt, 1);
  model->train();
  EXPECT_GE(spearman(model->predict({kernel, avx2(), 1}, all), speeds(kernel, all)).value_or(0), 0.9);
}

TEST(Xgboost, PutsWhatFailsLast) {
  const Kernel kernel = matmul_task("", 96, 128, 160).kernel;
  const std::vector<Schedule> all = draw(kernel, 500);
  const auto fails = [](const Schedule& s) { return s["tile.m"] > 8; };
  const std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  for (const Schedule& schedule : std::span(all).first(300))
    model->learn({kernel, avx2(), 1}, "here", schedule,
                 fails(schedule) ? std::nullopt : std::optional(planted_time(kernel, schedule)));
  model->train();
  const std::span<const Schedule> unseen = std::span(all).last(200);
  const std::vector<double> scores = model->predict({kernel, avx2(), 1}, unseen);
  double best_failure = -1e30, mean_success = 0, successes = 0;
  for (size_t i = 0; i < unseen.size(); ++i) {
    if (fails(unseen[i])) best_failure = std::max(best_failure, scores[i]);
    if (!fails(unseen[i])) mean_success += scores[i], ++successes;
  }
  EXPECT_LT(best_failure, mean_success / successes);
}

TEST(Xgboost, TimesOfTwoMachinesAreNotCompared) {
  // The second machine is a thousand times slower and was shown the good half alone.
  const Kernel kernel = matmul_task("", 96, 128, 160).kernel;
  std::vector<Schedule> all = draw(kernel, 300);
  std::ranges::sort(all, {}, [&](const Schedule& s) { return planted_time(kernel, s); });
  const std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  for (size_t i = 0; i < all.size(); ++i) {
    const bool slow = i % 2 == 0 && i < all.size() / 2;
    model->learn({kernel, avx2(), 1}, slow ? "slow" : "fast", all[i], planted_time(kernel, all[i]) * (slow ? 1000 : 1));
  }
  model->train();
  EXPECT_GE(spearman(model->predict({kernel, avx2(), 1}, all), speeds(kernel, all)).value_or(0), 0.9);
}

TEST(CostModel, UnknownNameListsTheKnownOnes) {
  try {
    (void)make_cost_model("oracle");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "unknown cost model 'oracle'; known are: roofline xgboost");
  }
}

// --- from the database -----------------------------------------------------------------------------------------------

Database tuned(std::span<const TuneTask> tasks, int64_t trials) {
  Database database = Database::in_memory();
  FakeMeasurer measurer;
  measurer.time = planted_time;
  (void)tune(tasks, avx2(), 1, database, measurer, {.trials = trials, .strategy = "random"});
  return database;
}

std::vector<TuneTask> products() {
  return {matmul_task("a", 96, 128, 160), matmul_task("b", 64, 200, 96), matmul_task("c", 128, 64, 256),
          matmul_task("d", 48, 300, 128)};
}

TEST(Experience, IsWhatWasTriedOfEachWorkload) {
  const std::vector<TuneTask> tasks = products();
  const Database database = tuned(tasks, 80);
  const std::vector<Experience> experience = read_experience(database, builtin_ops());
  ASSERT_EQ(experience.size(), tasks.size());
  size_t trials = 0;
  for (const Experience& group : experience) {
    EXPECT_EQ(group.target.name(), avx2().name());
    EXPECT_EQ(group.threads, 1);
    for (const auto& [schedule, time] : group.trials)
      EXPECT_NEAR(time.value_or(0), planted_time(group.kernel, schedule), 1);
    trials += group.trials.size();
  }
  EXPECT_EQ(trials, 80U);
}

TEST(Experience, LeavesOutRowsThatNobodyCanRead) {
  Database database = tuned(products(), 40);
  const size_t groups = read_experience(database, builtin_ops()).size();
  const std::string known = database.workloads().front().text;
  Trial trial = database.trials_of(known).front();
  trial.schedule = "contraction v9\n";
  database.add_trial(trial);
  trial.schedule = print_schedule(default_schedule(matmul_task("", 96, 128, 160).kernel, avx2(), 1));
  trial.features = "z80-64-cpm";
  database.add_trial(trial);
  database.add_workload({"graph { nonsense }", "contraction"});
  EXPECT_EQ(read_experience(database, builtin_ops()).size(), groups);
}

TEST(Experience, KeepsBuildsApartAndLeavesOutWhatIsQuarantined) {
  Database database = tuned(products(), 40);
  const std::vector<Experience> before = read_experience(database, builtin_ops());
  const std::string known = before.front().kernel.workload.text;
  const std::vector<Trial> trials = database.trials_of(known);
  for (Trial trial : trials) {
    trial.build = database.add_build({"another", "toolchain", "hash"});
    database.add_trial(trial);
  }
  std::vector<Experience> after = read_experience(database, builtin_ops());
  std::erase_if(after, [&](const Experience& group) { return group.kernel.workload.text != known; });
  ASSERT_EQ(after.size(), 2U);
  EXPECT_NE(after[0].bench, after[1].bench);
  EXPECT_EQ(after[0].trials.size(), after[1].trials.size());
  EXPECT_TRUE(after[0].bench == before.front().bench || after[1].bench == before.front().bench);

  for (const Trial& trial : trials) database.add_mark({MarkKind::quarantine, row_id(trial), unix_ms_now(), ""});
  database.add_mark({MarkKind::clear, row_id(trials[0]), unix_ms_now(), ""});
  database.add_mark({MarkKind::clear, row_id(trials[1]), unix_ms_now(), ""});
  after = read_experience(database, builtin_ops());
  std::erase_if(after, [&](const Experience& group) { return group.bench != before.front().bench; });
  EXPECT_EQ(after.front().trials.size(), 2U);
}

TEST(Quality, OfAModelThatLearnsIsThatOnWorkloadsItNeverSaw) {
  const Database database = tuned(products(), 400);
  const std::vector<Experience> experience = read_experience(database, builtin_ops());
  const std::vector<RankedWorkload> ranked = rank_held_out("xgboost", experience);
  ASSERT_EQ(ranked.size(), 4U);
  EXPECT_GE(mean_spearman(ranked), 0.8);
  EXPECT_GT(mean_spearman(ranked), mean_spearman(rank_held_out("roofline", experience)));
}

TEST(Quality, NeedsTrialsToRank) {
  EXPECT_TRUE(rank_held_out("xgboost", read_experience(tuned(products(), 20), builtin_ops())).empty());
}

TEST(Pretrain, GuidesTheFirstTrialsOfAnUnseenWorkload) {
  const std::vector<TuneTask> tasks = products();
  const Database database = tuned(tasks, 400);
  const Database* const databases[] = {&database};
  const std::unique_ptr<CostModel> model = make_cost_model("xgboost");
  const Kernel unseen = matmul_task("", 112, 144, 192).kernel;
  pretrain(*model, databases, builtin_ops(), {&unseen, 1}, avx2(), host_machine().hash());
  const std::vector<Schedule> schedules = draw(unseen, 200);
  EXPECT_GE(spearman(model->predict({unseen, avx2(), 1}, schedules), speeds(unseen, schedules)).value_or(0), 0.8);
}

class CountingModel final : public CostModel {
 public:
  int learnt = 0, failed = 0, trained = 0;
  std::vector<std::string> workloads;  // in the order of the first trial
  std::vector<double> predict(const Setting&, std::span<const Schedule> schedules) const override {
    return std::vector<double>(schedules.size(), 0);
  }
  void learn(const Setting& setting, std::string_view, const Schedule&, std::optional<double> time) override {
    ++learnt;
    failed += !time;
    if (std::ranges::find(workloads, setting.kernel.workload.text) == workloads.end())
      workloads.push_back(setting.kernel.workload.text);
  }
  void train() override { ++trained; }
};

TEST(Pretrain, TeachesTheKernelsOwnTrialsFirstAndEachOnce) {
  const std::vector<TuneTask> tasks = products();
  const Database database = tuned(tasks, 80);
  const Database* const databases[] = {&database, &database};
  for (const TuneTask& task : tasks) {
    CountingModel model;
    pretrain(model, databases, builtin_ops(), {&task.kernel, 1}, avx2(), host_machine().hash());
    EXPECT_EQ(model.workloads.front(), task.kernel.workload.text);
    EXPECT_EQ(model.learnt, 80);
    EXPECT_EQ(model.trained, 1);
  }
}

// --- in the tuning loop ----------------------------------------------------------------------------------------------

TEST(Tune, TellsTheCostModelEveryTrialAndTrainsItNowAndThen) {
  const std::vector<TuneTask> tasks = products();
  Database database = Database::in_memory();
  FakeMeasurer measurer;
  measurer.time = planted_time;
  measurer.status = [](const Schedule& s) { return s["tile.m"] > 8 ? TrialStatus::crash : TrialStatus::ok; };
  CountingModel model;
  const TuneReport report = tune(tasks, avx2(), 1, database, measurer, {.trials = 100, .cost_model = &model});
  int64_t failed = 0;
  for (const TaskProgress& task : report.tasks) failed += task.failed;
  EXPECT_EQ(model.learnt, 100);
  EXPECT_EQ(model.failed, failed);
  EXPECT_EQ(model.trained, 100 / kTrialsPerTraining);
}

}  // namespace
}  // namespace oc
