#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "autotune/cost_models/quality.h"
#include "autotune/provenance.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/verb.h"
#include "compiler/transfer.h"
#include "opencompiler/dsl.h"
#include "tuning_db/database.h"
#include "tuning_db/postgres/server.h"
#include "tuning_db/rows.h"

namespace oc::cli {
namespace {

struct Flags {
  std::string database, file, workload, trial, mark, note, server;
  std::vector<std::string> team_databases;
  bool best = false, json = false, migrate = false, repair = false, model = false;
  [[nodiscard]] std::filesystem::path path() const {
    return database.empty() ? default_database_path() : std::filesystem::path(database);
  }
};

Database open(const Flags& flags, OpenMode mode) {
  return Database::open(flags.path(), mode);
}

// Text of foreign rows may be no UTF-8.
void print_json(const nlohmann::json& json) {
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

int show_path(const Flags& flags) {
  fmt::print("{}\n", flags.path().string());
  return kOk;
}

int list(const Flags& flags) {
  const Database db = open(flags, OpenMode::read_only);
  nlohmann::json rows = nlohmann::json::array();
  for (const WorkloadRow& row : db.workloads()) {
    const size_t trials = db.trials_of(row.text).size();
    if (flags.json) {
      rows.push_back({{"id", row_id(row)}, {"family", row.family}, {"trials", trials}, {"workload", row.text}});
    } else {
      fmt::print("{}  {:<12} {:>6} trials\n", row_id(row), row.family, trials);
    }
  }
  if (flags.json) print_json(rows);
  return kOk;
}

// The workload whose id begins with `prefix`.
WorkloadRow find_workload(const Database& db, const std::string& prefix) {
  std::vector<WorkloadRow> found;
  for (const WorkloadRow& row : db.workloads())
    if (row_id(row).starts_with(prefix)) found.push_back(row);
  if (found.size() != 1)
    user_error("{} workloads have an id that begins with '{}'; `db ls` lists them", found.size(), prefix);
  return found.front();
}

// Of machines and builds, beside their descriptions in `db show`.
std::string short_id(const std::string& id) {
  return id.substr(0, 8);
}

// Trials of another build than this program are suspect: used until one of this build is there.
void print_trial(const Trial& trial, bool best) {
  const std::string time =
      trial.samples_ns.empty() ? "-" : fmt::format("{:.3f} us", static_cast<double>(median_ns(trial.samples_ns)) / 1e3);
  fmt::print("{} {}  {:<13} {:>12}  threads {}  machine {}  build {}{}  {}{}{}\n", best ? "*" : " ", row_id(trial),
             status_name(trial.status), time, trial.threads, short_id(trial.machine), short_id(trial.build),
             trial.build == current_build_id() ? "" : " suspect",
             trial.author.empty() ? "" : "by " + trial.author + "  ",
             trial.run.empty() ? "" : "run " + trial.run + "  ", trial.message);
}

// What the short ids of the trials stand for.
void print_origins(const Database& db, const std::vector<Trial>& trials) {
  std::set<std::string> machines, builds;
  for (const Trial& trial : trials) {
    machines.insert(trial.machine);
    builds.insert(trial.build);
  }
  for (const MachineRow& row : db.machines())
    if (machines.contains(row.hash)) fmt::print("machine {}  {}\n", short_id(row.hash), row.description);
  for (const std::string& id : builds)
    if (const std::optional<BuildRow> row = db.build(id))
      fmt::print("build {}  {} {}, spaces {}\n", short_id(id), row->version, row->toolchain, short_id(row->space_hash));
}

int show(const Flags& flags) {
  const Database db = open(flags, OpenMode::read_only);
  const WorkloadRow row = find_workload(db, flags.workload);
  fmt::print("{}\n", row.text);
  std::vector<std::string> winners;
  for (const Key& key : db.keys_of(row.text))
    if (const auto best = db.best(key, current_build_id())) winners.push_back(best->id);
  const std::vector<Trial> trials = db.trials_of(row.text);
  for (const Trial& trial : trials) print_trial(trial, std::ranges::find(winners, row_id(trial)) != winners.end());
  print_origins(db, trials);
  return kOk;
}

int best(const Flags& flags) {
  const Database db = open(flags, OpenMode::read_only);
  for (const WorkloadRow& row : db.workloads())
    for (const Key& key : db.keys_of(row.text))
      if (const auto hit = db.best(key, current_build_id())) {
        print_trial(hit->trial, true);
        if (!flags.workload.empty() && row_id(row).starts_with(flags.workload)) fmt::print("{}\n", hit->trial.schedule);
      }
  return kOk;
}

constexpr size_t kLeastRanked = 3;  // workloads; fewer leave nothing to learn from

// How well each cost model ranks the trials of workloads it was not taught.
int model_stats(const Flags& flags) {
  const std::vector<Experience> experience = read_experience(open(flags, OpenMode::read_only), builtin_ops());
  const std::vector<RankedWorkload> baseline = rank_held_out("roofline", experience);
  const bool enough = baseline.size() >= kLeastRanked;
  nlohmann::json json = {{"workloads", baseline.size()}, {"trials_to_rank", kTrialsToRank}, {"enough", enough}};
  if (enough) {
    for (const auto& [name, ranked] :
         {std::pair("xgboost", rank_held_out("xgboost", experience)), std::pair("roofline", baseline)}) {
      std::map<std::string, std::vector<RankedWorkload>> families;
      nlohmann::json rows = nlohmann::json::array();
      for (const RankedWorkload& row : ranked) {
        families[std::string(family_name(row.family))].push_back(row);
        rows.push_back({{"id", row.workload},
                        {"family", family_name(row.family)},
                        {"trials", row.trials},
                        {"spearman", row.spearman}});
      }
      json[name] = {{"spearman", mean_spearman(ranked)}, {"workloads", rows}};
      if (!flags.json)
        fmt::print("{:<10} rank correlation {:.2f} on {} workloads it was not taught\n", name, mean_spearman(ranked),
                   ranked.size());
      for (const auto& [family, of_family] : families) {
        json[name]["families"][family] = mean_spearman(of_family);
        if (!flags.json) fmt::print("  {:<14} {:.2f}  of {}\n", family, mean_spearman(of_family), of_family.size());
      }
    }
  }
  if (flags.json) {
    print_json(json);
  } else if (!enough) {
    fmt::print(
        "too little to judge a cost model by: {} workloads have {} trials or more, {} are needed; `opencompiler tune` "
        "adds some\n",
        baseline.size(), kTrialsToRank, kLeastRanked);
  }
  return kOk;
}

int stats(const Flags& flags) {
  if (flags.model) return model_stats(flags);
  const DatabaseStats s = open(flags, OpenMode::read_only).stats();
  if (flags.json) {
    print_json({{"workloads", s.workloads},
                {"machines", s.machines},
                {"builds", s.builds},
                {"schedules", s.schedules},
                {"trials", s.trials},
                {"trials_by_status", s.trials_by_status},
                {"marks", s.marks},
                {"bytes", s.file_bytes},
                {"schema", s.schema_version}});
    return kOk;
  }
  fmt::print("workloads {}\nmachines {}\nbuilds {}\nschedules {}\ntrials {}\nmarks {}\nbytes {}\nschema {}\n",
             s.workloads, s.machines, s.builds, s.schedules, s.trials, s.marks, s.file_bytes, s.schema_version);
  for (const auto& [status, count] : s.trials_by_status) fmt::print("  {} {}\n", status, count);
  return kOk;
}

void print_skipped(const ImportReport& r) {
  for (const auto& [reason, count] : r.reasons) fmt::print("  {} × {}\n", count, reason);
  for (const std::string& example : r.examples) std::cerr << example << '\n';
}

void report(const ImportReport& r) {
  fmt::print("added {}, known {}, skipped {}\n", r.added, r.known, r.skipped);
  print_skipped(r);
}

int export_rows(const Flags& flags) {
  const Database db = open(flags, OpenMode::read_only);
  const std::map<std::string, Machine> machines = described_machines(db.machines());
  const std::string lines =
      flags.best
          ? db.export_jsonl(ExportScope::best, [&](const Key& key) { return formula_of(key, machines, builtin_ops()); })
          : db.export_jsonl();
  if (flags.file == "-") {
    std::cout << lines;
  } else {
    write_file_atomic(flags.file, lines);
  }
  return kOk;
}

int import_rows(const Flags& flags) {
  check_regular(flags.file);
  std::ifstream in(flags.file, std::ios::binary);
  if (!in) user_error("{}: cannot be read", flags.file);
  report(open(flags, OpenMode::create).import_jsonl(in));
  return kOk;
}

int merge(const Flags& flags) {
  report(open(flags, OpenMode::create).merge(flags.file));
  return kOk;
}

int push(const Flags& flags) {
  const Database db = open(flags, OpenMode::read_only);
  TeamServer server(flags.server);
  if (flags.migrate) server.migrate();
  const PushReport pushed = server.push(db);
  fmt::print("added {}, known {}\n", pushed.added, pushed.known);
  return kOk;
}

int pull(const Flags& flags) {
  TeamServer server(flags.server);
  Database db = open(flags, OpenMode::create);
  report(server.pull(db));
  return kOk;
}

// All that `compile` would look at.
Layers layers_of(const Flags& flags) {
  ModelFlags where;
  where.database = flags.database;
  where.team_databases = flags.team_databases;
  LayerPaths paths = where.layers();
  if (!std::filesystem::exists(*paths.user)) paths.user.reset();  // the mark makes it
  return open_layers(paths);
}

// The trial whose id begins with the digits given.
std::string find_trial(const Flags& flags, const Layers& layers) {
  const std::set<std::string> found = layers.trial_ids(flags.trial);
  warn(layers.warnings());
  if (found.empty())
    user_error(
        "no trial in {} or of those that ship has an id that begins with '{}'; `db show` lists them, --team-db "
        "names another database",
        flags.path().string(), flags.trial);
  if (found.size() > 1)
    user_error("{} trials have an id that begins with '{}': give more digits", found.size(), flags.trial);
  return *found.begin();
}

// A mark holds for the trial whatever database that is in, and against earlier marks in any.
int mark(const Flags& flags) {
  const auto kind = parse_mark(flags.mark);
  if (!kind) user_error("'{}' is no mark; pin, quarantine, confirm and clear are", flags.mark);
  const Layers layers = layers_of(flags);
  const std::string trial = find_trial(flags, layers);
  const int64_t time = std::max(unix_ms_now(), layers.newest_mark(trial) + 1);
  open(flags, OpenMode::create).add_mark({*kind, trial, time, flags.note});
  return kOk;
}

int doctor(const Flags& flags) {
  if (flags.repair) {
    if (const std::optional<RepairReport> repaired = Database::repair(flags.path())) {
      fmt::print("saved {} rows, lost {}; the damaged file is kept as {}\n", repaired->rows.added,
                 repaired->rows.skipped, repaired->damaged.string());
      print_skipped(repaired->rows);
    }
  }
  const DoctorReport r = open(flags, OpenMode::read_only).doctor();
  for (const std::string& fact : r.facts) fmt::print("{}\n", fact);
  for (const std::string& problem : r.problems) fmt::print("problem: {}\n", problem);
  if (!r.problems.empty()) user_error("{}: {} problems", flags.path().string(), r.problems.size());
  fmt::print("healthy\n");
  return kOk;
}

}  // namespace

std::function<int()> add_db(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("db", "The tuning database");
  verb->require_subcommand(1);
  verb->footer("Example: opencompiler db export --best schedules.jsonl");
  auto flags = std::make_shared<Flags>();
  auto chosen = std::make_shared<int (*)(const Flags&)>(nullptr);
  auto add = [&](const char* name, const char* what, int (*action)(const Flags&)) {
    CLI::App* sub = verb->add_subcommand(name, what);
    sub->add_option("--db", flags->database, "Database file; default: $OPENCOMPILER_DB or the user's own");
    sub->callback([chosen, action] { *chosen = action; });
    return sub;
  };
  add("path", "Where it is", show_path);
  add("ls", "Workloads and their trials", list)->add_flag("--json", flags->json, "Print them as JSON");
  add("show", "All trials of a workload, with machines, builds and authors", show)
      ->add_option("workload", flags->workload, "Id, or its first digits")
      ->required();
  add("best", "The winning trial of every key", best)
      ->add_option("workload", flags->workload, "Print the schedule of this one");
  CLI::App* counting = add("stats", "Counts, or how well cost models rank the trials", stats);
  counting->add_flag("--json", flags->json, "Print them as JSON");
  counting->add_flag("--model", flags->model,
                     "Instead: rank correlation of cost models with the trials of workloads they were not taught");
  CLI::App* exporting = add("export", "Write canonical JSON lines", export_rows);
  exporting->add_option("file", flags->file, "- for standard output")->required();
  exporting->add_flag(
      "--best", flags->best,
      "Only the winning trials, those of all builds ranked alike, and those of the formulas beside them");
  add("import", "Add rows from JSON lines", import_rows)->add_option("file", flags->file, "File")->required();
  add("merge", "Add all rows of another database", merge)->add_option("file", flags->file, "Database file")->required();
  const char* const server =
      "Connection string of the PostgreSQL server, postgresql://alice@host/database?sslmode=verify-full; "
      "a password is better kept in ~/.pgpass";
  CLI::App* pushing = add("push", "Add all rows to a team's server", push);
  pushing->add_option("server", flags->server, server)->required();
  pushing->add_flag("--migrate", flags->migrate, "First make the server's tables, or renew them");
  add("pull", "Add all rows of a team's server", pull)->add_option("server", flags->server, server)->required();
  CLI::App* marking = add("mark", "Pin, quarantine, confirm or clear a trial", mark);
  marking->add_option("kind", flags->mark, "pin, quarantine, confirm, clear")->required();
  marking->add_option("trial", flags->trial, "Trial id, or its first digits")->required();
  add_list(*marking, "--team-db", flags->team_databases, "Where the trial may be found, too");
  marking->add_option("--note", flags->note, "Why")->check(row_text(kMaxMessageBytes));
  add("doctor", "Check the file", doctor)
      ->add_flag(
          "--repair", flags->repair,
          "Put what is sound in a damaged file into a new one, the old is kept; nobody else may use it meanwhile");
  return [flags, chosen] { return (*chosen)(*flags); };
}

}  // namespace oc::cli
