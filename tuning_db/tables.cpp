// Rows into tables and out again.
#include <limits>

#include "base/hash.h"
#include "tuning_db/state.h"

namespace oc {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Where a text found by hash lies; texts are compared because anybody can make two with one hash.
std::optional<int64_t> find_text(Connection& db, std::string_view sql, std::string_view text) {
  Query found = db.query(sql, content_hash(text), text);
  if (!found.step()) return std::nullopt;
  return found.integer(0);
}

int64_t last_key(Connection& db) {
  return sqlite3_last_insert_rowid(db.handle());
}

constexpr std::string_view kFindWorkload = "SELECT key FROM workload WHERE hash = ?1 AND text = ?2";
constexpr std::string_view kFindSchedule = "SELECT key FROM schedule WHERE hash = ?1 AND text = ?2";

bool insert(Connection& db, const WorkloadRow& row, const std::string& id) {
  const std::optional<int64_t> known = find_text(db, kFindWorkload, row.text);
  if (known)
    db.query("UPDATE workload SET family = ?2 WHERE key = ?1 AND family < ?2", *known, row.family).run();
  else
    db.query("INSERT INTO workload(hash, text, family) VALUES(?1, ?2, ?3)", id, row.text, row.family).run();
  return db.changes() > 0;
}

bool insert(Connection& db, const MachineRow& row, const std::string&) {
  MachineRow known{row.hash, {}};
  {
    Query found = db.query("SELECT description FROM machine WHERE hash = ?1", row.hash);
    if (!found.step()) {
      db.query("INSERT INTO machine(hash, description) VALUES(?1, ?2)", row.hash, row.description).run();
      return true;
    }
    known.description = found.text(0);
  }
  // A file may hold what is no description, however late in byte order.
  if (row.description <= known.description && row_fault(known).empty()) return false;
  db.query("UPDATE machine SET description = ?2 WHERE hash = ?1", row.hash, row.description).run();
  return true;
}

bool insert(Connection& db, const BuildRow& row, const std::string& id) {
  db.query("INSERT OR IGNORE INTO build(id, toolchain, version, space_hash) VALUES(?1, ?2, ?3, ?4)", id, row.toolchain,
           row.version, row.space_hash)
      .run();
  return db.changes() > 0;
}

bool insert(Connection& db, const CalibrationRow& row, const std::string& id) {
  db.query(
        "INSERT OR IGNORE INTO calibration(id, machine, run, peak_gflops, bandwidth_gbs, threads, unix_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        id, row.machine, row.run, row.peak_gflops, row.bandwidth_gbs, row.threads, row.unix_ms)
      .run();
  return db.changes() > 0;
}

int64_t intern_workload(Connection& db, const std::string& text) {
  if (const auto known = find_text(db, kFindWorkload, text)) return *known;
  db.query("INSERT INTO workload(hash, text, family) VALUES(?1, ?2, '')", content_hash(text), text).run();
  return last_key(db);
}

int64_t intern_schedule(Connection& db, const std::string& text) {
  if (const auto known = find_text(db, kFindSchedule, text)) return *known;
  db.query("INSERT INTO schedule(hash, text) VALUES(?1, ?2)", content_hash(text), text).run();
  return last_key(db);
}

int64_t intern_name(Connection& db, std::string_view find, std::string_view insert_sql, const std::string& name) {
  {
    Query known = db.query(find, name);
    if (known.step()) return known.integer(0);
  }
  db.query(insert_sql, name).run();
  return last_key(db);
}

bool insert(Connection& db, const Trial& trial, const std::string& id) {
  if (db.query("SELECT 1 FROM trial WHERE id = ?1", id).step()) return false;
  const int64_t workload = intern_workload(db, trial.workload);
  const int64_t schedule = intern_schedule(db, trial.schedule);
  const int64_t machine = intern_name(db, "SELECT key FROM machine WHERE hash = ?1",
                                      "INSERT INTO machine(hash, description) VALUES(?1, '')", trial.machine);
  const int64_t target = intern_name(db, "SELECT key FROM target WHERE features = ?1",
                                     "INSERT INTO target(features) VALUES(?1)", trial.features);
  const int64_t median = trial.samples_ns.empty() ? 0 : median_ns(trial.samples_ns);
  db.query(
        "INSERT INTO trial(id, workload, schedule, machine, target, threads, build, status, median_ns, samples, "
        "message, relative_error, unix_ms, author, run) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        id, workload, schedule, machine, target, trial.threads, trial.build, status_name(trial.status), median,
        samples_text(trial.samples_ns), trial.message, trial.relative_error, trial.unix_ms, trial.author, trial.run)
      .run();
  return true;
}

bool insert(Connection& db, const Mark& mark, const std::string& id) {
  db.query("INSERT OR IGNORE INTO mark(id, kind, trial, unix_ms, note) VALUES(?1, ?2, ?3, ?4, ?5)", id,
           mark_name(mark.kind), mark.trial, mark.unix_ms, mark.note)
      .run();
  return db.changes() > 0;
}

int read_threads(const Query& q, int column) {
  const int64_t threads = q.integer(column);
  return threads >= 1 && threads <= kMaxThreads ? static_cast<int>(threads) : 0;  // 0 breaks the limits
}

StoredRow read_trial(const Query& q) {
  Trial trial;
  trial.workload = q.text(2);
  trial.schedule = q.text(3);
  trial.machine = q.text(4);
  trial.features = q.text(5);
  trial.threads = read_threads(q, 6);
  trial.build = q.text(7);
  const std::optional<TrialStatus> status = parse_status(q.text(8));
  trial.status = status.value_or(TrialStatus::invalid);
  trial.samples_ns = parse_samples(q.text(10));
  trial.message = q.text(11);
  trial.relative_error = q.real(12);
  trial.unix_ms = q.integer(13);
  trial.author = q.text(14);
  trial.run = q.text(15);
  // A status of a later version has no place in a Trial; without its id the row is not trusted.
  return {.key = q.integer(0), .id = status ? q.text(1) : "", .row = std::move(trial), .median_ns = q.integer(9)};
}

StoredRow read_mark(const Query& q) {
  const std::optional<MarkKind> kind = parse_mark(q.text(2));
  return {.key = q.integer(0),
          .id = kind ? q.text(1) : "",
          .row = Mark{
              .kind = kind.value_or(MarkKind::clear), .trial = q.text(3), .unix_ms = q.integer(4), .note = q.text(5)}};
}

}  // namespace

bool insert_row(Connection& db, const Row& row, const std::string& id) {
  return std::visit([&](const auto& r) { return insert(db, r, id); }, row);
}

void skip_row(ImportReport& report, const std::string& where, const std::string& reason) {
  constexpr size_t kMaxExamples = 20;
  ++report.skipped;
  ++report.reasons[reason];
  if (report.examples.size() < kMaxExamples) report.examples.push_back(where + ": " + reason);
}

std::string stored_fault(const StoredRow& stored) {
  if (std::string fault = row_fault(stored.row); !fault.empty()) return fault;
  const bool id_is_right = std::visit(
      [&](const auto& row) {
        if constexpr (std::is_same_v<decltype(row), const MachineRow&>)
          return true;  // row_fault has compared it with the description
        else
          return row_id(row) == stored.id;
      },
      stored.row);
  if (!id_is_right) return "the id does not match the content";
  if (const auto* trial = std::get_if<Trial>(&stored.row)) {
    const int64_t median = trial->samples_ns.empty() ? 0 : median_ns(trial->samples_ns);
    if (median != stored.median_ns) return "the median does not match the samples";
  }
  return {};
}

std::string time_fault(const Row& row) {
  constexpr int64_t kDayMs = 24 * 3600 * 1000;
  const auto* mark = std::get_if<Mark>(&row);
  return mark != nullptr && mark->unix_ms > unix_ms_now() + kDayMs ? "the mark is from the future" : "";
}

std::vector<StoredRow> marks_on(Database::State& state, std::string_view trial) {
  static const std::string kSql = select_rows(Table::mark) + " WHERE trial = ?1 ORDER BY unix_ms, id";
  std::vector<StoredRow> out;
  Query marks = state.db.query(kSql, trial);
  while (marks.step()) {
    StoredRow stored = read_row(Table::mark, marks);
    const bool timely = state.origin == Origin::own || time_fault(stored.row).empty();
    if (timely && stored_fault(stored).empty()) out.push_back(std::move(stored));
  }
  return out;
}

std::string_view table_name(Table table) {
  switch (table) {
    case Table::workload: return "workload";
    case Table::machine: return "machine";
    case Table::build: return "build";
    case Table::calibration: return "calibration";
    case Table::trial: return "trial";
    case Table::mark: return "mark";
  }
  internal_error("no such table");
}

std::string select_rows(Table table) {
  switch (table) {
    case Table::workload: return "SELECT workload.key, hash, text, family FROM workload";
    case Table::machine: return "SELECT machine.key, hash, hash, description FROM machine";
    case Table::build: return "SELECT build.key, id, toolchain, version, space_hash FROM build";
    case Table::calibration:
      return "SELECT calibration.key, id, machine, run, peak_gflops, bandwidth_gbs, threads, unix_ms FROM calibration";
    case Table::trial:
      return "SELECT trial.key, trial.id, workload.text, schedule.text, machine.hash, target.features, threads, build, "
             "status, median_ns, samples, message, relative_error, unix_ms, author, run FROM trial "
             "JOIN workload ON workload.key = trial.workload JOIN schedule ON schedule.key = trial.schedule "
             "JOIN machine ON machine.key = trial.machine JOIN target ON target.key = trial.target";
    case Table::mark: return "SELECT mark.key, id, kind, trial, unix_ms, note FROM mark";
  }
  internal_error("no such table");
}

StoredRow read_row(Table table, const Query& q) {
  switch (table) {
    case Table::workload:
      return {.key = q.integer(0), .id = q.text(1), .row = WorkloadRow{.text = q.text(2), .family = q.text(3)}};
    case Table::machine:
      return {.key = q.integer(0), .id = q.text(1), .row = MachineRow{.hash = q.text(2), .description = q.text(3)}};
    case Table::build:
      return {.key = q.integer(0),
              .id = q.text(1),
              .row = BuildRow{.toolchain = q.text(2), .version = q.text(3), .space_hash = q.text(4)}};
    case Table::calibration:
      return {.key = q.integer(0),
              .id = q.text(1),
              .row = CalibrationRow{.machine = q.text(2),
                                    .run = q.text(3),
                                    .peak_gflops = q.real(4),
                                    .bandwidth_gbs = q.real(5),
                                    .threads = read_threads(q, 6),
                                    .unix_ms = q.integer(7)}};
    case Table::trial: return read_trial(q);
    case Table::mark: return read_mark(q);
  }
  internal_error("no such table");
}

std::optional<int64_t> local_workload(Connection& db, std::string_view text) {
  return find_text(db, kFindWorkload, text);
}

std::optional<int64_t> local_schedule(Connection& db, std::string_view text) {
  return find_text(db, kFindSchedule, text);
}

std::optional<LocalKey> local_key(Connection& db, const Key& key) {
  const std::optional<int64_t> workload = local_workload(db, key.workload);
  if (!workload) return std::nullopt;
  Query others = db.query("SELECT machine.key, target.key FROM machine, target WHERE hash = ?1 AND features = ?2",
                          key.machine, key.features);
  if (!others.step()) return std::nullopt;
  return LocalKey{*workload, others.integer(0), others.integer(1)};
}

}  // namespace oc
