// JSON lines for the tuning database: what is taken is exported, and the export imports as the same rows.
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hash.h"
#include "tests/fuzz/target.h"
#include "tuning_db/database.h"

namespace {

// The lines with ids that match their contents: else nearly every mutation would end at the check of the id.
std::string signed_lines(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object()) {
      row.erase("id");
      row["id"] = oc::content_hash(row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      line = row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    result += line + "\n";
  }
  return result;
}

void exchange(const std::string& text) {
  oc::Database first = oc::Database::in_memory(), second = oc::Database::in_memory();
  std::istringstream lines(text);
  (void)first.import_jsonl(lines);
  const std::string exported = first.export_jsonl();
  std::istringstream again(exported);
  const oc::ImportReport repeated = second.import_jsonl(again);
  oc::fuzz::require(repeated.skipped == 0, "the export is not taken");
  oc::fuzz::require(second.export_jsonl() == exported, "the export of the import is another");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return oc::fuzz::feed(data, size, [](std::string_view text) {
    exchange(std::string(text));
    exchange(signed_lines(text));
  });
}
