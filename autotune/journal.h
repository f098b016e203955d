// What the tuning loop asks of the databases and tells the user's, for one target, thread count and machine.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "autotune/measurer.h"
#include "base/target.h"
#include "dsl/kernel.h"
#include "tuning_db/layers.h"

namespace oc {

// Schedules here fit the kernel and are settled.
struct KnownTrial {
  Schedule schedule;
  std::optional<double> nanoseconds;  // nullopt: it failed, or somebody quarantined it
  std::string id;
  bool confirmed = false;
  bool ours = false;  // it is in the user's database
};

// Of the trials with this build that are in the user's database: a time in another one may be that of a faster host, or
// a lie.
struct Standing {
  // The one that compile would take if no others were there, nor pins. Marks of all databases count.
  std::optional<KnownTrial> incumbent;
  // The fastest, when it looks better than the incumbent by more than chance: the run that measured it ended before the
  // confirming duel, or a mark of others lifted the incumbent.
  std::optional<KnownTrial> challenger;
};

struct History {
  // With this build on such a machine, not to be repeated: ours, and what failed for others. Each schedule once.
  std::vector<KnownTrial> trials;
  Standing standing;
  // In other databases alone: what ranks before the incumbent, and what looks faster than all. To be timed before what
  // is on record can be relied on.
  std::vector<Schedule> rivals;
  // Of other builds, thread counts, machines and databases, best first: worth a trial here.
  std::vector<Schedule> suggestions;
};

// How a trial comes to be the incumbent.
enum class Rise : uint8_t { none, unopposed, won };

class Journal {
 public:
  // UserError when the database cannot be written. `layers`: what compile looks schedules up in, the database first;
  // null: the database alone. All that is read is read there; what is written goes to the database.
  Journal(Database& database, const Layers* layers, const Target& target, int threads, std::string author);
  [[nodiscard]] History history(const Kernel& kernel) const;
  // As of now: other tuners may write, too.
  [[nodiscard]] Standing standing(const Kernel& kernel) const;
  [[nodiscard]] const std::string& machine() const { return machine_; }
  void record(const Calibration& calibration);
  // The trial in one transaction; then, if it is the new incumbent, its confirmation.
  void commit(const Kernel& kernel, const Schedule& schedule, const Measurement& measurement, Rise rise);
  // Rise::none: nothing. The mark is later than all that speak against it, whichever database they are in.
  void confirm(const std::string& trial, Rise rise);

 private:
  [[nodiscard]] Key key_of(const std::string& workload) const;
  [[nodiscard]] std::vector<KnownTrial> known_trials(const Kernel& kernel) const;
  Database& database_;
  const Layers* layers_;
  Target target_;
  std::string machine_, build_, author_, run_;
  int threads_;
  std::set<std::string> added_;  // workloads, by text
};

}  // namespace oc
