#include "tuning_db/database.h"

#include <algorithm>
#include <utility>

#include "tuning_db/state.h"

namespace oc {
namespace {

using sqlite::Connection;
using sqlite::Query;
using sqlite::Transaction;

void require_sound(const Row& row) {
  if (const std::string fault = row_fault(row); !fault.empty())
    internal_error("a row for the tuning database breaks its limits: {}", fault);
}

// One transaction for one row.
template <class T>
std::string add_row(Database::State& state, const T& row) {
  require_sound(row);
  require_writable(state);
  std::string id;
  if constexpr (std::is_same_v<T, MachineRow>)
    id = row.hash;
  else
    id = row_id(row);
  Transaction transaction(state.db, Transaction::Kind::write);
  insert_row(state.db, row, id);
  transaction.commit();
  return id;
}

// The sound rows a query gives.
template <class T>
std::vector<T> collect(Table table, Query query) {
  std::vector<T> out;
  while (query.step()) {
    StoredRow stored = read_row(table, query);
    if (stored_fault(stored).empty()) out.push_back(std::get<T>(std::move(stored.row)));
  }
  return out;
}

template <class T>
std::optional<T> first(std::vector<T> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

// The time of the newest mark on the trial, or on any trial of its key.
int64_t newest_mark(Connection& db, const std::string& trial) {
  Query newest = db.query(
      "SELECT coalesce(max(unix_ms), -1) FROM (SELECT unix_ms FROM mark WHERE trial = ?1 UNION ALL "
      "SELECT mark.unix_ms FROM trial AS own JOIN trial AS other ON other.workload = own.workload AND "
      "other.machine = own.machine AND other.target = own.target AND other.threads = own.threads "
      "JOIN mark ON mark.trial = other.id WHERE own.id = ?1)",
      trial);
  return newest.step() ? newest.integer(0) : -1;
}

}  // namespace

std::string_view rung_name(Rung rung) {
  return rung == Rung::exact ? "exact" : "other_threads";
}

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::~Database() = default;
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;

Database Database::open(const std::filesystem::path& path, OpenMode mode, Origin origin) {
  return Database(std::make_unique<State>(open_state(path, mode, origin, migrations())));
}

std::variant<Database, OpenFailure> Database::try_open(const std::filesystem::path& path, OpenMode mode,
                                                       Origin origin) {
  try {
    return open(path, mode, origin);
  } catch (const DatabaseError& error) {
    return OpenFailure{error.fault, error.what()};
  }
}

Database Database::in_memory(std::string name) {
  Connection db(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, std::move(name));
  migrate(db, migrations());
  return Database(std::unique_ptr<State>(new State{{}, std::move(db), {}}));
}

Database Database::in_memory(const std::filesystem::path& file, std::string name) {
  State stored = open_state(file, OpenMode::read_only, Origin::foreign, migrations());
  Connection db(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, std::move(name));
  copy_pages(stored.db, db);
  return Database(std::unique_ptr<State>(new State{{}, std::move(db), {}}));
}

const std::string& Database::name() const {
  return state_->db.name();
}
bool Database::writable() const {
  return state_->read_only_reason.empty();
}
const std::string& Database::read_only_reason() const {
  return state_->read_only_reason;
}

std::string Database::add_workload(const WorkloadRow& row) {
  return add_row(*state_, row);
}
std::string Database::add_machine(const MachineRow& row) {
  return add_row(*state_, row);
}
std::string Database::add_build(const BuildRow& row) {
  return add_row(*state_, row);
}
std::string Database::add_calibration(const CalibrationRow& row) {
  return add_row(*state_, row);
}
std::string Database::add_trial(const Trial& trial) {
  return add_row(*state_, cleaned(trial));
}

std::string Database::add_mark(const Mark& mark) {
  require_sound(mark);
  require_writable(*state_);
  Connection& db = state_->db;
  Mark dated = mark;
  Transaction transaction(db, Transaction::Kind::write);
  std::string id = row_id(dated);
  if (!db.query("SELECT 1 FROM mark WHERE id = ?1", id).step()) {
    dated.unix_ms = std::min(std::max(mark.unix_ms, newest_mark(db, mark.trial) + 1), kMaxUnixMs);
    id = row_id(dated);
    insert_row(db, dated, id);
  }
  transaction.commit();
  return id;
}

std::optional<LookupResult> Database::best(const Key& key, std::string_view build) const {
  State* const layers[] = {state_.get()};
  return find_best(layers, key, build);
}

std::optional<LookupResult> Database::look_up(const Key& key, std::string_view build) const {
  State* const layers[] = {state_.get()};
  return find_near(layers, key, build);
}

std::vector<Trial> Database::trials_of(const Key& key) const {
  const std::optional<LocalKey> local = local_key(state_->db, key);
  if (!local) return {};
  return collect<Trial>(Table::trial,
                        state_->db.query(select_rows(Table::trial) +
                                             " WHERE trial.workload = ?1 AND trial.machine = ?2 AND trial.target = ?3 "
                                             "AND trial.threads = ?4 ORDER BY unix_ms, trial.id",
                                         local->workload, local->machine, local->target, key.threads));
}

std::vector<Record> Database::records(const Key& key, std::string_view build) const {
  State* const layers[] = {state_.get()};
  return find_records(layers, key, build);
}

std::vector<Trial> Database::trials_of(std::string_view workload) const {
  const std::optional<int64_t> key = local_workload(state_->db, workload);
  if (!key) return {};
  return collect<Trial>(
      Table::trial,
      state_->db.query(select_rows(Table::trial) + " WHERE trial.workload = ?1 ORDER BY unix_ms, trial.id", *key));
}

std::vector<Trial> Database::trials_with(std::string_view digits) const {
  // 'g' comes behind all digits.
  return collect<Trial>(
      Table::trial,
      state_->db.query(select_rows(Table::trial) + " WHERE trial.id >= ?1 AND trial.id < ?1 || 'g' ORDER BY trial.id",
                       digits));
}

std::vector<Mark> Database::marks_of(std::string_view trial_id) const {
  std::vector<Mark> out;
  for (StoredRow& stored : marks_on(*state_, trial_id)) out.push_back(std::get<Mark>(std::move(stored.row)));
  return out;
}

bool quarantined(std::span<const Database* const> databases, std::string_view trial_id) {
  const auto when = [](const Mark& mark) { return std::pair(mark.unix_ms, row_id(mark)); };
  std::optional<Mark> latest;
  for (const Database* database : databases)
    for (Mark& mark : database->marks_of(trial_id))
      if (mark.kind != MarkKind::confirm && (!latest || when(*latest) < when(mark))) latest = std::move(mark);
  return latest && latest->kind == MarkKind::quarantine;
}

std::vector<WorkloadRow> Database::workloads() const {
  return collect<WorkloadRow>(Table::workload, state_->db.query(select_rows(Table::workload) + " ORDER BY text"));
}

std::vector<Key> Database::keys_of(std::string_view workload) const {
  const std::optional<int64_t> key = local_workload(state_->db, workload);
  if (!key) return {};
  Query found = state_->db.query(
      "SELECT DISTINCT hash, features, threads FROM trial JOIN machine ON machine.key = trial.machine "
      "JOIN target ON target.key = trial.target WHERE trial.workload = ?1 ORDER BY hash, features, threads",
      *key);
  std::vector<Key> out;
  while (found.step())
    out.push_back({.workload = std::string(workload),
                   .machine = found.text(0),
                   .features = found.text(1),
                   .threads = static_cast<int>(std::clamp<int64_t>(found.integer(2), 0, kMaxThreads))});
  return out;
}

std::vector<MachineRow> Database::machines() const {
  return collect<MachineRow>(Table::machine, state_->db.query(select_rows(Table::machine) + " ORDER BY hash"));
}

std::optional<BuildRow> Database::build(std::string_view id) const {
  return first(collect<BuildRow>(Table::build, state_->db.query(select_rows(Table::build) + " WHERE id = ?1", id)));
}

}  // namespace oc
