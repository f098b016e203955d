// The tuning loop: spends a budget over the workloads of a model where it saves most, and keeps every trial.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autotune/cost_models/cost_model.h"
#include "autotune/measurer.h"
#include "base/target.h"
#include "dsl/kernel.h"
#include "tuning_db/layers.h"

namespace oc {

struct TuneTask {
  Kernel kernel;
  double weight = 1;  // how often the model runs it
  std::string name;   // for people
  // What compile would take now, if the caller knows: timed first, so that nothing slower takes its place.
  std::optional<Schedule> start = {};
};

using Seconds = std::chrono::duration<double>;

struct TuneOptions {
  std::optional<Seconds> time;  // wall clock of the whole run; no limit when absent
  // Recorded ones, over all workloads; no limit when absent. Candidates whose code equals an earlier one's are none.
  std::optional<int64_t> trials;
  uint64_t seed = 0;
  // Candidates prepared ahead: with one thread while another is timed, with several in batches before their timing.
  int jobs = 1;
  std::string author;  // recorded with each trial; may be empty
  std::string strategy = "evolution";
  // Guides the search and learns from its trials; null: none. See pretrain() in cost_models/experience.h.
  CostModel* cost_model = nullptr;
  // What compile looks schedules up in, the tuned database first: marks and failures of all count, what others timed is
  // tried here before it counts, winners first. null: that database alone.
  const Layers* layers = nullptr;
  std::function<bool()> stop;  // asked between trials; true ends the run (see InterruptGuard in interrupt.h)
  // Seconds since any fixed moment, never backwards; the steady clock when empty.
  std::function<Seconds()> clock;
};

enum class TaskState : uint8_t {
  waiting,  // not measured yet
  searching,
  near_limit,    // the best is within a few percent of what the machine can do
  exhausted,     // every schedule of the space was tried
  unmeasurable,  // its reference cannot be made, or candidate after candidate fails
};
[[nodiscard]] std::string_view task_state_name(TaskState state);

struct TaskProgress {
  std::string name;
  double weight = 1;
  TaskState state = TaskState::waiting;
  int64_t trials = 0;              // of this run
  int64_t known = 0;               // trials the database held before
  int64_t failed = 0;              // of this run
  std::optional<double> first_ns;  // the default schedule's time, or what the database held
  std::optional<double> best_ns;   // the incumbent's
  std::optional<Schedule> best;
  double limit_ns = 0;  // estimate from the calibration
  std::string message;  // of the last failure

  // limit / best, at most 1; 0 when nothing ran yet.
  [[nodiscard]] double share_of_limit() const;
};

enum class TuneEnd : uint8_t { running, time, trials, finished, stopped };

struct TuneProgress {
  std::vector<TaskProgress> tasks;  // in the order given
  size_t current = 0;               // the task of the last trial
  int64_t trials = 0;
  Seconds elapsed{0};
  std::optional<Seconds> eta;  // until the budget is spent; none when there is no budget
  TuneEnd end = TuneEnd::running;
  Calibration calibration;

  // Σ weight × best (or first) over the tasks that have a time: the model's kernel time so far, and at the start.
  [[nodiscard]] double total_best_ns() const;
  [[nodiscard]] double total_first_ns() const;
};
using TuneReport = TuneProgress;

// Tunes the tasks for `threads` threads on this machine. Every trial is committed right after its measurement;
// schedules it holds for (workload, machine, target, threads, build) are not measured again, nor those that
// failed in any database. UserError when the database is read-only, the task list is empty, or the measurer throws it:
// the machine cannot build or time anything, say. Call it from a single-threaded process.
TuneReport tune(std::span<const TuneTask> tasks, const Target& target, int threads, Database& database,
                Measurer& measurer, const TuneOptions& options = {},
                const std::function<void(const TuneProgress&)>& progress = {});

}  // namespace oc
