// A damaged file's readable rows in a new file.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using sqlite::Connection;
using sqlite::Query;
using sqlite::Transaction;

// Keys in one direction, until the end or a page that cannot be read. True at the end.
bool collect_keys(Connection& db, Table table, const char* order, std::set<int64_t>& keys) {
  try {
    Query query = db.query(fmt::format("SELECT key FROM {} NOT INDEXED ORDER BY key {}", table_name(table), order));
    while (query.step()) keys.insert(query.integer(0));
    return true;
  } catch (const DatabaseError&) {
    return false;
  }
}

// Those that lie between two pages that cannot be read are lost.
std::set<int64_t> readable_keys(Connection& db, Table table) {
  std::set<int64_t> keys;
  if (!collect_keys(db, table, "ASC", keys)) (void)collect_keys(db, table, "DESC", keys);
  return keys;
}

// The row if it can be read and is what it claims to be; else `fault` says why not.
std::optional<StoredRow> readable_row(Connection& db, Table table, int64_t key, std::string& fault) {
  try {
    Query query = db.query(fmt::format("{} WHERE {}.key = ?1", select_rows(table), table_name(table)), key);
    if (!query.step()) {
      fault = "what it refers to is missing";
      return std::nullopt;
    }
    StoredRow row = read_row(table, query);
    fault = stored_fault(row);
    if (fault.empty()) return row;
  } catch (const DatabaseError&) {
    fault = "it cannot be read";
  }
  return std::nullopt;
}

void salvage(Connection& from, Connection& into, ImportReport& report) {
  for (const Table table : kTables) {
    Transaction transaction(into, Transaction::Kind::write);
    for (const int64_t key : readable_keys(from, table)) {
      std::string fault;
      if (const std::optional<StoredRow> stored = readable_row(from, table, key, fault))
        ++(insert_row(into, stored->row, stored->id) ? report.added : report.known);
      else
        skip_row(report, fmt::format("{} {}", table_name(table), key), fault);
    }
    transaction.commit();
  }
}

// Whether `doctor` finds nothing to repair; a file that does not even open has something.
bool is_sound(const fs::path& path) {
  auto opened = Database::try_open(path, OpenMode::read_write);
  if (const auto* failure = std::get_if<OpenFailure>(&opened)) {
    if (failure->fault != DatabaseFault::corrupt) throw DatabaseError(failure->fault, failure->message);
    return false;
  }
  try {
    return std::get<Database>(opened).doctor().problems.empty();
  } catch (const DatabaseError&) {
    return false;
  }
}

}  // namespace

std::optional<RepairReport> Database::repair(const fs::path& named) {
  const fs::path path = fs::absolute(named);
  if (is_sound(path)) return std::nullopt;
  RepairReport report;
  report.damaged = path.string() + fmt::format(".damaged-{}", unix_ms_now());
  const fs::path fresh = path.string() + fmt::format(".repaired-{}", ::getpid());
  {
    Connection from(path.string(), SQLITE_OPEN_READWRITE, path.string());
    // Whoever is writing finishes first, nobody begins.
    Transaction alone(from, Transaction::Kind::write);
    Database into = open(fresh, OpenMode::create);
    salvage(from, into.state_->db, report.rows);
  }
  fs::rename(path, report.damaged);
  fs::rename(fresh, path);
  return report;
}

}  // namespace oc
