#include "autotune/journal.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

constexpr size_t kMaxSuggestions = 6;
constexpr double kWorthADuel = 0.97;  // of the incumbent's recorded time

bool ours(const KnownTrial& known) {
  return known.ours;
}
bool of_others(const KnownTrial& known) {
  return !known.ours;
}
bool of_anyone(const KnownTrial& /*known*/) {
  return true;
}
using Whose = bool (*)(const KnownTrial&);

// The first of ranked trials that may be used: the best.
std::optional<KnownTrial> best_of(const std::vector<KnownTrial>& ranked, Whose whose) {
  const auto found =
      std::ranges::find_if(ranked, [&](const KnownTrial& known) { return known.nanoseconds && whose(known); });
  return found == ranked.end() ? std::nullopt : std::optional(*found);
}

// The fastest of them, if its time is worth a duel with `best`.
std::optional<KnownTrial> challenger_of(const std::vector<KnownTrial>& ranked, const KnownTrial& best, Whose whose) {
  std::optional<KnownTrial> found;
  for (const KnownTrial& known : ranked)
    if (known.nanoseconds && whose(known) && *known.nanoseconds < kWorthADuel * *best.nanoseconds &&
        (!found || *known.nanoseconds < *found->nanoseconds))
      found = known;
  return found;
}

Standing standing_of(const std::vector<KnownTrial>& ranked) {
  Standing standing{.incumbent = best_of(ranked, ours), .challenger = {}};
  if (standing.incumbent) standing.challenger = challenger_of(ranked, *standing.incumbent, ours);
  return standing;
}

std::vector<Schedule> rivals_of(const std::vector<KnownTrial>& ranked) {
  std::vector<Schedule> rivals;
  const std::optional<KnownTrial> best = best_of(ranked, of_anyone);
  if (!best) return rivals;
  if (!best->ours) rivals.push_back(best->schedule);
  if (std::optional<KnownTrial> fastest = challenger_of(ranked, *best, of_others))
    rivals.push_back(std::move(fastest->schedule));
  return rivals;
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

// Each schedule once, where its best trial ranks; what stands for it is a trial of ours, if one went well.
std::vector<KnownTrial> Journal::known_trials(const Kernel& kernel) const {
  const Key key = key_of(kernel.workload.text);
  const std::vector<Record> records =
      layers_ != nullptr ? layers_->records(key, build_) : database_.records(key, build_);
  std::set<std::string> own;  // trials
  for (const Record& record : database_.records(key, build_)) own.insert(record.id);
  std::vector<KnownTrial> usable, others;
  std::set<std::string> wrong;  // schedule texts
  for (const Record& record : records) {
    std::optional<Schedule> schedule = fitting_schedule(kernel, target_, record.trial.schedule);  // rows are data
    if (!schedule) continue;
    const TrialStatus status = record.trial.status;
    if (status == TrialStatus::wrong_result) wrong.insert(print_schedule(*schedule));
    KnownTrial known{std::move(*schedule), std::nullopt, record.id, record.confirmed, own.contains(record.id)};
    const bool may_be_used = status == TrialStatus::ok && !record.quarantined;
    if (may_be_used) known.nanoseconds = static_cast<double>(median_ns(record.trial.samples_ns));
    (may_be_used ? usable : others).push_back(std::move(known));
  }
  // Once wrong is always wrong; other failures void no trial that went well, as they may be the host's.
  for (KnownTrial& known : usable)
    if (wrong.contains(print_schedule(known.schedule))) known.nanoseconds.reset();
  std::vector<KnownTrial> ranked;
  std::map<std::string, size_t> places;  // by schedule text
  const auto place = [&](KnownTrial& known, bool replaces) {
    const auto [at, fresh] = places.emplace(print_schedule(known.schedule), ranked.size());
    if (fresh)
      ranked.push_back(std::move(known));
    else if (replaces && known.ours && !ranked[at->second].ours)
      ranked[at->second] = std::move(known);
  };
  for (KnownTrial& known : usable) place(known, true);
  for (KnownTrial& known : others) place(known, false);
  return ranked;
}

Standing Journal::standing(const Kernel& kernel) const {
  return standing_of(known_trials(kernel));
}

History Journal::history(const Kernel& kernel) const {
  History history;
  std::vector<KnownTrial> known = known_trials(kernel);
  history.standing = standing_of(known);
  history.rivals = rivals_of(known);

  const std::string& workload = kernel.workload.text;
  const auto suggest = [&](std::optional<Schedule> schedule) {
    if (schedule && history.suggestions.size() < kMaxSuggestions &&
        std::ranges::find(history.suggestions, *schedule) == history.suggestions.end())
      history.suggestions.push_back(std::move(*schedule));
  };
  const auto suggest_found = [&](const std::optional<LookupResult>& found) {
    if (found) suggest(fitting_schedule(kernel, target_, found->trial.schedule));
  };
  const auto suggest_winners = [&](const auto& databases) {
    suggest_found(databases.look_up(key_of(workload), build_));
    for (const Key& key : databases.keys_of(workload)) suggest_found(databases.best(key, kAnyBuild));
  };
  if (layers_ != nullptr)
    suggest_winners(*layers_);
  else
    suggest_winners(database_);
  for (KnownTrial& each : known)
    if (each.ours || !each.nanoseconds)
      history.trials.push_back(std::move(each));
    else
      suggest(std::move(each.schedule));
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
  const int64_t newest = layers_ != nullptr ? layers_->newest_mark(trial) : -1;
  database_.add_mark({.kind = MarkKind::confirm,
                      .trial = trial,
                      .unix_ms = std::max(unix_ms_now(), newest + 1),
                      .note = rise == Rise::won ? "" : std::string(kWithoutDuel)});
}

}  // namespace oc
