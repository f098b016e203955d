// A team's tuning database on a PostgreSQL server. It is exchanged with as a whole: a push unites its rows with those
// of a database, a pull a database's with those of the server; in between travel lines of the export. Nothing else
// reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tuning_db/database.h"

namespace oc {

// What became of the rows of a push.
struct PushReport {
  int64_t added = 0;  // new to the server, or with a family or description it lacked
  int64_t known = 0;
};

// Every failure is a UserError with one line that says what the server answered.
class TeamServer {
 public:
  // What libpq takes: "postgresql://alice@db.example:5432/tuning?sslmode=verify-full" or "host=… dbname=… sslmode=…";
  // what is missing comes from libpq's environment variables, a password also from ~/.pgpass.
  explicit TeamServer(const std::string& connection);
  ~TeamServer();
  TeamServer(const TeamServer&) = delete;
  TeamServer& operator=(const TeamServer&) = delete;

  // Makes the tables, or those of a newer version, in one transaction; needs the right to create schemas and roles.
  void migrate();
  // All rows or, after a failure, none. Needs the role opencompiler_writer.
  PushReport push(const Database& from);
  // Every row of the server as of one moment, checked like any foreign row. Needs the role opencompiler_reader; tables
  // of an older version are read as they are, since who reads may not renew them.
  ImportReport pull(Database& into);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace oc
