// A table of times: every schedule of a cut space of one workload, each timed on one machine (exhaust.cpp). Search
// strategies and cost models are tried on such tables, without clock and compiler, whatever has become of spaces since.
//
// The text: a header in JSON, a row per schedule (values of the knobs, then nanoseconds or what failed, separated by
// tabs), and a trailer in JSON. Without the trailer it is a table in the making.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"
#include "tuning_db/records.h"

namespace oc::testing {

using Values = std::vector<int64_t>;  // of the knobs, in the table's order

struct TableRow {
  Values values;
  TrialStatus status = TrialStatus::ok;
  int64_t nanoseconds = 0;  // 0 unless ok

  bool operator==(const TableRow&) const = default;
};

// Of the fastest rows: timed in turns with the default, which a lucky sample does not survive.
struct Retimed {
  Values values;
  double of_default = 0;  // median of the rounds' ratios
  int64_t rounds = 0;

  bool operator==(const Retimed&) const = default;
};

struct Table {
  std::string workload, target, machine, toolchain, date;
  int64_t l1 = 0, l2 = 0, l3 = 0;  // bytes of the machine's caches, of which the target's name says nothing
  int threads = 1;
  Family family = Family::elementwise;
  int version = 1;
  KnobValues fixed;            // arguments with one value in the whole table
  std::vector<Knob> knobs;     // the others
  std::vector<Values> starts;  // the formula's schedule, then those of the family's other algorithms
  int64_t default_ns = 0;      // of the formula's schedule; other rows are scaled to the moment it was taken
  std::vector<TableRow> rows;
  std::vector<Retimed> retimed;  // fastest first; empty: not complete

  [[nodiscard]] Schedule schedule(const Values& values) const;
  [[nodiscard]] Values values_of(const Schedule& schedule) const;
  [[nodiscard]] Target built_for() const;
};

[[nodiscard]] std::string print_header(const Table& table);  // one line
[[nodiscard]] std::string print_row(const TableRow& row);    // one line
[[nodiscard]] std::string print_table(const Table& table);   // rows sorted; the trailer if it is complete
// UserError naming the file and line. A last line without its newline is left out: the program that wrote it was ended.
[[nodiscard]] Table read_table(const std::filesystem::path& path);

// The space a table covers, rebuilt from it: legal is what it holds. What it does not hold is settled as `kernel` (of
// the table's workload, on its target) has it today.
[[nodiscard]] Space table_space(const Table& table, const Kernel& kernel, const Target& target);

}  // namespace oc::testing
