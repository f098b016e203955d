// Opening a file: what it is, whether it may be trusted, whether it can be written to.
#include <unistd.h>

#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxForeignBytes = uintmax_t{4} << 30;

template <class... Args>
[[noreturn]] void refuse(DatabaseFault fault, const fs::path& path, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw DatabaseError(
      fault, fmt::format("tuning database {}: {}", path.string(), fmt::format(format, std::forward<Args>(args)...)));
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error)
    refuse(DatabaseFault::not_writable, path, "its folder cannot be made ({}); name another place", error.message());
  if (::access(path.parent_path().c_str(), W_OK | X_OK) != 0)
    refuse(DatabaseFault::not_writable, path,
           "it does not exist and its folder cannot be written to; name another place");
}

// Before SQLite touches it: a pipe would hang, a device or folder gives a puzzling message.
void look_at_file(const fs::path& path, OpenMode mode, Origin origin) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    if (mode != OpenMode::create)
      refuse(DatabaseFault::missing, path, "there is no such file; `opencompiler tune` makes one, or name another");
    make_folder(path);
    return;
  }
  if (error)
    refuse(DatabaseFault::unreadable, path, "it cannot be opened ({}); check the permissions", error.message());
  if (!fs::is_regular_file(status)) refuse(DatabaseFault::unreadable, path, "it is not a file; name another");
  const uintmax_t bytes = fs::file_size(path, error);
  if (origin == Origin::foreign && (error || bytes > kMaxForeignBytes))
    refuse(DatabaseFault::unreadable, path, "it is over the limit of {} bytes for a file from elsewhere",
           kMaxForeignBytes);
}

// SQLite takes a last page that is cut short to end in zeros.
void require_complete(sqlite::Connection& db, const fs::path& path) {
  std::error_code error;
  const auto bytes = static_cast<uintmax_t>(db.value("PRAGMA page_count") * db.value("PRAGMA page_size"));
  if (const uintmax_t size = fs::file_size(path, error); !error && size < bytes)
    refuse(DatabaseFault::corrupt, path,
           "it is truncated: {} bytes of {}; get another copy of it, or save the rest by `opencompiler db doctor "
           "--repair`",
           size, bytes);
}

void check_foreign(sqlite::Connection& db, const fs::path& path) {
  db.execute("PRAGMA cell_size_check = ON");
  if (const std::string fault = schema_fault(db); !fault.empty())
    refuse(DatabaseFault::corrupt, path, "{}; do not use it", fault);
  if (const auto problems = run_check(db, "PRAGMA quick_check(1)"); !problems.empty())
    refuse(DatabaseFault::corrupt, path, "the file is damaged; get another copy of it ({})", problems.front());
}

std::string why_read_only(sqlite::Connection& db, const fs::path& path, OpenMode mode, Origin origin) {
  if (origin == Origin::foreign || mode == OpenMode::read_only) return "it was opened for reading only";
  if (sqlite3_db_readonly(db.handle(), "main") != 0) return "the file cannot be written to; check its permissions";
  // Every transaction makes a journal beside the file.
  if (::access(path.parent_path().c_str(), W_OK | X_OK) != 0)
    return "its folder cannot be written to; check its permissions";
  return {};
}

// A newer schema may only have added things: it serves if all that is read here is still there.
void try_newer(sqlite::Connection& db, const fs::path& path, int64_t version, int ours) {
  for (const Table table : kTables) {
    try {
      (void)db.query(select_rows(table) + " LIMIT 0").step();
    } catch (const DatabaseError&) {
      refuse(DatabaseFault::newer, path,
             "its schema version {} cannot be read by this program, which knows {}; update OpenCompiler", version,
             ours);
    }
  }
}

}  // namespace

Database::State open_state(const fs::path& named, OpenMode mode, Origin origin, std::span<const Migration> steps) {
  // Absolute, because SQLite takes "file:…" and ":memory:" to be something else.
  const fs::path path = fs::absolute(named);
  look_at_file(path, mode, origin);
  // One's own file is opened for writing even to read it: what a killed writer left is rolled back first.
  int flags = origin == Origin::foreign ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == OpenMode::create && origin == Origin::own) flags |= SQLITE_OPEN_CREATE;
  Database::State state{path, sqlite::Connection(path.string(), flags, path.string()), {}, origin};
  sqlite::Connection& db = state.db;

  require_complete(db, path);
  const int64_t application = db.value("PRAGMA application_id");
  const int64_t version = db.value("PRAGMA user_version");
  const bool empty = application == 0 && version == 0 && db.value("SELECT count(*) FROM sqlite_schema") == 0;
  state.read_only_reason = why_read_only(db, path, mode, origin);
  const bool writable = state.read_only_reason.empty();
  if (empty && !writable) refuse(DatabaseFault::not_a_database, path, "it is empty; name another file");
  if (!empty && (application != kApplicationId || version < 1))
    refuse(DatabaseFault::not_a_database, path, "it belongs to another program; name another file");
  if (origin == Origin::foreign) check_foreign(db, path);

  const int ours = steps.back().version;
  if (version > ours) {
    try_newer(db, path, version, ours);
    if (writable)
      state.read_only_reason = fmt::format(
          "its schema version {} is newer than this program's {}; update OpenCompiler to write to it", version, ours);
  } else if (version < ours && !writable) {
    sqlite::Connection copy(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path.string());
    copy_pages(db, copy);
    migrate(copy, steps);
    db = std::move(copy);
  } else if (version < ours) {
    migrate(db, steps);
  }
  if (state.read_only_reason.empty()) {
    // Others may have switched it to WAL, which in SQLite before 3.51.3 can corrupt a file with two writers.
    (void)db.query("PRAGMA journal_mode = DELETE").step();
    db.execute("PRAGMA foreign_keys = ON");
  } else {
    db.execute("PRAGMA query_only = ON");
  }
  return state;
}

void require_writable(const Database::State& state) {
  if (!state.read_only_reason.empty())
    throw DatabaseError(DatabaseFault::not_writable,
                        fmt::format("tuning database {}: {}", state.db.name(), state.read_only_reason));
}

}  // namespace oc
