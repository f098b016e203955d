#include "autotune/journal.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

constexpr size_t kMaxSuggestions = 6;
constexpr double kWorthADuel = 0.97;  // of the incumbent's recorded time

// The first that may be used: of ranked trials the best.
std::optional<KnownTrial> best_of(const std::vector<KnownTrial>& ranked) {
  const auto found =
      std::ranges::find_if(ranked, [](const KnownTrial& known) { return known.nanoseconds.has_value(); });
  return found == ranked.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

Journal::Journal(Database& database, const Layers* layers, const Target& target, int threads, std::string author)
    : database_(database), layers_(layers), target_(target), author_(std::move(author)), threads_(threads) {
  if (!database.writable())
    user_error("cannot tune into {}: {}; name a database that can be written with --db", database.name(),
               database.read_only_reason());
  machine_ = database.add_machine(describe(host_machine()));
  build_ = database.add_build(current_build());
  run_ = content_hash(fmt::format("{} {} {}", machine_, unix_ms_now(), ::getpid())).substr(0, 16);
}

Key Journal::key_of(const std::string& workload) const {
  return {workload, machine_, target_.name(), threads_};
}

// Ranked.
std::vector<KnownTrial> Journal::known_trials(const Kernel& kernel) const {
  const Key key = key_of(kernel.workload.text);
  const std::vector<Record> records =
      layers_ != nullptr ? layers_->records(key, build_) : database_.records(key, build_);
  std::vector<KnownTrial> usable, others;
  std::set<std::string> wrong, ranked;  // schedule texts
  for (const Record& record : records) {
    std::optional<Schedule> schedule = fitting_schedule(kernel, target_, record.trial.schedule);  // rows are data
    if (!schedule) continue;
    const TrialStatus status = record.trial.status;
    if (status == TrialStatus::wrong_result) wrong.insert(print_schedule(*schedule));
    KnownTrial known{std::move(*schedule), std::nullopt, record.id, record.confirmed};
    const bool may_be_used = status == TrialStatus::ok && !record.quarantined;
    if (may_be_used) known.nanoseconds = static_cast<double>(median_ns(record.trial.samples_ns));
    (may_be_used ? usable : others).push_back(std::move(known));
  }
  // Once wrong is always wrong; other failures void no trial that went well, as they may be the host's.
  for (KnownTrial& known : usable)
    if (wrong.contains(print_schedule(known.schedule))) known.nanoseconds.reset();
  std::ranges::move(others, std::back_inserter(usable));
  std::erase_if(usable, [&](const KnownTrial& known) { return !ranked.insert(print_schedule(known.schedule)).second; });
  return usable;
}

std::optional<KnownTrial> Journal::incumbent(const Kernel& kernel) const {
  return best_of(known_trials(kernel));
}

History Journal::history(const Kernel& kernel) const {
  History history;
  history.trials = known_trials(kernel);
  history.incumbent = best_of(history.trials);
  if (history.incumbent)
    for (const KnownTrial& known : history.trials)
      if (known.nanoseconds && *known.nanoseconds < kWorthADuel * *history.incumbent->nanoseconds &&
          (!history.challenger || *known.nanoseconds < *history.challenger->nanoseconds))
        history.challenger = known;

  const std::string& workload = kernel.workload.text;
  const auto suggest = [&](const std::optional<LookupResult>& found) {
    std::optional<Schedule> schedule = found ? fitting_schedule(kernel, target_, found->trial.schedule) : std::nullopt;
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

void Journal::commit(const Kernel& kernel, const Schedule& schedule, const Measurement& measurement, Rise rise) {
  if (added_.insert(kernel.workload.text).second)
    database_.add_workload({kernel.workload.text, std::string(family_name(kernel.family))});
  const std::string id = database_.add_trial({.workload = kernel.workload.text,
                                              .schedule = print_schedule(schedule),
                                              .machine = machine_,
                                              .features = target_.name(),
                                              .threads = threads_,
                                              .build = build_,
                                              .status = measurement.status,
                                              .samples_ns = measurement.samples_ns,
                                              .message = measurement.message,
                                              .relative_error = measurement.error,
                                              .unix_ms = unix_ms_now(),
                                              .author = author_,
                                              .run = run_});
  confirm(id, rise);
}

void Journal::confirm(const std::string& trial, Rise rise) {
  if (rise == Rise::none) return;
  database_.add_mark({.kind = MarkKind::confirm,
                      .trial = trial,
                      .unix_ms = unix_ms_now(),
                      .note = rise == Rise::won ? "" : std::string(kWithoutDuel)});
}

}  // namespace oc
