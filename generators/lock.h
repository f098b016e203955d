// model.lock: which schedule every kernel of a library was built with. Compiling again with it gives the same bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oc {

struct LockEntry {
  std::string workload;  // text
  std::string schedule;  // text
  std::string trial;     // id in the tuning database, or "default"
  std::string rung;      // how it was found: compiler/pick.h
  bool operator==(const LockEntry&) const = default;
};

struct Lock {
  std::string target;  // Target::name()
  int threads = 0;
  std::string toolchain;  // toolchain_id()
  std::vector<LockEntry> entries;
  bool operator==(const Lock&) const = default;
};

// JSON, entries sorted by workload, each workload once.
[[nodiscard]] std::string print_lock(const Lock& lock);
// UserError beginning with `file` when the text is no lock, of a later version, over 64 MiB, or when a workload stands
// twice or does not match its hash. Schedules are checked when they are used: parse_schedule.
[[nodiscard]] Lock parse_lock(std::string_view text, std::string_view file);
// Null when the workload is not in it.
[[nodiscard]] const LockEntry* find_entry(const Lock& lock, std::string_view workload);

}  // namespace oc
