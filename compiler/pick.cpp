#include "compiler/pick.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"

namespace oc {
namespace {

constexpr size_t kMinHashPrefix = 6;

// The forced schedule whose key is a prefix of the kernel's hash; null if there is none.
const std::pair<const std::string, std::string>* forced_for(const PickSources& sources, const std::string& hash) {
  for (const auto& entry : sources.forced)
    if (entry.first.size() >= kMinHashPrefix && hash.starts_with(entry.first)) return &entry;
  return nullptr;
}

Pick force(const Kernel& kernel, const Target& target, const std::string& key, const std::string& text) {
  Schedule schedule = parse_schedule(text);
  if (const std::string reason = why_illegal(kernel, target, schedule); !reason.empty())
    user_error("the schedule given for kernel {} does not fit it: {}", key, reason);
  return {std::move(schedule), "", "forced", ""};
}

Pick from_lock(const Kernel& kernel, const Target& target, const LockEntry& entry) {
  Schedule schedule = parse_schedule(entry.schedule);
  if (const std::string reason = why_illegal(kernel, target, schedule); !reason.empty())
    user_error("the lock's schedule for kernel {} does not fit target {}: {}", kernel.workload.hash(), target.name(),
               reason);
  return {std::move(schedule), entry.trial == "default" ? "" : entry.trial, entry.rung, ""};
}

std::optional<Pick> from_database(const Kernel& kernel, const Target& target, const std::string& machine, int threads,
                                  const Layers& layers, std::vector<std::string>& warnings) {
  const std::optional<LookupResult> hit = layers.look_up({kernel.workload.text, machine, target.name(), threads});
  if (!hit) return std::nullopt;
  std::string reason;
  try {
    Schedule schedule = parse_schedule(hit->trial.schedule);
    reason = why_illegal(kernel, target, schedule);
    if (reason.empty()) return Pick{std::move(schedule), hit->id, std::string(rung_name(hit->rung)), hit->source};
  } catch (const UserError& error) {
    reason = error.what();
  }
  warnings.push_back(fmt::format("{}: the schedule of trial {} is not usable ({}); the default is used", hit->source,
                                 hit->id, reason));
  return std::nullopt;
}

}  // namespace

std::vector<Pick> pick_schedules(const std::vector<Kernel>& kernels, const Target& target, const std::string& machine,
                                 int threads, const PickSources& sources, std::vector<std::string>& warnings) {
  std::vector<Pick> picks;
  std::set<std::string> used;
  for (const Kernel& kernel : kernels) {
    const std::string hash = kernel.workload.hash();
    if (const auto* forced = forced_for(sources, hash)) {
      used.insert(forced->first);
      picks.push_back(force(kernel, target, forced->first, forced->second));
      continue;
    }
    if (const LockEntry* entry = sources.lock != nullptr ? find_entry(*sources.lock, kernel.workload.text) : nullptr) {
      picks.push_back(from_lock(kernel, target, *entry));
      continue;
    }
    if (sources.layers != nullptr)
      if (std::optional<Pick> found = from_database(kernel, target, machine, threads, *sources.layers, warnings)) {
        picks.push_back(std::move(*found));
        continue;
      }
    picks.push_back({default_schedule(kernel, target, threads), "", "default", ""});
  }
  for (const auto& [key, text] : sources.forced)
    if (!used.contains(key))
      user_error("--schedule {}: the model has no kernel of this hash (`explain` lists them; give 6 digits or more)",
                 key);
  return picks;
}

}  // namespace oc
