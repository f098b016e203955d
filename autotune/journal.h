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
};

struct History {
  std::vector<KnownTrial> trials;  // measured on such a machine with this build: not to be repeated; each schedule once
  // The one of them that compile would take if those of other builds were not there, nor pins.
  std::optional<KnownTrial> incumbent;
  // The fastest of them, when it looks better than the incumbent by more than chance: it came from another database, or
  // the run that measured it ended before the confirming duel.
  std::optional<KnownTrial> challenger;
  // Of other builds, thread counts and machines, best first: worth a trial here.
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
  // History::incumbent as of now: other tuners may write, too.
  [[nodiscard]] std::optional<KnownTrial> incumbent(const Kernel& kernel) const;
  [[nodiscard]] const std::string& machine() const { return machine_; }
  void record(const Calibration& calibration);
  // The trial in one transaction; then, if it is the new incumbent, its confirmation.
  void commit(const Kernel& kernel, const Schedule& schedule, const Measurement& measurement, Rise rise);
  // Rise::none: nothing.
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
