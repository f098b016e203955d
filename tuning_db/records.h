// What the tuning database holds: plain immutable rows, each with an id that is the hash of its content. Workloads,
// schedules and target features are opaque text here. Two databases merge by uniting their rows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oc {

enum class TrialStatus : uint8_t {
  ok,
  invalid,
  compile_timeout,
  compile_error,
  crash,
  run_timeout,
  wrong_result,
  out_of_memory
};
[[nodiscard]] std::string_view status_name(TrialStatus status);
[[nodiscard]] std::optional<TrialStatus> parse_status(std::string_view name);

struct WorkloadRow {
  std::string text;
  std::string family;  // for listing; may be empty. Where two rows disagree, the text later in byte order is kept

  bool operator==(const WorkloadRow&) const = default;
};

struct MachineRow {
  std::string hash;         // Machine::hash()
  std::string description;  // describe() in machine.h, or another that hashes to `hash`; disagreement as for `family`

  bool operator==(const MachineRow&) const = default;
};

struct BuildRow {
  std::string toolchain;   // Halide and LLVM
  std::string version;     // ours
  std::string space_hash;  // of the spaces schedules were drawn from

  bool operator==(const BuildRow&) const = default;
};

// What a tuning run measured its machine to be capable of. Kept and exchanged for people who wonder why trials of two
// days or hosts differ; nothing here reads it.
struct CalibrationRow {
  std::string machine;  // MachineRow::hash
  std::string run;      // Trial::run
  double peak_gflops = 0;
  double bandwidth_gbs = 0;  // of memory, GB/s
  int threads = 1;
  int64_t unix_ms = 0;

  bool operator==(const CalibrationRow&) const = default;
};

// One measurement of one schedule.
struct Trial {
  std::string workload;  // full text
  std::string schedule;  // full text
  std::string machine;   // MachineRow::hash
  std::string features;  // of the target the code was built for: Target::name()
  int threads = 1;
  std::string build;  // row_id(BuildRow)
  TrialStatus status = TrialStatus::ok;
  std::vector<int64_t> samples_ns;  // of one call each, > 0; at least one if ok
  std::string message;              // why it is not ok
  double relative_error = 0;        // against the reference; infinity if there is no finite one
  int64_t unix_ms = 0;              // when it was measured
  std::string author;               // may be empty
  std::string run;                  // the tuning run it belongs to (CalibrationRow::run); may be empty

  bool operator==(const Trial&) const = default;
};

// What holds after the fact. Of pin, quarantine and clear the latest mark of a trial wins, by (time, id).
enum class MarkKind : uint8_t {
  pin,         // a person wants this one
  quarantine,  // never use it
  confirm,     // it won the interleaved confirming run against the incumbent, unless the note is kWithoutDuel
  clear        // neither pinned nor quarantined any more
};
// The note of a confirm mark on what became the incumbent because nothing was there to run against: it has had its day,
// which is more than others can say, but it has beaten nobody.
inline constexpr std::string_view kWithoutDuel = "without a duel";
[[nodiscard]] std::string_view mark_name(MarkKind kind);
[[nodiscard]] std::optional<MarkKind> parse_mark(std::string_view name);

struct Mark {
  MarkKind kind = MarkKind::confirm;
  std::string trial;  // row_id(Trial)
  int64_t unix_ms = 0;
  std::string note;  // may be empty

  bool operator==(const Mark&) const = default;
};

// What a schedule must match to be an exact hit.
struct Key {
  std::string workload;  // full text
  std::string machine;   // MachineRow::hash
  std::string features;  // Target::name()
  int threads = 1;

  bool operator==(const Key&) const = default;
};

// Ids: hash of the canonical JSON of the row (of the text, for a workload). They find rows; they do not prove origin.
[[nodiscard]] std::string row_id(const WorkloadRow& row);
[[nodiscard]] std::string row_id(const BuildRow& row);
[[nodiscard]] std::string row_id(const CalibrationRow& row);
[[nodiscard]] std::string row_id(const Trial& trial);
[[nodiscard]] std::string row_id(const Mark& mark);

// The middle sample, of an even number the mean of the middle two rounded down. Needs at least one sample.
[[nodiscard]] int64_t median_ns(std::span<const int64_t> samples);
[[nodiscard]] int64_t unix_ms_now();

}  // namespace oc
