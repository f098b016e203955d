#include "autotune/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "autotune/cost_models/experience.h"
#include "autotune/interrupt.h"
#include "autotune/measure/kernel_measurer.h"
#include "base/error.h"
#include "cli/verb.h"
#include "opencompiler/dsl.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string time, author;
  int64_t trials = 0;
  uint64_t seed = 0;
};

std::string milliseconds(double ns) {
  return fmt::format("{:.3f} ms", ns / 1e6);
}

std::string table(const TuneProgress& p) {
  std::string text = fmt::format("{:<44} {:>3} {:>12} {:>12} {:>7} {:>7}  {}\n", "kernel", "×", "first", "best",
                                 "limit", "trials", "state");
  for (const TaskProgress& task : p.tasks)
    text += fmt::format("{:<44} {:>3} {:>12} {:>12} {:>6.0f}% {:>7}  {}\n", task.name.substr(0, 44), task.weight,
                        task.first_ns ? milliseconds(*task.first_ns) : "-",
                        task.best_ns ? milliseconds(*task.best_ns) : "-", 100 * task.share_of_limit(),
                        task.trials + task.known, task_state_name(task.state));
  return text;
}

std::string status_line(const TuneProgress& p) {
  return fmt::format("{:>5} trials  {:>5.0f} s{}  model {} -> {}  {}", p.trials, p.elapsed.count(),
                     p.eta ? fmt::format(" (ETA {:.0f} s)", p.eta->count()) : "", milliseconds(p.total_first_ns()),
                     milliseconds(p.total_best_ns()), p.tasks.empty() ? "" : p.tasks[p.current].name.substr(0, 40));
}

// On a terminal a line that is rewritten, elsewhere one every ten seconds.
struct ProgressPrinter {
  bool terminal = ::isatty(STDERR_FILENO) != 0;
  double last = -1e9;
  void operator()(const TuneProgress& p) {
    const double now = p.elapsed.count();
    if (now - last < (terminal ? 0.2 : 10)) return;
    last = now;
    std::cerr << (terminal ? "\r\033[K" : "") << status_line(p) << (terminal ? "" : "\n") << std::flush;
  }
};

// The cost model learns from what is on record: the user's trials and those of teams.
void teach_all(CostModel& model, const Database& database, const Flags& flags, const Target& target) {
  std::vector<Database> teams;
  for (const std::string& path : flags.model.team_databases)
    teams.push_back(Database::open(path, OpenMode::read_only, Origin::foreign));
  std::vector<const Database*> all{&database};
  for (const Database& team : teams) all.push_back(&team);
  pretrain(model, all, builtin_ops(), target, host_machine().hash());
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
  const Model model = load_model(flags.model.file, builtin_ops(), target, flags.model.model_options());
  warn(model.warnings);
  Database database = Database::open(flags.model.database_path(), OpenMode::create);
  if (!database.writable())
    user_error("{}: cannot be written, so nothing that tuning finds would be kept: {}", database.name(),
               database.read_only_reason());
  std::vector<TuneTask> tasks;
  for (size_t k = 0; k < model.kernels.size(); ++k) {
    const size_t group = static_cast<size_t>(std::ranges::find(model.kernel_of, k) - model.kernel_of.begin());
    tasks.push_back({model.kernels[k], static_cast<double>(model.uses[k]), group_label(model, group)});
  }
  const std::unique_ptr<CostModel> cost_model = make_cost_model("xgboost");
  teach_all(*cost_model, database, flags, target);
  options.cost_model = cost_model.get();
  const auto measurer = make_kernel_measurer(
      target, builtin_ops(),
      {.threads = threads, .jobs = options.jobs, .seed = flags.seed, .overlap = threads == 1 && cores > 1});
  InterruptGuard guard;
  options.stop = [&guard] { return guard.pending(); };
  ProgressPrinter printer;
  const TuneReport report =
      tune(tasks, target, threads, database, *measurer, options, [&](const TuneProgress& p) { printer(p); });
  if (printer.terminal) std::cerr << '\n';
  std::cout << table(report);
  fmt::print("{} trials in {:.0f} s; kernels {} -> {}; kept in {}\n", report.trials, report.elapsed.count(),
             milliseconds(report.total_first_ns()), milliseconds(report.total_best_ns()), database.name());
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
  add_list(*verb, "--team-db", flags->model.team_databases, "A database of others whose trials guide the search, too");
  verb->add_option("--author", flags->author, "Recorded with each trial");
  return [flags] { return run_tune(*flags); };
}

}  // namespace oc::cli
