// Rows as one kind of value, their JSON lines, and the limits every row must keep wherever it comes from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "tuning_db/records.h"

namespace oc {

inline constexpr size_t kMaxLineBytes = 1 << 20;
inline constexpr size_t kMaxWorkloadBytes = 256 << 10;
inline constexpr size_t kMaxScheduleBytes = 64 << 10;
inline constexpr size_t kMaxFeaturesBytes = 4 << 10;
inline constexpr size_t kMaxDescriptionBytes = 16 << 10;
inline constexpr size_t kMaxMessageBytes = 4 << 10;
inline constexpr size_t kMaxNameBytes = 256;  // ids, hashes, families, versions, authors, runs
inline constexpr size_t kMaxSamples = 4096;
inline constexpr int64_t kMaxSampleNs = 1'000'000'000'000'000;  // 11 days
inline constexpr int64_t kMaxUnixMs = 253'402'300'799'999;      // the end of the year 9999
inline constexpr int kMaxThreads = 4096;

using Row = std::variant<WorkloadRow, MachineRow, BuildRow, CalibrationRow, Trial, Mark>;

// Why the row cannot be taken, or "". Text is UTF-8 without control characters other than newline and tab.
[[nodiscard]] std::string row_fault(const Row& row);
// The same of one text, which `name` calls.
[[nodiscard]] std::string text_fault(std::string_view text, size_t max_bytes, std::string_view name);

// The trial with its message cut to kMaxMessageBytes and made valid text, and NaN as its error made infinity.
[[nodiscard]] Trial cleaned(Trial trial);

// One line without the newline: an object with "kind", "id" and the row; empty texts are left out. A trial names its
// workload by hash. Samples of a trial in the form the database keeps them in.
[[nodiscard]] std::string row_line(const Row& row);
[[nodiscard]] std::string samples_text(const std::vector<int64_t>& samples);
// Empty if malformed.
[[nodiscard]] std::vector<int64_t> parse_samples(std::string_view text);

struct ParsedLine {
  std::string fault;  // why the line is not a row; the rest is meaningless then
  Row row;
  std::string workload_hash;  // of a trial, whose `workload` is empty
  std::string id;
};
// Hostile input: kinds, fields, types, limits and the id are checked. `line` is at most kMaxLineBytes.
[[nodiscard]] ParsedLine parse_line(std::string_view line);

// "3f9a…": 32 lower-case hex digits.
[[nodiscard]] bool is_hash(std::string_view text);

}  // namespace oc
