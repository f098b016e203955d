#include "tuning_db/postgres/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <pqxx/pqxx>

#include "base/files.h"
#include "tuning_db/postgres/schema.h"

namespace oc {
namespace {

constexpr size_t kBatchBytes = 4 << 20;
constexpr pqxx::cursor_base::difference_type kRowsAtOnce = 1000;
constexpr int64_t kMigrationLock = 0x4F435444;  // "OCTD"; of PostgreSQL's advisory locks

// A table of the server; its name is also the kind of its lines.
struct ServerTable {
  std::string_view name;
  std::string_view on_conflict;
};

// In the order of the export. Families may be filled in later and are united by max() in byte order.
constexpr std::array kServerTables = {
    ServerTable{"workload",
                "(id, md5(text)) DO UPDATE SET line = excluded.line WHERE excluded.family > workload.family"},
    ServerTable{"machine", "(id, md5(line)) DO NOTHING"},
    ServerTable{"build", "(id) DO NOTHING"},
    ServerTable{"calibration", "(id) DO NOTHING"},
    ServerTable{"trial", "(id) DO NOTHING"},
    ServerTable{"mark", "(id) DO NOTHING"},
};

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

// Runs `action`; what libpqxx throws becomes one line for the user. `right`: what doing it takes.
template <typename Action>
auto translated(std::string_view right, Action action) {
  try {
    return action();
  } catch (const pqxx::insufficient_privilege& error) {
    user_error("the tuning server refuses: {}; this takes {}", first_line(error.what()), right);
  } catch (const pqxx::pqxx_exception& error) {
    user_error("the tuning server cannot be used: {}", first_line(error.base().what()));
  }
}

// Of its tables; 0 where there are none.
int server_version(pqxx::transaction_base& transaction) {
  if (transaction.exec1("SELECT to_regclass('opencompiler.version')")[0].is_null()) return 0;
  return transaction.exec1("SELECT max(number) FROM opencompiler.version")[0].as<int>(0);
}

int our_version() {
  return server_migrations().back().version;
}

// Returns it. All versions up to ours hold their lines alike.
int require_readable_version(pqxx::transaction_base& transaction) {
  const int version = server_version(transaction);
  if (version == 0) user_error("the tuning server has no tables yet: `opencompiler db push --migrate` makes them");
  if (version > our_version())
    user_error("the tuning server's tables are of version {}, this program knows {}: use a newer OpenCompiler", version,
               our_version());
  return version;
}

void require_our_version(pqxx::transaction_base& transaction) {
  if (const int version = require_readable_version(transaction); version < our_version())
    user_error(
        "the tuning server's tables are of version {}, this program's of {}: `opencompiler db push --migrate` renews "
        "them",
        version, our_version());
}

// Lines of one kind, written in batches. They hold no newline, so newlines part them.
class TableWriter {
 public:
  TableWriter(pqxx::transaction_base& transaction, const ServerTable& table)
      : transaction_(transaction),
        table_(table),
        sql_(fmt::format("INSERT INTO opencompiler.{} AS {}(line) SELECT unnest(string_to_array($1, E'\\n')) "
                         "ON CONFLICT {}",
                         table.name, table.name, table.on_conflict)) {}

  void add(std::string_view line) {
    if (!batch_.empty()) batch_ += '\n';
    batch_ += line;
    ++lines_;
    if (batch_.size() >= kBatchBytes) write();
  }
  void write() {
    if (!batch_.empty()) added_ += static_cast<int64_t>(transaction_.exec_params(sql_, batch_).affected_rows());
    batch_.clear();
  }
  [[nodiscard]] const ServerTable& table() const { return table_; }
  [[nodiscard]] PushReport report() const { return {.added = added_, .known = lines_ - added_}; }

 private:
  pqxx::transaction_base& transaction_;
  const ServerTable& table_;
  std::string sql_, batch_;
  int64_t lines_ = 0, added_ = 0;
};

const ServerTable& table_of(std::string_view line) {
  const std::string kind = nlohmann::json::parse(line)["kind"];
  const auto* found = std::ranges::find(kServerTables, kind, &ServerTable::name);
  if (found == kServerTables.end()) internal_error("the export has a line of kind '{}'", kind);
  return *found;
}

// Calls `visit` with each line, without its newline.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    visit(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

}  // namespace

struct TeamServer::Connection {
  explicit Connection(const std::string& text) : pq(text) { pq.set_client_encoding("UTF8"); }
  pqxx::connection pq;
};

TeamServer::TeamServer(const std::string& connection)
    : connection_(translated("the right to connect", [&] { return std::make_unique<Connection>(connection); })) {}

TeamServer::~TeamServer() = default;

void TeamServer::migrate() {
  translated("the right to create schemas and roles", [&] {
    pqxx::work transaction(connection_->pq);
    transaction.exec(fmt::format("SELECT pg_advisory_xact_lock({})", kMigrationLock));
    const int version = server_version(transaction);
    for (const Migration& step : server_migrations()) {
      if (step.version <= version) continue;
      transaction.exec(std::string(step.sql));
      transaction.exec_params("INSERT INTO opencompiler.version(number) VALUES($1)", step.version);
    }
    transaction.commit();
  });
}

PushReport TeamServer::push(const Database& from) {
  const std::string lines = from.export_jsonl();
  return translated("the role opencompiler_writer", [&] {
    PushReport total;
    pqxx::work transaction(connection_->pq);
    require_our_version(transaction);
    std::optional<TableWriter> writer;
    const auto finish = [&] {
      if (!writer) return;
      writer->write();
      total.added += writer->report().added;
      total.known += writer->report().known;
    };
    for_each_line(lines, [&](std::string_view line) {
      const ServerTable& table = table_of(line);
      if (!writer || &writer->table() != &table) {  // an export goes kind by kind
        finish();
        writer.emplace(transaction, table);
      }
      writer->add(line);
    });
    finish();
    transaction.commit();
    return total;
  });
}

ImportReport TeamServer::pull(Database& into) {
  // All of it first: while the import writes, a slow network must not hold the file.
  const TempDir folder;
  const std::filesystem::path file = folder.path() / "rows.jsonl";
  translated("the role opencompiler_reader", [&] {
    std::ofstream out(file, std::ios::binary);
    pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> transaction(connection_->pq);
    (void)require_readable_version(transaction);
    for (const ServerTable& table : kServerTables) {
      pqxx::icursorstream rows(transaction, fmt::format("SELECT line FROM opencompiler.{}", table.name), "lines",
                               kRowsAtOnce);
      for (pqxx::result some; rows >> some;)
        for (const auto& row : some) out << row[0].c_str() << '\n';
    }
    if (!out.flush()) user_error("{}: cannot be written; is the disk full?", file.string());
  });
  std::ifstream in(file, std::ios::binary);
  return into.import_jsonl(in);
}

}  // namespace oc
