#include "generators/lock.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = size_t{64} << 20;

std::string field(const nlohmann::ordered_json& row, const char* name, std::string_view file) {
  const auto found = row.find(name);
  if (found == row.end() || !found->is_string())
    user_error("{}: a kernel without the text '{}'; make the file anew by compiling without --lock", file, name);
  return found->get<std::string>();
}

int threads(const nlohmann::ordered_json& json, std::string_view file) {
  const auto found = json.find("threads");
  const bool number = found != json.end() && found->is_number_integer();
  const auto value = number ? found->get<int64_t>() : -1;
  if (value < 0 || value > std::numeric_limits<int>::max())
    user_error("{}: 'threads' is no number of threads; make the file anew by compiling without --lock", file);
  return static_cast<int>(value);
}

}  // namespace

std::string print_lock(const Lock& lock) {
  std::vector<LockEntry> entries = lock.entries;
  std::ranges::sort(entries, {}, &LockEntry::workload);
  entries.erase(std::ranges::unique(entries, {}, &LockEntry::workload).begin(), entries.end());
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["target"] = lock.target;
  json["threads"] = lock.threads;
  json["toolchain"] = lock.toolchain;
  json["kernels"] = nlohmann::ordered_json::array();
  for (const LockEntry& entry : entries)
    json["kernels"].push_back({{"workload_hash", content_hash(entry.workload)},
                               {"workload", entry.workload},
                               {"schedule", entry.schedule},
                               {"trial", entry.trial},
                               {"rung", entry.rung}});
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Lock parse_lock(std::string_view text, std::string_view file) {
  if (text.size() > kMaxBytes) user_error("{}: larger than {} MiB, so no lock file", file, kMaxBytes >> 20);
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("kernels") || !json["kernels"].is_array())
    user_error("{}: not a lock file; pass the model.lock that `opencompiler compile` wrote", file);
  if (!json.contains("version") || !json["version"].is_number_integer() || json["version"] != kVersion)
    user_error("{}: a lock file of another version; this one reads version {}", file, kVersion);
  Lock lock;
  lock.target = field(json, "target", file);
  lock.toolchain = field(json, "toolchain", file);
  lock.threads = threads(json, file);
  std::set<std::string> workloads;
  for (const auto& row : json["kernels"]) {
    if (!row.is_object()) user_error("{}: 'kernels' holds something that is no kernel", file);
    LockEntry entry{field(row, "workload", file), field(row, "schedule", file), field(row, "trial", file),
                    field(row, "rung", file)};
    if (field(row, "workload_hash", file) != content_hash(entry.workload))
      user_error(
          "{}: a workload does not match its hash; the file was edited, make it anew by compiling without --lock",
          file);
    if (!workloads.insert(entry.workload).second)
      user_error("{}: a workload stands twice; the file was edited, make it anew by compiling without --lock", file);
    lock.entries.push_back(std::move(entry));
  }
  return lock;
}

const LockEntry* find_entry(const Lock& lock, std::string_view workload) {
  const auto found = std::ranges::find(lock.entries, workload, &LockEntry::workload);
  return found == lock.entries.end() ? nullptr : &*found;
}

}  // namespace oc
