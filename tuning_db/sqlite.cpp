#include "tuning_db/sqlite.h"

#include <utility>

namespace oc::sqlite {
namespace {

constexpr int kBusyMs = 30'000;

struct Advice {
  DatabaseFault fault;
  std::string_view what;
};

Advice advice(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {DatabaseFault::locked, "another process has held it for 30 seconds; wait for that process or end it"};
    case SQLITE_CORRUPT:
      return {DatabaseFault::corrupt,
              "the file is damaged; `opencompiler db doctor --repair` saves what can still be read of it"};
    case SQLITE_NOTADB: return {DatabaseFault::not_a_database, "this is not a tuning database; name another file"};
    case SQLITE_FULL: return {DatabaseFault::full, "the disk is full; free some space, then run this again"};
    case SQLITE_READONLY:
      return {DatabaseFault::not_writable, "it cannot be written to; check the permissions of file and folder"};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {DatabaseFault::unreadable, "it cannot be opened; check the permissions of file and folder"};
    case SQLITE_ERROR:
      return {DatabaseFault::corrupt, "its tables are not those its schema version says; do not use this file"};
    case SQLITE_TOOBIG: return {DatabaseFault::corrupt, "a row is over the size limit; do not use this file"};
    default: return {DatabaseFault::io, "reading or writing failed; check the disk, and that it is a local one"};
  }
}

void harden(sqlite3* handle) {
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMs);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 16 << 20);
  sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, 1 << 20);
  sqlite3_limit(handle, SQLITE_LIMIT_COLUMN, 100);
  sqlite3_limit(handle, SQLITE_LIMIT_EXPR_DEPTH, 100);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
}

}  // namespace

DatabaseFault fault_of(int code) {
  return advice(code).fault;
}

void fail(const std::string& name, int code, const std::string& detail) {
  const auto [fault, what] = advice(code);
  throw DatabaseError(fault, fmt::format("tuning database {}: {} ({})", name, what, detail));
}

Query::Query(Query&& other) noexcept
    : connection_(other.connection_), statement_(std::exchange(other.statement_, nullptr)) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::bind(int index, std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  const int code = sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) connection_->fail(code);
  return *this;
}

Query& Query::bind(int index, int64_t value) {
  const int code = sqlite3_bind_int64(statement_, index, value);
  if (code != SQLITE_OK) connection_->fail(code);
  return *this;
}

Query& Query::bind(int index, double value) {
  const int code = sqlite3_bind_double(statement_, index, value);
  if (code != SQLITE_OK) connection_->fail(code);
  return *this;
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) connection_->fail(code);
  return false;
}

void Query::run() {
  while (step()) {
  }
}

std::string Query::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Query::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

Connection::Connection(const std::string& file, int flags, std::string name) : name_(std::move(name)) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) sqlite::fail(name_, code, sqlite3_errstr(code));
  harden(handle);
}

sqlite3_stmt* Connection::prepared(std::string_view sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return found->second.get();
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) fail(code);
  statements_.emplace(sql, Statement(statement));
  return statement;
}

void Connection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

int64_t Connection::value(std::string_view sql) {
  Query q = query(sql);
  return q.step() ? q.integer(0) : 0;
}

void Connection::fail(int code) const {
  sqlite::fail(name_, code, sqlite3_errmsg(handle_.get()));
}

Transaction::Transaction(Connection& connection, Kind kind) : connection_(connection) {
  connection_.execute(kind == Kind::write ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  // After some failures (a full disk) SQLite has rolled back by itself.
  if (open_ && sqlite3_get_autocommit(connection_.handle()) == 0)
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  connection_.execute("COMMIT");
  open_ = false;
}

}  // namespace oc::sqlite
