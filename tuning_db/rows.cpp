#include "tuning_db/rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "tuning_db/machine.h"

namespace oc {
namespace {

using Json = nlohmann::json;  // a sorted map: dump() is canonical

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
}

bool is_clean(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0 || is_control(text.front())) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string clean_text(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const bool keep = length > 0 && !is_control(text.front());
    if (out.size() + std::max<size_t>(length, 1) > max_bytes) break;
    out += keep ? text.substr(0, length) : "?";
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

// Collects the first thing wrong with a row.
struct Check {
  std::string fault;

  void require(bool ok, std::string_view what) {
    if (!ok && fault.empty()) fault = what;
  }
  void text(std::string_view value, size_t max_bytes, bool may_be_empty, std::string_view name) {
    if (!fault.empty()) return;
    fault = value.empty() && !may_be_empty ? fmt::format("{} is missing", name) : text_fault(value, max_bytes, name);
  }
  void number(double value, std::string_view name) {
    require(std::isfinite(value) && value >= 0, fmt::format("{} is not a number of 0 or more", name));
  }
  void time(int64_t unix_ms) { require(unix_ms >= 0 && unix_ms <= kMaxUnixMs, "unix_ms is out of range"); }
  void threads(int value) { require(value >= 1 && value <= kMaxThreads, "threads is out of range"); }
};

void check(Check& c, const WorkloadRow& row) {
  c.text(row.text, kMaxWorkloadBytes, false, "text");
  c.text(row.family, kMaxNameBytes, true, "family");
}

void check(Check& c, const MachineRow& row) {
  c.text(row.hash, kMaxNameBytes, false, "machine");
  c.text(row.description, kMaxDescriptionBytes, true, "description");
  if (c.fault.empty() && !row.description.empty())
    c.require(described_machine(row).has_value(), "description is not that of the machine");
}

void check(Check& c, const BuildRow& row) {
  c.text(row.toolchain, kMaxNameBytes, true, "toolchain");
  c.text(row.version, kMaxNameBytes, true, "version");
  c.text(row.space_hash, kMaxNameBytes, true, "space_hash");
}

void check(Check& c, const CalibrationRow& row) {
  c.text(row.machine, kMaxNameBytes, false, "machine");
  c.text(row.run, kMaxNameBytes, true, "run");
  c.number(row.peak_gflops, "peak_gflops");
  c.number(row.bandwidth_gbs, "bandwidth_gbs");
  c.threads(row.threads);
  c.time(row.unix_ms);
}

void check(Check& c, const Trial& trial) {
  c.text(trial.workload, kMaxWorkloadBytes, false, "workload");
  c.text(trial.schedule, kMaxScheduleBytes, false, "schedule");
  c.text(trial.machine, kMaxNameBytes, false, "machine");
  c.text(trial.features, kMaxFeaturesBytes, false, "features");
  c.text(trial.build, kMaxNameBytes, true, "build");
  c.text(trial.message, kMaxMessageBytes, true, "message");
  c.text(trial.author, kMaxNameBytes, true, "author");
  c.text(trial.run, kMaxNameBytes, true, "run");
  c.threads(trial.threads);
  c.time(trial.unix_ms);
  c.require(trial.samples_ns.size() <= kMaxSamples, "too many samples");
  c.require(trial.status != TrialStatus::ok || !trial.samples_ns.empty(), "ok without samples");
  c.require(std::ranges::all_of(trial.samples_ns, [](int64_t ns) { return ns > 0 && ns <= kMaxSampleNs; }),
            "a sample is out of range");
  c.require(trial.relative_error >= 0, "relative_error is not a number of 0 or more");
  c.require(trial.status != TrialStatus::ok || std::isfinite(trial.relative_error), "ok with an infinite error");
}

void check(Check& c, const Mark& mark) {
  c.require(is_hash(mark.trial), "trial is not an id");
  c.text(mark.note, kMaxMessageBytes, true, "note");
  c.time(mark.unix_ms);
}

void put(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}

Json to_json(const WorkloadRow& row) {
  Json json{{"kind", "workload"}, {"text", row.text}};
  put(json, "family", row.family);
  return json;
}

Json to_json(const MachineRow& row) {
  Json json{{"kind", "machine"}};
  put(json, "description", row.description);
  return json;
}

Json to_json(const BuildRow& row) {
  Json json{{"kind", "build"}};
  put(json, "toolchain", row.toolchain);
  put(json, "version", row.version);
  put(json, "space_hash", row.space_hash);
  return json;
}

Json to_json(const CalibrationRow& row) {
  Json json{{"kind", "calibration"},          {"machine", row.machine},
            {"peak_gflops", row.peak_gflops}, {"bandwidth_gbs", row.bandwidth_gbs},
            {"threads", row.threads},         {"unix_ms", row.unix_ms}};
  put(json, "run", row.run);
  return json;
}

Json trial_json(const Trial& trial, const std::string& workload_hash) {
  Json json{{"kind", "trial"},
            {"workload", workload_hash},
            {"schedule", trial.schedule},
            {"machine", trial.machine},
            {"features", trial.features},
            {"threads", trial.threads},
            {"status", status_name(trial.status)},
            {"unix_ms", trial.unix_ms}};
  if (!trial.samples_ns.empty()) json["samples_ns"] = trial.samples_ns;
  // JSON has no infinity.
  if (std::isfinite(trial.relative_error))
    json["relative_error"] = trial.relative_error;
  else
    json["relative_error"] = "inf";
  put(json, "build", trial.build);
  put(json, "message", trial.message);
  put(json, "author", trial.author);
  put(json, "run", trial.run);
  return json;
}

Json to_json(const Trial& trial) {
  return trial_json(cleaned(trial), content_hash(trial.workload));
}

Json to_json(const Mark& mark) {
  Json json{{"kind", "mark"}, {"mark", mark_name(mark.kind)}, {"trial", mark.trial}, {"unix_ms", mark.unix_ms}};
  put(json, "note", mark.note);
  return json;
}

// The id of everything but workloads and machines, whose hashes are made elsewhere.
std::string hash_of(const Json& json) {
  return content_hash(json.dump());
}

// Takes fields out of a hostile object and remembers the first thing wrong.
struct Fields {
  const Json& json;
  std::string fault;

  const Json* find(const char* name) {
    const auto it = json.find(name);
    return it == json.end() ? nullptr : &*it;
  }
  void wrong(const char* name) {
    if (fault.empty()) fault = fmt::format("{} has the wrong type", name);
  }
  // A missing text is empty; check() says where that is not allowed.
  std::string text(const char* name) {
    const Json* value = find(name);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    wrong(name);
    return {};
  }
  int64_t integer(const Json* value, const char* name) {
    const bool fits = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
    if (fits) return value->get<int64_t>();
    wrong(name);
    return 0;
  }
  int64_t integer(const char* name) { return integer(find(name), name); }
  int threads() {
    return static_cast<int>(std::clamp<int64_t>(integer("threads"), 0, kMaxThreads + 1));  // check() refuses both ends
  }
  double number(const char* name) {
    const Json* value = find(name);
    if (value != nullptr && value->is_number()) return value->get<double>();
    wrong(name);
    return 0;
  }
  double relative_error() {
    if (const Json* value = find("relative_error"); value != nullptr && *value == "inf")
      return std::numeric_limits<double>::infinity();
    return number("relative_error");
  }
  std::vector<int64_t> samples() {
    std::vector<int64_t> out;
    const Json* values = find("samples_ns");
    if (values == nullptr) return out;
    if (!values->is_array() || values->size() > kMaxSamples) {
      wrong("samples_ns");
      return out;
    }
    for (const Json& value : *values) out.push_back(integer(&value, "samples_ns"));
    return out;
  }
};

Trial trial_from(Fields& f) {
  Trial trial;
  trial.schedule = f.text("schedule");
  trial.machine = f.text("machine");
  trial.features = f.text("features");
  trial.threads = f.threads();
  trial.build = f.text("build");
  const std::optional<TrialStatus> status = parse_status(f.text("status"));
  if (!status && f.fault.empty()) f.fault = "unknown status";
  trial.status = status.value_or(TrialStatus::invalid);
  trial.samples_ns = f.samples();
  trial.message = f.text("message");
  trial.relative_error = f.relative_error();
  trial.unix_ms = f.integer("unix_ms");
  trial.author = f.text("author");
  trial.run = f.text("run");
  return trial;
}

Mark mark_from(Fields& f) {
  const std::optional<MarkKind> kind = parse_mark(f.text("mark"));
  if (!kind && f.fault.empty()) f.fault = "unknown mark";
  return {.kind = kind.value_or(MarkKind::clear),
          .trial = f.text("trial"),
          .unix_ms = f.integer("unix_ms"),
          .note = f.text("note")};
}

Row row_from(Fields& f) {
  const std::string kind = f.text("kind");
  if (kind == "workload") return WorkloadRow{.text = f.text("text"), .family = f.text("family")};
  if (kind == "machine") return MachineRow{.hash = f.text("id"), .description = f.text("description")};
  if (kind == "build")
    return BuildRow{.toolchain = f.text("toolchain"), .version = f.text("version"), .space_hash = f.text("space_hash")};
  if (kind == "calibration")
    return CalibrationRow{.machine = f.text("machine"),
                          .run = f.text("run"),
                          .peak_gflops = f.number("peak_gflops"),
                          .bandwidth_gbs = f.number("bandwidth_gbs"),
                          .threads = f.threads(),
                          .unix_ms = f.integer("unix_ms")};
  if (kind == "trial") return trial_from(f);
  if (kind == "mark") return mark_from(f);
  if (f.fault.empty()) f.fault = "unknown kind";
  return WorkloadRow{};
}

// Nothing of ours nests deeper than samples in an object; a bomb of brackets is cut where it starts.
Json parse_shallow(std::string_view line) {
  bool deep = false;
  Json json = Json::parse(
      line.begin(), line.end(),
      [&](int depth, Json::parse_event_t event, Json&) {
        if (depth > 1 && (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start))
          deep = true;
        return !deep;
      },
      false);
  return deep ? Json(Json::value_t::discarded) : json;
}

}  // namespace

bool is_hash(std::string_view text) {
  return text.size() == 32 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string text_fault(std::string_view text, size_t max_bytes, std::string_view name) {
  if (text.size() > max_bytes) return fmt::format("{} is over {} bytes", name, max_bytes);
  return is_clean(text) ? "" : fmt::format("{} is not plain text", name);
}

std::string row_fault(const Row& row) {
  Check c;
  std::visit([&](const auto& r) { check(c, r); }, row);
  return std::move(c.fault);
}

Trial cleaned(Trial trial) {
  trial.message = clean_text(trial.message, kMaxMessageBytes);
  if (std::isnan(trial.relative_error)) trial.relative_error = std::numeric_limits<double>::infinity();
  return trial;
}

std::string row_id(const WorkloadRow& row) {
  return content_hash(row.text);
}
std::string row_id(const BuildRow& row) {
  return hash_of(to_json(row));
}
std::string row_id(const CalibrationRow& row) {
  return hash_of(to_json(row));
}
std::string row_id(const Trial& trial) {
  return hash_of(to_json(trial));
}
std::string row_id(const Mark& mark) {
  return hash_of(to_json(mark));
}

std::string row_line(const Row& row) {
  return std::visit(
      [](const auto& r) {
        Json json = to_json(r);
        if constexpr (std::is_same_v<decltype(r), const MachineRow&>)
          json["id"] = r.hash;
        else if constexpr (std::is_same_v<decltype(r), const WorkloadRow&>)
          json["id"] = content_hash(r.text);
        else
          json["id"] = hash_of(json);
        return json.dump();
      },
      row);
}

std::string samples_text(const std::vector<int64_t>& samples) {
  return Json(samples).dump();
}

std::vector<int64_t> parse_samples(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return {};
  std::vector<int64_t> out;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  while (at < end && out.size() <= kMaxSamples) {
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (next != end && *next != ',')) return {};
    out.push_back(value);
    at = next + (next == end ? 0 : 1);
  }
  return out;
}

ParsedLine parse_line(std::string_view line) {
  Json json = parse_shallow(line);
  if (!json.is_object()) return {.fault = "not a JSON object"};
  Fields fields{json, {}};
  ParsedLine out;
  out.id = fields.text("id");
  out.row = row_from(fields);
  out.fault = std::move(fields.fault);
  if (!out.fault.empty()) return out;

  Json again;
  if (auto* trial = std::get_if<Trial>(&out.row)) {
    out.workload_hash = fields.text("workload");
    Trial filled = *trial;
    filled.workload = "?";  // looked up by whoever imports; the rest is checked here
    out.fault = is_hash(out.workload_hash) ? row_fault(filled) : "workload is not a hash";
    if (out.fault.empty()) again = trial_json(*trial, out.workload_hash);
  } else {
    out.fault = row_fault(out.row);
    if (out.fault.empty()) again = std::visit([](const auto& row) { return to_json(row); }, out.row);
  }
  if (!out.fault.empty()) return out;

  std::string id = out.id;
  if (const auto* workload = std::get_if<WorkloadRow>(&out.row))
    id = content_hash(workload->text);
  else if (!std::holds_alternative<MachineRow>(out.row))
    id = hash_of(again);
  if (id != out.id) {
    out.fault = "the id does not match the content";
    return out;
  }
  // A field that is not ours would be lost on the way, and the row with it change.
  if (json.size() != again.size() + 1) out.fault = "unknown or empty field";
  return out;
}

}  // namespace oc
