// The tuning database: one SQLite file. Rows are only ever added; what is best is derived when asked. Several processes
// may use one file at once (on a local disk). Every call is one transaction that lasts as long as its statements.
//
// Rows are data from anybody: they are checked on the way in (import, merge) and again before a look-up returns one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "tuning_db/records.h"

namespace oc {

enum class DatabaseFault : uint8_t {
  missing,
  unreadable,      // permissions, a folder, a device …
  not_writable,    // to be created, or to be written to
  not_a_database,  // not SQLite, or SQLite of another program
  corrupt,
  locked,  // another process held it for longer than 30 seconds
  full,    // the disk is
  newer,   // its schema is newer than this program can even read
  io
};

// The message names the file and what to do.
struct DatabaseError : UserError {
  DatabaseError(DatabaseFault f, const std::string& message) : UserError(message), fault(f) {}
  DatabaseFault fault;
};

struct OpenFailure {
  DatabaseFault fault = DatabaseFault::missing;
  std::string message;  // that of the DatabaseError
};

enum class OpenMode : uint8_t {
  read_only,
  read_write,  // of an existing file
  create       // read_write, made with its folders if missing
};

// `foreign`: a file somebody else wrote. It is opened strictly read-only, checked as a whole, and limited in size; its
// marks that are dated more than a day ahead do not count.
enum class Origin : uint8_t { own, foreign };

// The asker holds trials of all builds to be equally good.
inline constexpr std::string_view kAnyBuild;

// How far a look-up had to go for its answer.
enum class Rung : uint8_t { exact, other_threads };
[[nodiscard]] std::string_view rung_name(Rung rung);

struct LookupResult {
  Trial trial;
  std::string id;  // row_id(trial)
  Rung rung = Rung::exact;
  std::string source;  // the file or folder it came from
  bool pinned = false;
  bool confirmed = false;  // it won a duel
};

// Whether the asker can use what was found; none: it can use everything.
using Serves = std::function<bool(const LookupResult&)>;

// A trial, failed ones too, and what its marks say.
struct Record {
  Trial trial;
  std::string id;      // row_id(trial)
  std::string source;  // the file or folder it came from
  bool quarantined = false;
  bool confirmed = false;  // it won a duel, or was the incumbent without one

  bool operator==(const Record&) const = default;
};

// What became of the rows of an import or a merge.
struct ImportReport {
  int64_t added = 0;
  int64_t known = 0;  // were there already
  int64_t skipped = 0;
  std::map<std::string, int64_t> reasons;  // why skipped, how often
  std::vector<std::string> examples;       // "line 7: …", the first few

  bool operator==(const ImportReport&) const = default;
};

struct DatabaseStats {
  int64_t workloads = 0, machines = 0, builds = 0, calibrations = 0, schedules = 0, trials = 0, marks = 0;
  std::map<std::string, int64_t> trials_by_status;
  int64_t file_bytes = 0;
  int schema_version = 0;
};

struct RepairReport {
  ImportReport rows;              // `added`: those that were saved
  std::filesystem::path damaged;  // where the old file lies now
};

struct DoctorReport {
  std::vector<std::string> facts;     // path, versions, journal, sizes
  std::vector<std::string> problems;  // empty = healthy
};

enum class ExportScope : uint8_t {
  everything,
  best  // the winning trial of every key, whatever build it is of, with its marks and all it refers to
};

// The text of the schedule that a key's winner is held against; "" if there is none.
using Baseline = std::function<std::string(const Key&)>;

class Database {
 public:
  // DatabaseError if the file cannot even be read. A file that can only be read (permissions, or a newer schema) opens
  // in every mode: writable() is false then, read_only_reason() says why, and every change throws DatabaseError.
  [[nodiscard]] static Database open(const std::filesystem::path& path, OpenMode mode, Origin origin = Origin::own);
  // The same with the failure as a value, for a default database that may be unusable.
  [[nodiscard]] static std::variant<Database, OpenFailure> try_open(const std::filesystem::path& path, OpenMode mode,
                                                                    Origin origin = Origin::own);
  // Lives in memory. `name` is what look-ups give as their source.
  [[nodiscard]] static Database in_memory(std::string name = "memory");
  // The same with what a file holds, which is foreign and may go afterwards. DatabaseError if the file is missing,
  // cannot be read, is no database or is damaged; one of an older schema is brought up to date in memory.
  [[nodiscard]] static Database in_memory(const std::filesystem::path& file, std::string name);

  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  [[nodiscard]] const std::string& name() const;  // its path
  [[nodiscard]] bool writable() const;
  [[nodiscard]] const std::string& read_only_reason() const;  // empty if writable

  // Adding what is there already changes nothing. A row that breaks the limits of rows.h is an InternalError.
  // Long or binary text in Trial::message is cut and cleaned. All return the row's id.
  std::string add_workload(const WorkloadRow& row);
  std::string add_machine(const MachineRow& row);
  std::string add_build(const BuildRow& row);
  std::string add_calibration(const CalibrationRow& row);
  std::string add_trial(const Trial& trial);
  // A mark dated before one already on its trial or its trial's key is dated just after it, so that a clock set back
  // does not make the newest decision the oldest.
  std::string add_mark(const Mark& mark);

  // The schedule to use. Among the trials of exactly this key that are ok and not quarantined, and whose schedule no
  // trial of the same key and build found to compute wrong results:
  //   1. a pinned one, the latest pin first;
  //   2. else the one confirmed last: it beat the incumbent in an interleaved run, which says more than a median taken
  //      at another time;
  //   3. else one that was the incumbent without a duel: what it was held against did not beat it;
  //   4. else the lowest median; so, too, among those of 3; equal ones by id.
  // Unless `build`, the asking program's, is kAnyBuild, trials of other builds are suspect: where one of this build is
  // left they count only when pinned.
  [[nodiscard]] std::optional<LookupResult> best(const Key& key, std::string_view build) const;
  // best(key, build), else the best of the nearest other thread count: by ratio, the smaller count first.
  [[nodiscard]] std::optional<LookupResult> look_up(const Key& key, std::string_view build) const;

  // All trials of this key, failed ones included, by time.
  [[nodiscard]] std::vector<Trial> trials_of(const Key& key) const;
  // All trials of this key and build, failed ones included; those that may be used in the order of best() without pins.
  [[nodiscard]] std::vector<Record> records(const Key& key, std::string_view build) const;
  // All trials of the workload on any machine, target and thread count.
  [[nodiscard]] std::vector<Trial> trials_of(std::string_view workload) const;
  // Those whose ids begin with `digits`, by id.
  [[nodiscard]] std::vector<Trial> trials_with(std::string_view digits) const;
  [[nodiscard]] std::vector<Mark> marks_of(std::string_view trial_id) const;  // those that count, by (time, id)
  [[nodiscard]] std::vector<WorkloadRow> workloads() const;                   // by text
  [[nodiscard]] std::vector<Key> keys_of(std::string_view workload) const;
  [[nodiscard]] std::vector<MachineRow> machines() const;
  [[nodiscard]] std::optional<BuildRow> build(std::string_view id) const;

  // Exchange. One JSON object a line, keys sorted; workloads, machines, builds, calibrations, trials, marks in this
  // order, each sorted. Equal sets of rows give equal bytes. Lines may be imported in any order. Of the best, a
  // baseline's trials of the winner's key and build go along, if they work: what was gained lends to other workloads.
  [[nodiscard]] std::string export_jsonl(ExportScope scope = ExportScope::everything,
                                         const Baseline& baseline = {}) const;
  ImportReport import_jsonl(std::istream& lines);
  // Every row of the other database, which is foreign and is left as it is.
  ImportReport merge(const std::filesystem::path& other);
  // A consistent copy in a new file that takes the place of `path` at once.
  void publish(const std::filesystem::path& path) const;

  [[nodiscard]] DatabaseStats stats() const;
  [[nodiscard]] std::vector<std::string> integrity_check() const;  // SQLite's; empty = sound
  // integrity_check, ids recomputed, references followed.
  [[nodiscard]] DoctorReport doctor() const;
  // Saves the rows of a file with problems that can be read and are what they claim to be into a new file, which takes
  // its place; the old one is kept beside it. nullopt: there was nothing to do. Nobody else may have the file open.
  // DatabaseError when it is no tuning database, or too damaged to tell.
  [[nodiscard]] static std::optional<RepairReport> repair(const std::filesystem::path& path);

  struct State;  // in tuning_db/state.h

 private:
  friend class Layers;
  explicit Database(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether a trial may not be used: the latest mark on it in any of them that is not a confirmation says so.
[[nodiscard]] bool quarantined(std::span<const Database* const> databases, std::string_view trial_id);

}  // namespace oc
