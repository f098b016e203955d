// What a Database is made of, and the parts its member functions share. Internal to tuning_db/ and its tests.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "tuning_db/database.h"
#include "tuning_db/rows.h"
#include "tuning_db/schema.h"
#include "tuning_db/sqlite.h"

namespace oc {

struct Database::State {
  std::filesystem::path path;  // empty in memory
  sqlite::Connection db;
  std::string read_only_reason;
  Origin origin = Origin::own;
};

// Database::open with the schema's steps given.
[[nodiscard]] Database::State open_state(const std::filesystem::path& path, OpenMode mode, Origin origin,
                                         std::span<const Migration> steps);
void require_writable(const Database::State& state);

// Within the caller's write transaction. True if it was not there.
bool insert_row(sqlite::Connection& db, const Row& row, const std::string& id);

// Counts a row that is not taken; `where` names it.
void skip_row(ImportReport& report, const std::string& where, const std::string& reason);

// A row as it lies in the file, from anybody.
struct StoredRow {
  int64_t key = 0;
  std::string id;
  Row row;
  int64_t median_ns = 0;  // of a trial: what the ranking read
};
// Why a stored row cannot be trusted: limits, id, median. "" if it can.
[[nodiscard]] std::string stored_fault(const StoredRow& stored);
// Why a row from elsewhere cannot be taken at this time, or "": a mark from the future would outrank every later
// decision.
[[nodiscard]] std::string time_fault(const Row& row);

enum class Table : uint8_t { workload, machine, build, calibration, trial, mark };
inline constexpr Table kTables[] = {Table::workload,    Table::machine, Table::build,
                                    Table::calibration, Table::trial,   Table::mark};
[[nodiscard]] std::string_view table_name(Table table);
// SELECT … FROM … of everything read_row needs; the caller adds WHERE, ORDER BY, and so on.
[[nodiscard]] std::string select_rows(Table table);
[[nodiscard]] StoredRow read_row(Table table, const sqlite::Query& query);

// The marks of a trial that count, by (time, id). One's own may be dated by a clock that has been set back since.
[[nodiscard]] std::vector<StoredRow> marks_on(Database::State& state, std::string_view trial);

// Local keys of what a Key names; nullopt if one is unknown here.
struct LocalKey {
  int64_t workload = 0, machine = 0, target = 0;
};
[[nodiscard]] std::optional<LocalKey> local_key(sqlite::Connection& db, const Key& key);
[[nodiscard]] std::optional<int64_t> local_workload(sqlite::Connection& db, std::string_view text);
[[nodiscard]] std::optional<int64_t> local_schedule(sqlite::Connection& db, std::string_view text);

// Database::best and look_up over several databases together.
using LayerSpan = std::span<Database::State* const>;
[[nodiscard]] std::optional<LookupResult> find_best(LayerSpan layers, const Key& key, std::string_view build,
                                                    const Serves& serves = {});
[[nodiscard]] std::optional<LookupResult> find_near(LayerSpan layers, const Key& key, std::string_view build,
                                                    const Serves& serves = {});
// Layers::newest_mark, records and contested.
[[nodiscard]] int64_t find_newest_mark(LayerSpan layers, std::string_view trial);
[[nodiscard]] std::vector<Record> find_records(LayerSpan layers, std::string_view workload, std::string_view schedule);
[[nodiscard]] std::vector<Record> find_records(LayerSpan layers, const Key& key, std::string_view build);
[[nodiscard]] std::vector<std::string> find_contested(LayerSpan layers, std::string_view machine,
                                                      std::string_view features, int threads);

}  // namespace oc
