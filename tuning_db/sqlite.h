// SQLite with RAII: connection, query, transaction. Failures are DatabaseErrors that name the file.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tuning_db/database.h"

namespace oc::sqlite {

[[nodiscard]] DatabaseFault fault_of(int code);
[[noreturn]] void fail(const std::string& name, int code, const std::string& detail);

struct StatementCloser {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementCloser>;

class Connection;

// One run of a prepared statement. Destruction resets it, which ends the read transaction of a statement on its own.
class Query {
 public:
  Query(Connection& connection, sqlite3_stmt* statement) : connection_(&connection), statement_(statement) {}
  ~Query();
  Query(Query&& other) noexcept;
  Query& operator=(Query&&) = delete;

  // Parameters are numbered from 1; text is copied.
  Query& bind(int index, std::string_view text);
  Query& bind(int index, int64_t value);
  Query& bind(int index, int value) { return bind(index, int64_t{value}); }
  Query& bind(int index, double value);

  [[nodiscard]] bool step();  // true: there is a row
  void run();                 // to the end
  // Columns are numbered from 0.
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;

 private:
  Connection* connection_;
  sqlite3_stmt* statement_;
};

class Connection {
 public:
  // `flags` as for sqlite3_open_v2. `name` is what messages call it. Hardened: no extensions, no schema tricks.
  Connection(const std::string& file, int flags, std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

  // Statements are prepared once and kept; one query of the same text at a time.
  template <class... Args>
  [[nodiscard]] Query query(std::string_view sql, const Args&... args) {
    Query query(*this, prepared(sql));
    int index = 0;
    (query.bind(++index, args), ...);
    return query;
  }
  void execute(const char* sql);  // one or several statements without results
  [[nodiscard]] int64_t value(std::string_view sql);
  [[nodiscard]] int64_t changes() const { return sqlite3_changes64(handle_.get()); }
  [[noreturn]] void fail(int code) const;

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  [[nodiscard]] sqlite3_stmt* prepared(std::string_view sql);

  std::string name_;
  std::unique_ptr<sqlite3, Closer> handle_;
  std::unordered_map<std::string, Statement, Hash, std::equal_to<>> statements_;
};

// Rolls back unless committed.
class Transaction {
 public:
  enum class Kind : uint8_t { read, write };
  Transaction(Connection& connection, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

}  // namespace oc::sqlite
