// The tuner's one real effect: building and timing kernels. tune() speaks to this interface alone; tests give it a
// table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autotune/stats.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"
#include "tuning_db/records.h"

namespace oc {

struct Measurement {
  TrialStatus status = TrialStatus::ok;
  std::vector<int64_t> samples_ns = {};  // of one call each; empty unless ok
  double error = 0;                      // err() against the reference, when it ran
  std::string message = {};              // when not ok: what went wrong
  bool repeated = false;  // the object code equals that of an earlier candidate, whose measurement this is
  bool hopeless = false;  // the workload cannot be measured at all (no reference): says nothing about the schedule

  [[nodiscard]] bool ok() const { return status == TrialStatus::ok && !samples_ns.empty(); }
  [[nodiscard]] double nanoseconds() const { return median(samples_ns); }
};

// What this machine can do at best with the target's instructions and the given threads.
struct Calibration {
  double flops = 0;             // f32 multiply-adds, counted as two operations, per second
  double bandwidth = 0;         // bytes read from memory per second
  double cached_bandwidth = 0;  // bytes read from the second-level cache per second
};

// All of it throws UserError when the machine cannot build and time kernels at all: no room for temporary files, say.
class Measurer {
 public:
  virtual ~Measurer() = default;

  [[nodiscard]] virtual Calibration calibrate() = 0;

  // A hint: this will be measured soon, its build may start while others are timed.
  virtual void prepare(const Kernel& kernel, const Schedule& schedule) = 0;

  // Builds, checks against the reference and times one candidate. Stops early when it is slower than `hopeless_ns`.
  [[nodiscard]] virtual Measurement measure(const Kernel& kernel, const Schedule& schedule,
                                            std::optional<double> hopeless_ns) = 0;

  // Candidate and incumbent timed in turns in one process, neither checked for what it computes: that each measured ok,
  // here or in another process, is on record. nullopt: one of them failed.
  [[nodiscard]] virtual std::optional<Duel> duel(const Kernel& kernel, const Schedule& candidate,
                                                 const Schedule& incumbent) = 0;
};

}  // namespace oc
