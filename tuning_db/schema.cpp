#include "tuning_db/schema.h"

namespace oc {

void migrate(sqlite::Connection& db, std::span<const Migration> steps) {
  sqlite::Transaction transaction(db, sqlite::Transaction::Kind::write);
  const int64_t version = db.value("PRAGMA user_version");
  for (const Migration& step : steps)
    if (step.version > version) db.execute(std::string(step.sql).c_str());
  if (!steps.empty() && steps.back().version > version) {
    db.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
    db.execute(fmt::format("PRAGMA user_version = {}", steps.back().version).c_str());
  }
  transaction.commit();
}

std::string schema_fault(sqlite::Connection& db) {
  auto odd = db.query(
      "SELECT type, name FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' LIMIT "
      "1");
  if (!odd.step()) return {};
  return fmt::format("it holds a {} \"{}\", which no tuning database has", odd.text(0), odd.text(1));
}

std::vector<std::string> run_check(sqlite::Connection& db, const char* pragma) {
  std::vector<std::string> problems;
  auto lines = db.query(pragma);
  while (lines.step()) {
    if (std::string line = lines.text(0); line != "ok") problems.push_back(std::move(line));
  }
  return problems;
}

void copy_pages(sqlite::Connection& from, sqlite::Connection& to) {
  sqlite3_backup* backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) to.fail(sqlite3_errcode(to.handle()));
  const int code = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) sqlite::fail(from.name(), code, sqlite3_errstr(code));
}

}  // namespace oc
