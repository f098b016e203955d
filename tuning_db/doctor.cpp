// What a database holds and whether it is sound.
#include "tuning_db/state.h"

namespace oc {
namespace {

using sqlite::Connection;
using sqlite::Query;

constexpr size_t kMaxProblems = 50;

void check_rows(Connection& db, std::vector<std::string>& problems) {
  for (const Table table : kTables) {
    Query query = db.query(select_rows(table));
    while (query.step() && problems.size() < kMaxProblems) {
      const StoredRow stored = read_row(table, query);
      if (const std::string fault = stored_fault(stored); !fault.empty())
        problems.push_back(fmt::format("{} {}: {}; look-ups pass it over", table_name(table), stored.key, fault));
    }
  }
}

void check_references(Connection& db, std::vector<std::string>& problems) {
  Query dangling = db.query("PRAGMA foreign_key_check");
  while (dangling.step() && problems.size() < kMaxProblems)
    problems.push_back(
        fmt::format("{} {}: refers to a missing {}", dangling.text(0), dangling.integer(1), dangling.text(2)));
}

}  // namespace

DatabaseStats Database::stats() const {
  Connection& db = state_->db;
  DatabaseStats stats;
  stats.workloads = db.value("SELECT count(*) FROM workload");
  stats.machines = db.value("SELECT count(*) FROM machine");
  stats.builds = db.value("SELECT count(*) FROM build");
  stats.calibrations = db.value("SELECT count(*) FROM calibration");
  stats.schedules = db.value("SELECT count(*) FROM schedule");
  stats.trials = db.value("SELECT count(*) FROM trial");
  stats.marks = db.value("SELECT count(*) FROM mark");
  stats.file_bytes = db.value("PRAGMA page_count") * db.value("PRAGMA page_size");
  stats.schema_version = static_cast<int>(db.value("PRAGMA user_version"));
  Query statuses = db.query("SELECT status, count(*) FROM trial GROUP BY status");
  while (statuses.step()) stats.trials_by_status[statuses.text(0)] = statuses.integer(1);
  return stats;
}

std::vector<std::string> Database::integrity_check() const {
  return run_check(state_->db, "PRAGMA integrity_check(20)");
}

DoctorReport Database::doctor() const {
  Connection& db = state_->db;
  DoctorReport report;
  const DatabaseStats counts = stats();
  report.facts.push_back("file: " + name());
  report.facts.push_back(fmt::format("schema version {}, SQLite {}", counts.schema_version, sqlite3_libversion()));
  report.facts.push_back(writable() ? "writable" : "read-only: " + read_only_reason());
  report.facts.push_back(fmt::format("{} trials of {} workloads on {} machines, {} marks, {} bytes", counts.trials,
                                     counts.workloads, counts.machines, counts.marks, counts.file_bytes));
  report.facts.push_back(fmt::format("{} marks are on trials of other databases",
                                     db.value("SELECT count(*) FROM mark WHERE trial NOT IN (SELECT id FROM trial)")));
  report.problems = integrity_check();
  if (!report.problems.empty()) return report;  // a damaged file says nothing reliable about its rows
  Query journal = db.query("PRAGMA journal_mode");
  if (journal.step() && journal.text(0) == "wal")
    report.problems.emplace_back("its journal mode is WAL, which can corrupt it; open it once for writing");
  check_references(db, report.problems);
  check_rows(db, report.problems);
  return report;
}

}  // namespace oc
