#include "cli/whole_model.h"

#include "autotune/whole_model.h"
#include "cli/model_duel.h"
#include "cli/tune_table.h"
#include "opencompiler/dsl.h"

namespace oc::cli {
namespace {

struct Interrupted {};

class Libraries {
 public:
  Libraries(const std::filesystem::path& file, const CompileOptions& options, const std::function<bool()>& stop)
      : file_(file), options_(options), stop_(stop) {}

  [[nodiscard]] std::filesystem::path of(const CompileResult& plan) const {
    return compile_to_cache(plan, file_, builtin_ops(), options_,
                            [this](size_t, size_t) {
                              if (stop_()) throw Interrupted();
                            })
        .shared_library;
  }

 private:
  const std::filesystem::path& file_;
  const CompileOptions& options_;
  const std::function<bool()>& stop_;
};

std::vector<ChangedKernel> changed_kernels(const CompileResult& before, const CompileResult& now,
                                           std::span<const TaskProgress> tasks) {
  std::vector<ChangedKernel> changed;
  for (size_t k = 0; k < tasks.size(); ++k)
    if (before.picks[k].schedule != now.picks[k].schedule)
      changed.push_back({k, tasks[k].weight * (tasks[k].first_ns.value_or(0) - tasks[k].best_ns.value_or(0))});
  return changed;
}

}  // namespace

std::optional<ModelReport> time_whole_model(const CompileResult& before, const std::filesystem::path& file,
                                            const CompileOptions& options, std::span<const TaskProgress> tasks,
                                            const std::string& database, double seconds,
                                            const std::function<bool()>& stop) {
  const CompileResult now = plan_compile(before.model, builtin_ops(), options);
  const std::vector<ChangedKernel> changed = changed_kernels(before, now, tasks);
  if (changed.empty()) return ModelReport{"model: every kernel keeps the schedule it had", {}};
  try {
    const Libraries libraries(file, options, stop);
    const std::filesystem::path of_before = libraries.of(before), of_now = libraries.of(now);
    const auto time = [&](std::optional<size_t> put_back) {
      ModelDuel duel{.candidate = of_now, .incumbent = of_before, .threads = options.threads, .seconds = seconds};
      if (put_back) {
        CompileResult plan = now;
        plan.picks[*put_back] = before.picks[*put_back];
        duel.candidate = libraries.of(plan);
        duel.incumbent = of_now;
      }
      return time_models(duel, stop);
    };
    const std::optional<WholeModel> model = judge_model(changed, time);
    if (!model) return std::nullopt;
    std::vector<LosingTrial> losers;
    for (const size_t k : model->losers) {
      const Pick& pick = now.picks[k];
      // What came from another kernel, or stands in another file, is not this database's to mark.
      const bool own = pick.rung == "exact" && pick.source == database;
      losers.push_back({tasks[k].name, own ? pick.trial : ""});
    }
    return ModelReport{whole_model_line(*model),
                       model->slower ? slower_warnings(losers, database) : std::vector<std::string>{}};
  } catch (const Interrupted&) {
    return std::nullopt;
  }
}

}  // namespace oc::cli
