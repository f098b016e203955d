#include "compiler/pick.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "compiler/transfer.h"

namespace oc {
namespace {

constexpr size_t kMinHashPrefix = 6;
constexpr int kDeterministicThreads = 16;  // that there are tasks for

// The forced schedule whose key is a prefix of the kernel's hash; null if there is none.
const std::pair<const std::string, ForcedSchedule>* forced_for(const PickSources& sources, const std::string& hash) {
  for (const auto& entry : sources.forced)
    if (entry.first.size() >= kMinHashPrefix && hash.starts_with(entry.first)) return &entry;
  return nullptr;
}

// The text as a schedule of the kernel; `fault` says why it is none.
std::optional<Schedule> usable(const Kernel& kernel, const Target& target, const std::string& text,
                               std::string& fault) {
  try {
    Schedule schedule = parse_schedule(text);
    fault = why_illegal(kernel, target, schedule);
    if (fault.empty()) return schedule;
  } catch (const UserError& error) {
    fault = error.what();
  }
  return std::nullopt;
}

Pick force(const Kernel& kernel, const Target& target, const std::string& key, const ForcedSchedule& forced) {
  std::string fault;
  std::optional<Schedule> schedule = usable(kernel, target, forced.text, fault);
  if (!schedule)
    user_error("{}: the schedule given for kernel {} cannot be used: {}; `explain --kernel {}` shows one that can",
               forced.file, key, fault, key);
  return {std::move(*schedule), "", "forced", forced.file, Pick::Origin::forced};
}

Pick from_lock(const Kernel& kernel, const Target& target, const PickSources& sources) {
  const std::string hash = kernel.workload.hash();
  const LockEntry* entry = find_entry(*sources.lock, kernel.workload.text);
  if (entry == nullptr)
    user_error(
        "{}: no schedule for kernel {} of this model; a lock serves the model, shapes and passes it was made with, "
        "make it anew by compiling without --lock",
        sources.lock_file, hash);
  std::string fault;
  std::optional<Schedule> schedule = usable(kernel, target, entry->schedule, fault);
  if (!schedule)
    user_error("{}: the schedule of kernel {} cannot be used for target {}: {}", sources.lock_file, hash, target.name(),
               fault);
  const bool trial = entry->trial != "default" && entry->trial != "forced";
  return {std::move(*schedule), trial ? entry->trial : "", entry->rung, sources.lock_file, Pick::Origin::lock};
}

// nullopt: no trial of the kernel serves it. `fault` says what is wrong with the best that is not usable, if any was
// passed over.
std::optional<Pick> from_database(const Kernel& kernel, const Target& target, const std::string& machine, int threads,
                                  const TrialSource& source, std::string& fault) {
  std::optional<Schedule> schedule;
  const auto serves = [&](const LookupResult& found) {
    std::string why_not;
    schedule = usable(kernel, target, found.trial.schedule, why_not);
    if (!schedule && fault.empty())
      fault = fmt::format("{}: the schedule of trial {} for kernel {} is not usable ({})", found.source, found.id,
                          kernel.workload.hash(), why_not);
    return schedule.has_value();
  };
  const std::optional<LookupResult> hit =
      source.layers.look_up({kernel.workload.text, machine, target.name(), threads}, source.build, serves);
  if (!hit || (hit->rung == Rung::other_threads && !serves_threads(kernel, target, threads, *schedule)))
    return std::nullopt;
  return Pick{std::move(*schedule), hit->id, std::string(rung_name(hit->rung)), hit->source, Pick::Origin::database};
}

std::optional<Pick> from_donor(const Kernel& kernel, Transfer& transfer) {
  std::optional<Transferred> found = transfer.find(kernel);
  if (!found) return std::nullopt;
  return Pick{std::move(found->schedule), std::move(found->trial), std::move(found->rung), std::move(found->source),
              Pick::Origin::database};
}

std::string named(const Pick& pick) {
  return pick.trial.empty() ? "the default" : fmt::format("that of trial {} ({})", pick.trial, pick.rung);
}

}  // namespace

Pick default_pick(const Kernel& kernel, const Target& target, int threads, bool deterministic) {
  Schedule schedule = default_schedule(kernel, target, deterministic ? 1 : threads);
  if (deterministic) schedule = shared_among(kernel, target, kDeterministicThreads, std::move(schedule));
  return {std::move(schedule), "", "default", "", Pick::Origin::formula};
}

std::vector<Pick> pick_schedules(const std::vector<Kernel>& kernels, const Target& target, const Machine& machine,
                                 int threads, const PickSources& sources, std::vector<std::string>& warnings) {
  const std::string machine_hash = machine.hash();
  const int asked = sources.deterministic ? 1 : threads;  // trials of so many
  std::optional<Transfer> transfer;
  if (const std::optional<TrialSource>& trials = sources.trials; trials && trials->transfer != nullptr)
    transfer.emplace(trials->layers, *trials->transfer, target, machine, asked, trials->build);
  std::vector<Pick> picks;
  std::set<std::string> used;
  for (const Kernel& kernel : kernels) {
    std::optional<Pick> found;
    std::string fault;
    if (const auto* forced = forced_for(sources, kernel.workload.hash())) {
      used.insert(forced->first);
      found = force(kernel, target, forced->first, forced->second);
    } else if (sources.lock != nullptr) {
      found = from_lock(kernel, target, sources);
    } else if (sources.trials) {
      found = from_database(kernel, target, machine_hash, asked, *sources.trials, fault);
      if (!found && transfer) found = from_donor(kernel, *transfer);
      if (found && sources.deterministic)
        found->schedule = shared_among(kernel, target, kDeterministicThreads, std::move(found->schedule));
    }
    picks.push_back(found ? std::move(*found) : default_pick(kernel, target, threads, sources.deterministic));
    if (!fault.empty()) warnings.push_back(fmt::format("{}; {} is used", fault, named(picks.back())));
  }
  for (const auto& [key, forced] : sources.forced)
    if (!used.contains(key))
      user_error("--schedule {}={}: the model has no kernel of this hash (`explain` lists them; give 6 digits or more)",
                 key, forced.file);
  return picks;
}

}  // namespace oc
