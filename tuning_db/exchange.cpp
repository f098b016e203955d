// Export, import, merge, publish.
#include <unistd.h>

#include <algorithm>
#include <istream>
#include <set>

#include "base/hash.h"
#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using sqlite::Connection;
using sqlite::Query;
using sqlite::Transaction;

constexpr size_t kBatchRows = 1000;
constexpr size_t kBatchBytes = 8 << 20;
// Trials that wait for the line of their workload; in an exported file none do.
constexpr size_t kMaxWaitingBytes = 256 << 20;

// The order of lines in an export.
std::string_view line_order(Table table) {
  switch (table) {
    case Table::workload: return " ORDER BY hash, text";
    case Table::machine: return " WHERE description != '' ORDER BY hash";  // the rest is made from the trials again
    case Table::build: return " ORDER BY id";
    case Table::calibration: return " ORDER BY machine, unix_ms, id";
    case Table::trial: return " ORDER BY workload.hash, machine.hash, target.features, threads, unix_ms, trial.id";
    case Table::mark: return " ORDER BY trial, unix_ms, id";
  }
  internal_error("no such table");
}

// What an export of the best trials is made of.
struct Chosen {
  std::set<std::string> trials, workloads, machines, builds, runs;

  void add(const Trial& trial, const std::string& id) {
    trials.insert(id);
    workloads.insert(trial.workload);
    machines.insert(trial.machine);
    builds.insert(trial.build);
    runs.insert(trial.machine + "\n" + trial.run);
  }
  [[nodiscard]] bool has(const StoredRow& stored) const {
    struct Visitor {
      const Chosen& chosen;
      const std::string& id;
      bool operator()(const WorkloadRow& row) const { return chosen.workloads.contains(row.text); }
      bool operator()(const MachineRow& row) const { return chosen.machines.contains(row.hash); }
      bool operator()(const BuildRow&) const { return chosen.builds.contains(id); }
      bool operator()(const CalibrationRow& row) const { return chosen.runs.contains(row.machine + "\n" + row.run); }
      bool operator()(const Trial&) const { return chosen.trials.contains(id); }
      bool operator()(const Mark& mark) const { return chosen.trials.contains(mark.trial); }
    };
    return std::visit(Visitor{*this, stored.id}, stored.row);
  }
};

// Those of the winner's key and build, if none of them speaks against the schedule: the winner stays the best.
std::vector<Record> of_baseline(std::vector<Record> records, const Trial& winner) {
  std::erase_if(records, [&](const Record& record) {
    const Trial& trial = record.trial;
    return trial.machine != winner.machine || trial.features != winner.features || trial.threads != winner.threads ||
           trial.build != winner.build;
  });
  const bool sound = std::ranges::all_of(
      records, [](const Record& record) { return record.trial.status == TrialStatus::ok && !record.quarantined; });
  return sound ? std::move(records) : std::vector<Record>();
}

struct NumberedLine {
  int64_t number = 0;
  ParsedLine parsed;
  size_t bytes = 0;
};

// Lines of bounded length from a stream.
class LineReader {
 public:
  explicit LineReader(std::istream& stream) : stream_(stream) {}

  enum class Line : uint8_t { none, whole, too_long };
  Line next(std::string& line) {
    line.clear();
    Line result = Line::none;
    for (int c = stream_.rdbuf()->sbumpc(); c != EOF; c = stream_.rdbuf()->sbumpc()) {
      if (c == '\n') return result == Line::none ? Line::whole : result;
      if (line.size() < kMaxLineBytes) {
        line.push_back(static_cast<char>(c));
        result = Line::whole;
      } else {
        result = Line::too_long;
      }
    }
    return result;
  }

 private:
  std::istream& stream_;
};

// Collects lines and writes them in batches, so that the file is locked for moments only.
class Importer {
 public:
  explicit Importer(Connection& db) : db_(db) {}

  ImportReport run(std::istream& stream) {
    LineReader reader(stream);
    std::string line;
    for (int64_t number = 1;; ++number) {
      const LineReader::Line kind = reader.next(line);
      if (kind == LineReader::Line::none) break;
      take(number, kind, line);
      if (batch_.size() >= kBatchRows || batch_bytes_ >= kBatchBytes) write_batch();
    }
    write_batch();
    batch_ = std::move(waiting_);
    waiting_.clear();
    last_chance_ = true;
    write_batch();
    return std::move(report_);
  }

 private:
  void take(int64_t number, LineReader::Line kind, const std::string& line) {
    const auto refuse = [&](const std::string& reason) { skip_row(report_, fmt::format("line {}", number), reason); };
    if (kind == LineReader::Line::too_long) return refuse(fmt::format("over {} bytes", kMaxLineBytes));
    if (line.find_first_not_of(" \t\r") == std::string::npos) return;
    ParsedLine parsed = parse_line(line);
    if (parsed.fault.empty()) parsed.fault = time_fault(parsed.row);
    if (!parsed.fault.empty()) return refuse(parsed.fault);
    batch_bytes_ += line.size();
    batch_.push_back({number, std::move(parsed), line.size()});
  }

  void write_batch() {
    if (batch_.empty()) return;
    Transaction transaction(db_, Transaction::Kind::write);
    for (NumberedLine& line : batch_) insert(line);
    transaction.commit();
    batch_.clear();
    batch_bytes_ = 0;
  }

  void insert(NumberedLine& line) {
    if (auto* trial = std::get_if<Trial>(&line.parsed.row)) {
      Query found = db_.query("SELECT text FROM workload WHERE hash = ?1", line.parsed.workload_hash);
      if (!found.step()) return wait(line);
      trial->workload = found.text(0);
      if (found.step()) return refuse(line, "two workloads share the hash it names");
    }
    ++(insert_row(db_, line.parsed.row, line.parsed.id) ? report_.added : report_.known);
  }

  void wait(NumberedLine& line) {
    if (last_chance_) return refuse(line, "its workload is neither in the file nor in the database");
    waiting_bytes_ += line.bytes;
    if (waiting_bytes_ > kMaxWaitingBytes) return refuse(line, "its workload comes too late in the file");
    waiting_.push_back(std::move(line));
  }

  void refuse(const NumberedLine& line, const std::string& reason) {
    skip_row(report_, fmt::format("line {}", line.number), reason);
  }

  Connection& db_;
  ImportReport report_;
  std::vector<NumberedLine> batch_, waiting_;
  size_t batch_bytes_ = 0, waiting_bytes_ = 0;
  bool last_chance_ = false;
};

// The next rows of a table behind `after`, which moves on. A row over SQLite's size limit counts as skipped.
std::vector<StoredRow> next_rows(Connection& from, Table table, int64_t& after, ImportReport& report) {
  std::vector<StoredRow> rows;
  try {
    Query query = from.query(fmt::format("{} WHERE {}.key > ?1 ORDER BY {}.key LIMIT ?2", select_rows(table),
                                         table_name(table), table_name(table)),
                             after, static_cast<int64_t>(kBatchRows));
    size_t bytes = 0;
    while (bytes < kBatchBytes && query.step()) {
      rows.push_back(read_row(table, query));
      after = rows.back().key;
      if (const auto* trial = std::get_if<Trial>(&rows.back().row))
        bytes += trial->workload.size() + trial->schedule.size();
    }
  } catch (const DatabaseError&) {
    if (sqlite3_errcode(from.handle()) != SQLITE_TOOBIG) throw;
    Query oversized = from.query(fmt::format("SELECT min(key) FROM {} WHERE key > ?1", table_name(table)), after);
    if (!oversized.step() || oversized.integer(0) <= after) throw;
    after = oversized.integer(0);
    skip_row(report, fmt::format("{} {}", table_name(table), after), "over the size limit");
    // An empty answer means the end of the table.
    if (rows.empty()) return next_rows(from, table, after, report);
  }
  return rows;
}

}  // namespace

std::string Database::export_jsonl(ExportScope scope, const Baseline& baseline) const {
  Chosen chosen;
  if (scope == ExportScope::best) {
    State* const own[] = {state_.get()};
    for (const WorkloadRow& workload : workloads())
      for (const Key& key : keys_of(workload.text)) {
        const std::optional<LookupResult> winner = best(key, kAnyBuild);
        if (!winner) continue;
        chosen.add(winner->trial, winner->id);
        const std::string against = baseline ? baseline(key) : "";
        if (against.empty() || against == winner->trial.schedule) continue;
        for (const Record& record : of_baseline(find_records(own, key.workload, against), winner->trial))
          chosen.add(record.trial, record.id);
      }
  }
  std::string out;
  Transaction snapshot(state_->db, Transaction::Kind::read);
  for (const Table table : kTables) {
    Query query = state_->db.query(select_rows(table) + std::string(line_order(table)));
    while (query.step()) {
      const StoredRow stored = read_row(table, query);
      if (!stored_fault(stored).empty()) continue;
      if (scope == ExportScope::best && !chosen.has(stored)) continue;
      out += row_line(stored.row);
      out += '\n';
    }
  }
  snapshot.commit();
  return out;
}

ImportReport Database::import_jsonl(std::istream& lines) {
  require_writable(*state_);
  return Importer(state_->db).run(lines);
}

ImportReport Database::merge(const fs::path& other) {
  require_writable(*state_);
  State source = open_state(other, OpenMode::read_only, Origin::foreign, migrations());
  ImportReport report;
  for (const Table table : kTables) {
    int64_t after = INT64_MIN;
    for (auto rows = next_rows(source.db, table, after, report); !rows.empty();
         rows = next_rows(source.db, table, after, report)) {
      Transaction transaction(state_->db, Transaction::Kind::write);
      for (const StoredRow& stored : rows) {
        std::string fault = stored_fault(stored);
        if (fault.empty()) fault = time_fault(stored.row);
        if (!fault.empty())
          skip_row(report, fmt::format("{} {}", table_name(table), stored.key), fault);
        else
          ++(insert_row(state_->db, stored.row, stored.id) ? report.added : report.known);
      }
      transaction.commit();
    }
  }
  return report;
}

void Database::publish(const fs::path& path) const {
  std::error_code error;
  if (fs::equivalent(path, state_->path, error))
    user_error("cannot publish the tuning database {} onto itself: name another file", name());
  const fs::path target = fs::absolute(path);
  const fs::path temporary = target.parent_path() / fmt::format(".{}.{}", target.filename().string(), ::getpid());
  fs::remove(temporary, error);
  try {
    Connection copy(temporary.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, target.string());
    copy_pages(state_->db, copy);
  } catch (const DatabaseError&) {
    fs::remove(temporary, error);
    throw;
  }
  fs::rename(temporary, target, error);
  if (error) {
    const std::string why = error.message();
    fs::remove(temporary, error);
    user_error("cannot write {}: {}", target.string(), why);
  }
}

}  // namespace oc
