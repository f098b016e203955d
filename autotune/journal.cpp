#include "autotune/journal.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

constexpr size_t kMaxSuggestions = 6;
constexpr double kWorthADuel = 0.97;  // of the incumbent's recorded time

std::optional<Schedule> parsed(const std::string& text) {
  try {
    return parse_schedule(text);
  } catch (const UserError&) {  // of another version or by another hand: rows are data
    return std::nullopt;
  }
}

}  // namespace

Journal::Journal(Database& database, const Layers* layers, const Target& target, int threads, std::string author)
    : database_(database), layers_(layers), features_(target.name()), author_(std::move(author)), threads_(threads) {
  if (!database.writable())
    user_error("cannot tune into {}: {}; name a database that can be written with --db", database.name(),
               database.read_only_reason());
  machine_ = database.add_machine(describe(host_machine()));
  build_ = database.add_build(current_build());
  run_ = content_hash(fmt::format("{} {} {}", machine_, unix_ms_now(), ::getpid())).substr(0, 16);
}

Key Journal::key_of(const std::string& workload) const {
  return {workload, machine_, features_, threads_};
}

History Journal::history(const Kernel& kernel) const {
  History history;
  const std::string& workload = kernel.workload.text;
  const Database* const databases[] = {&database_};
  std::map<std::string, KnownTrial> latest;  // by schedule text
  for (const Trial& trial : database_.trials_of(key_of(workload))) {
    std::optional<Schedule> schedule = parsed(trial.schedule);
    if (!schedule || trial.build != build_) continue;
    KnownTrial known{std::move(*schedule), std::nullopt, row_id(trial)};
    if (trial.status == TrialStatus::ok && !quarantined(databases, known.id))
      known.nanoseconds = static_cast<double>(median_ns(trial.samples_ns));
    // Once wrong is always wrong; otherwise the later trial counts.
    const auto [place, fresh] = latest.try_emplace(print_schedule(known.schedule), known);
    if (!fresh && place->second.nanoseconds) place->second = std::move(known);
  }
  for (auto& [text, known] : latest) history.trials.push_back(std::move(known));

  const auto suggest = [&](const std::optional<LookupResult>& found) {
    std::optional<Schedule> schedule = found ? parsed(found->trial.schedule) : std::nullopt;
    if (schedule && history.suggestions.size() < kMaxSuggestions &&
        std::ranges::find(history.suggestions, *schedule) == history.suggestions.end())
      history.suggestions.push_back(std::move(*schedule));
  };
  const auto suggest_winners = [&](const auto& known) {
    suggest(known.look_up(key_of(workload), build_));
    for (const Key& key : known.keys_of(workload)) suggest(known.best(key, kAnyBuild));
  };
  if (layers_ != nullptr)
    suggest_winners(*layers_);
  else
    suggest_winners(database_);

  const std::optional<LookupResult> best = database_.best(key_of(workload), build_);
  if (best && best->trial.build == build_) {
    const auto of_build = std::ranges::find(history.trials, parsed(best->trial.schedule), &KnownTrial::schedule);
    if (of_build != history.trials.end() && of_build->nanoseconds) history.incumbent = *of_build;
  }
  if (history.incumbent && !best->pinned)
    for (const KnownTrial& known : history.trials)
      if (known.nanoseconds && *known.nanoseconds < kWorthADuel * *history.incumbent->nanoseconds &&
          (!history.challenger || *known.nanoseconds < *history.challenger->nanoseconds))
        history.challenger = known;
  return history;
}

void Journal::record(const Calibration& calibration) {
  database_.add_calibration({.machine = machine_,
                             .run = run_,
                             .peak_gflops = calibration.flops / 1e9,
                             .bandwidth_gbs = calibration.bandwidth / 1e9,
                             .threads = threads_,
                             .unix_ms = unix_ms_now()});
}

void Journal::commit(const Kernel& kernel, const Schedule& schedule, const Measurement& measurement, bool confirmed) {
  if (added_.insert(kernel.workload.text).second)
    database_.add_workload({kernel.workload.text, std::string(family_name(kernel.family))});
  const std::string id = database_.add_trial({.workload = kernel.workload.text,
                                              .schedule = print_schedule(schedule),
                                              .machine = machine_,
                                              .features = features_,
                                              .threads = threads_,
                                              .build = build_,
                                              .status = measurement.status,
                                              .samples_ns = measurement.samples_ns,
                                              .message = measurement.message,
                                              .relative_error = measurement.error,
                                              .unix_ms = unix_ms_now(),
                                              .author = author_,
                                              .run = run_});
  if (confirmed) confirm(id);
}

void Journal::confirm(const std::string& trial) {
  database_.add_mark({.kind = MarkKind::confirm, .trial = trial, .unix_ms = unix_ms_now(), .note = {}});
}

}  // namespace oc
