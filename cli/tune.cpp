#include "autotune/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "autotune/cost_models/experience.h"
#include "autotune/interrupt.h"
#include "autotune/measure/kernel_measurer.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/cells.h"
#include "cli/live_table.h"
#include "cli/tune_table.h"
#include "cli/verb.h"
#include "cli/whole_model.h"
#include "generators/build.h"
#include "opencompiler/dsl.h"
#include "tuning_db/rows.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string time, author;
  int64_t trials = 0;
  uint64_t seed = 0;
};

constexpr Screen kPage{.width = 110, .height = SIZE_MAX};  // of the report at the end

// On a terminal a table that is drawn anew in its place, elsewhere a line every ten seconds.
class ProgressPrinter {
 public:
  void operator()(const TuneProgress& p) {
    const double now = p.elapsed.count();
    if (now - last_ < (drawable_ ? 0.2 : 10)) return;
    last_ = now;
    if (drawable_)
      table_.draw(tune_table(p, table_.screen()));
    else
      print_line(p);
  }
  // What takes a while now, until it is cleared.
  void say(const std::string& what) {
    if (drawable_)
      table_.draw({{fit_cells(what, std::min(count_cells(what), table_.screen().width - 1))}});
    else
      std::cerr << what << '\n';
  }
  void clear() { table_.clear(); }

 private:
  static void print_line(const TuneProgress& p) {
    const std::string& name = p.tasks[p.current].name;
    std::cerr << fmt::format("{}  {}\n", tune_totals(p), fit_cells(name, std::min<size_t>(40, count_cells(name))));
  }

  LiveTable table_{STDERR_FILENO};
  bool drawable_ = table_.drawable();
  double last_ = -1e9;
};

// The cost model learns from what is on record: the user's trials and those of teams.
void teach_all(CostModel& model, const Database& database, const Flags& flags, const Target& target,
               std::span<const Kernel> kernels) {
  std::vector<Database> teams;
  for (const std::string& path : flags.model.team_databases)
    teams.push_back(Database::open(path, OpenMode::read_only, Origin::foreign));
  std::vector<const Database*> all{&database};
  for (const Database& team : teams) all.push_back(&team);
  pretrain(model, all, builtin_ops(), kernels, target, host_machine().hash());
}

// Each kernel starts from the schedule that compile would take.
std::vector<TuneTask> tasks_of(const CompileResult& plan) {
  const Model& model = plan.model;
  std::vector<TuneTask> tasks;
  for (size_t k = 0; k < model.kernels.size(); ++k) {
    const size_t group = static_cast<size_t>(std::ranges::find(model.kernel_of, k) - model.kernel_of.begin());
    tasks.push_back({.kernel = model.kernels[k],
                     .weight = static_cast<double>(model.uses[k]),
                     .name = group_label(model, group),
                     .start = plan.picks[k].schedule});
  }
  return tasks;
}

// Prints what the whole model has gained. A failure leaves what was found where it is.
void report_whole_model(const CompileResult& before, const Flags& flags, const CompileOptions& compile,
                        const TuneReport& report, const Database& database, const std::function<bool()>& stop,
                        ProgressPrinter& printer) {
  printer.say("timing the whole model with the old schedules and the new");
  // Not of the budget: a twentieth of what was spent, within bounds.
  const double seconds = std::clamp(report.elapsed.count() / 20, 2.0, 5.0);
  std::optional<ModelReport> model;
  try {
    model = time_whole_model(before, flags.model.file, compile, report.tasks, database.name(), seconds, stop);
  } catch (const std::exception& error) {  // a link that takes too long is an InternalError
    printer.clear();
    warn({fmt::format("the whole model was not timed: {}", error.what())});
    return;
  }
  printer.clear();
  if (!model) {
    std::cerr << "stopped before the whole model was timed\n";
    return;
  }
  std::cout << model->line << '\n';
  warn(model->warnings);
}

int run_tune(const Flags& flags) {
  const Target target = flags.model.parsed_target();
  const int threads = flags.model.thread_count();
  TuneOptions options;
  if (!flags.time.empty()) options.time = Seconds(parse_duration(flags.time));
  if (flags.trials > 0) options.trials = flags.trials;
  if (!options.time && !options.trials) options.time = Seconds(600);
  options.seed = flags.seed;
  options.author = flags.author;
  // With one thread a candidate builds on another core while one is timed; with several that would disturb the timing.
  const int cores = usable_cores();
  options.jobs = threads == 1 ? std::max(1, cores - 1) : cores;
  CompileOptions compile = flags.model.compile_options();
  compile.target = target;
  Model model = load_model(flags.model.file, builtin_ops(), target, compile.model);
  Database database = Database::open(flags.model.database_path(), OpenMode::create);
  if (!database.writable())
    user_error("{}: cannot be written, so nothing that tuning finds would be kept: {}", database.name(),
               database.read_only_reason());
  const CompileResult before = plan_compile(std::move(model), builtin_ops(), compile);
  warn(before.warnings);
  const Layers layers = open_layers(compile.layers);
  options.layers = &layers;
  const std::vector<TuneTask> tasks = tasks_of(before);
  const std::unique_ptr<CostModel> cost_model = make_cost_model("xgboost");
  teach_all(*cost_model, database, flags, target, before.model.kernels);
  options.cost_model = cost_model.get();
  ObjectCache objects(default_cache_path() / "kernels");
  const auto measurer = make_kernel_measurer(target, builtin_ops(),
                                             {.threads = threads,
                                              .jobs = options.jobs,
                                              .seed = flags.seed,
                                              .overlap = threads == 1 && cores > 1,
                                              .references = &objects});
  InterruptGuard guard;
  options.stop = [&guard] { return guard.pending(); };
  ProgressPrinter printer;
  const TuneReport report =
      tune(tasks, target, threads, database, *measurer, options, [&](const TuneProgress& p) { printer(p); });
  printer.clear();
  for (const TableLine& line : tune_table(report, kPage)) std::cout << line.text << '\n';
  std::cout.flush();
  if (report.end != TuneEnd::stopped)
    report_whole_model(before, flags, compile, report, database, options.stop, printer);
  std::cout << "kept in " << database.name() << '\n';
  for (const TaskProgress& task : report.tasks)
    if (task.state == TaskState::unmeasurable) warn({fmt::format("{} cannot be tuned: {}", task.name, task.message)});
  if (report.end == TuneEnd::stopped) std::cerr << "stopped; run the same command again to go on\n";
  return kOk;
}

}  // namespace

std::function<int()> add_tune(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("tune", "Search schedules for a model's kernels into the tuning database");
  verb->footer(
      "Example: opencompiler tune model.onnx --time 10m --threads 1\nA rerun goes on where the last one stopped.");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  verb->add_option("--time", flags->time, "Budget: 90s, 10m, 2h (default 10m unless --trials is given)");
  verb->add_option("--trials", flags->trials, "Budget in trials")->check(CLI::PositiveNumber);
  verb->add_option("--seed", flags->seed, "Of the search and the inputs")->capture_default_str();
  flags->model.add_databases_to(*verb);
  verb->add_option("--author", flags->author, "Recorded with each trial")->check(row_text(kMaxNameBytes));
  return [flags] { return run_tune(*flags); };
}

}  // namespace oc::cli
