// The schema a file has, and how an older one becomes the newest.
#pragma once

#include <span>
#include <string>

#include "tuning_db/migration.h"
#include "tuning_db/sqlite.h"

namespace oc {

inline constexpr int64_t kApplicationId = 0x4F435444;  // "OCTD"

// schema.sql, then the files of migrations/, versions counting from 1.
[[nodiscard]] std::span<const Migration> migrations();

// Applies what the file lacks, all in one transaction; nothing if another process did so meanwhile.
void migrate(sqlite::Connection& db, std::span<const Migration> steps);

// What a foreign file may not hold: triggers, views, virtual tables. Empty if it holds none.
[[nodiscard]] std::string schema_fault(sqlite::Connection& db);

// Lines of `PRAGMA quick_check` or `PRAGMA integrity_check`; empty = sound.
[[nodiscard]] std::vector<std::string> run_check(sqlite::Connection& db, const char* pragma);

// All pages of `from` into the empty `to`.
void copy_pages(sqlite::Connection& from, sqlite::Connection& to);

}  // namespace oc
