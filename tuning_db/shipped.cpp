#include "tuning_db/shipped.h"

#include <algorithm>
#include <sstream>

#include "base/files.h"
#include "base/hash.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxKept = 4;  // databases in the cache: of installations side by side
constexpr const char* kSuffix = ".db";

struct Source {
  fs::path file;
  std::string lines;
};

std::vector<Source> read_sources(const fs::path& folder, std::vector<std::string>& warnings) {
  std::vector<Source> sources;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".jsonl" || !entry.is_regular_file(error)) continue;
    try {
      sources.push_back({entry.path(), read_file(entry.path())});
    } catch (const UserError& fault) {
      warnings.push_back(fmt::format("shipped schedules are left out: {}", fault.what()));
    }
  }
  std::ranges::sort(sources, {}, &Source::file);
  return sources;
}

std::string key_of(const std::vector<Source>& sources) {
  std::string hashes;
  for (const Source& source : sources) hashes += content_hash(source.lines) + "\n";
  return program_key(hashes);
}

// True if every row was taken.
bool import_all(Database& database, std::vector<Source> sources, std::vector<std::string>& warnings) {
  bool complete = true;
  for (Source& source : sources) {
    std::istringstream stream(std::move(source.lines));
    const ImportReport report = database.import_jsonl(stream);
    if (report.skipped == 0) continue;
    complete = false;
    warnings.push_back(fmt::format("{}: {} lines skipped, the first: {}", source.file.string(), report.skipped,
                                   report.examples.front()));
  }
  return complete;
}

void remove_oldest(const fs::path& cache) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator entry(cache, error), end; !error && entry != end; entry.increment(error))
    if (std::error_code ignored; entry->path().extension() == kSuffix)
      files.emplace_back(entry->last_write_time(ignored), entry->path());
  std::ranges::sort(files, std::greater{});
  for (size_t i = kMaxKept; i < files.size(); ++i) fs::remove(files[i].second, error);
}

void keep(const Database& database, const fs::path& file) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    database.publish(file);
  } catch (const UserError&) {
    return;
  }
  remove_oldest(file.parent_path());
}

}  // namespace

Database open_shipped(const fs::path& folder, const fs::path& cache, std::vector<std::string>& warnings) {
  std::vector<Source> sources = read_sources(folder, warnings);
  if (sources.empty()) return Database::in_memory(folder.string());
  const fs::path kept = cache / (key_of(sources) + kSuffix);
  if (!cache.empty()) {
    try {
      Database database = Database::in_memory(kept, folder.string());
      std::error_code ignored;
      fs::last_write_time(kept, fs::file_time_type::clock::now(), ignored);  // in use
      return database;
    } catch (const DatabaseError&) {  // not there yet, or damaged
    }
  }
  Database database = Database::in_memory(folder.string());
  // What was skipped is to be said again next time.
  if (import_all(database, std::move(sources), warnings) && !cache.empty()) keep(database, kept);
  return database;
}

}  // namespace oc
