#include "tests/autotune/table.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"

namespace oc::testing {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Family family_of(const std::string& name) {
  for (const Family family : kFamilies)
    if (family_name(family) == name) return family;
  user_error("no schedule family '{}'", name);
}

Table parse_header(std::string_view line) {
  const Json json = Json::parse(line);
  Table table{.workload = json.at("workload"),
              .target = json.at("target"),
              .machine = json.at("machine"),
              .toolchain = json.at("toolchain"),
              .date = json.at("date"),
              .l1 = json.at("l1"),
              .l2 = json.at("l2"),
              .l3 = json.at("l3"),
              .threads = json.at("threads"),
              .family = family_of(json.at("family")),
              .version = json.at("version"),
              .starts = json.at("starts").get<std::vector<Values>>(),
              .default_ns = json.at("default_ns")};
  if (table.version != family_info(table.family).version)
    user_error("version {} of family {}; this build has {}", table.version, family_name(table.family),
               family_info(table.family).version);
  for (const auto& [name, value] : json.at("fixed").items()) table.fixed[name] = value;
  for (const auto& [name, values] : json.at("knobs").items()) table.knobs.push_back({name, values});
  return table;
}

int64_t parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) user_error("'{}' is no whole number", text);
  return value;
}

TableRow parse_row(const Table& table, std::string_view line) {
  const auto cells = split(line, '\t');
  if (cells.size() != table.knobs.size() + 1)
    user_error("{} cells; {} knobs and a time expected", cells.size(), table.knobs.size());
  TableRow row;
  for (size_t i = 0; i < table.knobs.size(); ++i) {
    row.values.push_back(parse_number(cells[i]));
    if (!std::ranges::binary_search(table.knobs[i].values, row.values[i]))
      user_error("{}={} is not among the header's values", table.knobs[i].name, row.values[i]);
  }
  if (const auto failure = parse_status(cells.back()); failure && *failure != TrialStatus::ok)
    row.status = *failure;
  else
    row.nanoseconds = parse_number(cells.back());
  return row;
}

}  // namespace

Schedule Table::schedule(const Values& values) const {
  Schedule result{family, version, fixed};
  for (const Argument& argument : family_info(family).grammar)  // what the grammar has gained since
    result.values.try_emplace(argument.name, argument.fallback);
  for (size_t i = 0; i < knobs.size(); ++i) result.values[knobs[i].name] = values.at(i);
  return result;
}

Values Table::values_of(const Schedule& schedule) const {
  Values values;
  for (const Knob& knob : knobs) values.push_back(schedule[knob.name]);
  return values;
}

Target Table::built_for() const {
  Target result = parse_target(target);
  result.l1_bytes = l1;
  result.l2_bytes = l2;
  result.l3_bytes = l3;
  return result;
}

std::string print_header(const Table& table) {
  Json knobs = Json::object();
  for (const Knob& knob : table.knobs) knobs[knob.name] = knob.values;
  const Json json{{"workload", table.workload},
                  {"target", table.target},
                  {"machine", table.machine},
                  {"threads", table.threads},
                  {"toolchain", table.toolchain},
                  {"date", table.date},
                  {"l1", table.l1},
                  {"l2", table.l2},
                  {"l3", table.l3},
                  {"family", family_name(table.family)},
                  {"version", table.version},
                  {"fixed", table.fixed},
                  {"knobs", std::move(knobs)},
                  {"starts", table.starts},
                  {"default_ns", table.default_ns}};
  return json.dump() + "\n";
}

std::string print_row(const TableRow& row) {
  const std::string time =
      row.status == TrialStatus::ok ? std::to_string(row.nanoseconds) : std::string(status_name(row.status));
  return row.values.empty() ? time + "\n" : fmt::format("{}\t{}\n", fmt::join(row.values, "\t"), time);
}

std::string print_table(const Table& table) {
  std::vector<TableRow> rows = table.rows;
  std::ranges::sort(rows, {}, &TableRow::values);
  std::string text = print_header(table);
  for (const TableRow& row : rows) text += print_row(row);
  if (table.retimed.empty()) return text;
  Json retimed = Json::array();
  for (const Retimed& best : table.retimed)
    retimed.push_back({{"values", best.values}, {"of_default", best.of_default}, {"rounds", best.rounds}});
  return text + Json{{"retimed", std::move(retimed)}}.dump() + "\n";
}

Table read_table(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  auto lines = split(text, '\n');
  lines.pop_back();  // empty, or cut short
  Table table;
  std::set<Values> seen;
  for (size_t i = 0; i < lines.size(); ++i) {
    try {
      if (i == 0) {
        table = parse_header(lines[i]);
      } else if (lines[i].starts_with('{')) {
        const Json trailer = Json::parse(lines[i]);
        for (const Json& best : trailer.at("retimed"))
          table.retimed.push_back({best.at("values"), best.at("of_default"), best.at("rounds")});
      } else {
        table.rows.push_back(parse_row(table, lines[i]));
        if (!seen.insert(table.rows.back().values).second) user_error("a schedule that stood there before");
      }
    } catch (const std::exception& error) {
      user_error("{}:{}: {}; remove the table and make it anew", path.string(), i + 1, error.what());
    }
  }
  if (lines.empty()) user_error("{}: no table; remove the file and make it anew", path.string());
  return table;
}

Space table_space(const Table& table, const Kernel& kernel, const Target& target) {
  std::set<Values> held;
  for (const TableRow& row : table.rows) held.insert(row.values);
  Space space{table.family, table.knobs, {}};
  for (size_t i = 1; i < table.starts.size(); ++i) space.starts.push_back(table.schedule(table.starts[i]));
  const auto holds = [table, held](const Schedule& s) {
    const Values values = table.values_of(s);
    return held.contains(values) && table.schedule(values) == s;
  };
  space.settle = [table, kernel, target, holds](Schedule& s) {
    s = table.schedule(table.values_of(s));
    if (holds(s)) return;
    Schedule today = settled(kernel, target, s);
    if (holds(today)) s = std::move(today);
  };
  space.legal = holds;
  return space;
}

}  // namespace oc::testing
