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

// Only damage is repaired: a file that is locked, or a disk that fails, is not.
void require_damage(const DatabaseError& error) {
  if (error.fault != DatabaseFault::corrupt) throw error;
}

// Keys in one direction, until the end or a page that cannot be read. True at the end.
bool collect_keys(Connection& db, Table table, const char* order, std::set<int64_t>& keys) {
  try {
    Query query = db.query(fmt::format("SELECT key FROM {} NOT INDEXED ORDER BY key {}", table_name(table), order));
    while (query.step()) keys.insert(query.integer(0));
    return true;
  } catch (const DatabaseError& error) {
    require_damage(error);
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
  } catch (const DatabaseError& error) {
    require_damage(error);
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
  try {
    const Database db = Database::open(path, OpenMode::read_write);
    if (!db.writable()) user_error("tuning database {}: {}", path.string(), db.read_only_reason());
    return db.doctor().problems.empty();
  } catch (const DatabaseError& error) {
    require_damage(error);
    return false;
  }
}

// Removes the file unless it was renamed before.
struct Unfinished {
  fs::path path;
  ~Unfinished() {
    std::error_code error;
    fs::remove(path, error);
  }
};

}  // namespace

std::optional<RepairReport> Database::repair(const fs::path& named) {
  std::error_code missing;
  fs::path path = fs::canonical(named, missing);
  if (missing) path = fs::absolute(named);
  if (is_sound(path)) return std::nullopt;
  RepairReport report;
  report.damaged = path.string() + fmt::format(".damaged-{}", unix_ms_now());
  const Unfinished fresh{path.string() + fmt::format(".repaired-{}-{}", ::getpid(), unix_ms_now())};
  Connection from(path.string(), SQLITE_OPEN_READWRITE, path.string());
  if (from.value("PRAGMA user_version") > migrations().back().version)
    throw DatabaseError(DatabaseFault::newer,
                        fmt::format("tuning database {}: its schema is newer than this program, which would lose what "
                                    "it does not know; update OpenCompiler",
                                    path.string()));
  // Whoever is writing finishes first, and nobody begins until the new file is in place.
  const Transaction alone(from, Transaction::Kind::write);
  {
    Database into = open(fresh.path, OpenMode::create);
    salvage(from, into.state_->db, report.rows);
  }
  try {
    fs::permissions(fresh.path, fs::status(path).permissions());
    fs::create_hard_link(path, report.damaged);
    fs::rename(fresh.path, path);  // at no moment is there no file
  } catch (const fs::filesystem_error& error) {
    user_error("tuning database {}: the repaired file cannot take its place: {}", path.string(), error.what());
  }
  return report;
}

}  // namespace oc
