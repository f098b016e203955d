#include "cli/verb.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "cli/inputs.h"
#include "tuning_db/rows.h"

namespace oc::cli {
namespace {

constexpr int kMaxThreadCount = 1024;

// As compiled libraries read it (runtime/embedded/threads.c): a whole number from 1, the first of a list; else 0.
int threads_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return 0;
  const std::string_view all(text);
  int count = 0;
  const auto [rest, error] = std::from_chars(all.data(), all.data() + all.size(), count);
  const bool ends = rest == all.data() + all.size() || *rest == ',';
  return error == std::errc() && ends && count >= 1 ? std::min(count, kMaxThreadCount) : 0;
}

}  // namespace

CLI::Option* add_list(CLI::App& verb, const std::string& flag, std::vector<std::string>& values,
                      const std::string& what) {
  return verb.add_option(flag, values, what)->allow_extra_args(false)->take_all();
}

CLI::Validator row_text(size_t max_bytes) {
  return {[max_bytes](const std::string& text) { return text_fault(text, max_bytes, "the text"); }, ""};
}

void ModelFlags::add_to(CLI::App& verb) {
  verb.add_option("model", file, "ONNX model")->required();
  of_making.push_back(add_list(verb, "--shape", shapes,
                               "Extents of an input, NAME=1x3x224x224; unknown leading extents are 1 without it"));
  of_making.push_back(add_list(
      verb, "--freeze", constants,
      "Make an input a constant of the compiled model, NAME=16000, NAME=@file.npy, NAME=@file.npz or NAME=1x3xf32=0.5; "
      "strings always, NAME=@file.npy or a scalar's text; branches and arithmetic that depend on it alone vanish"));
  of_making.push_back(verb.add_option("--target", target,
                                      "host, an alias (x86-64-avx2, x86-64-avx512, arm-64-linux, …) or a Halide target "
                                      "string")
                          ->capture_default_str());
  verb.add_option("--threads", threads,
                  "Threads the model will run on; 0: $OPENCOMPILER_NUM_THREADS, $OMP_NUM_THREADS, or all that the "
                  "process may use")
      ->check(CLI::Range(0, kMaxThreadCount));
  of_making.push_back(
      verb.add_option("--db", database, "Tuning database; default: $OPENCOMPILER_DB or the user's own"));
}

void ModelFlags::add_passes_to(CLI::App& verb) {
  add_list(verb, "--disable-pass", disabled_passes, "Leave out a graph pass");
  verb.add_option("--stop-after", stop_after, "Stop the graph passes after this one");
}

void ModelFlags::add_databases_to(CLI::App& verb) {
  of_making.insert(of_making.end(),
                   {add_list(verb, "--team-db", team_databases, "A database of others to look up schedules in, too"),
                    verb.add_flag("--no-shipped", no_shipped, "Leave out the schedules that ship with the compiler")});
}

void ModelFlags::add_schedule_sources_to(CLI::App& verb) {
  add_databases_to(verb);
  of_making.insert(
      of_making.end(),
      {verb.add_flag("--no-transfer", no_transfer,
                     "A kernel without trials gets its formula's schedule, whatever trials of kernels like "
                     "it or of machines like this say"),
       verb.add_flag("--untuned", untuned, "Schedules from formulas alone, whatever databases hold"),
       verb.add_flag("--deterministic", deterministic,
                     "The same kernels for any number of threads, so that results are the same to the bit")});
}

ModelOptions ModelFlags::model_options() const {
  ModelOptions options;
  for (const std::string& text : shapes) {
    const auto [name, extents] = parse_assignment(text, "--shape");
    if (has_ranges(extents)) user_error("--shape {}: only `compile -o` takes ranges; give one shape", text);
    options.shapes[name] = parse_extents(extents);
  }
  options.constants = parse_constants(constants, file);
  options.passes.disabled = disabled_passes;
  options.passes.stop_after = stop_after;
  options.all_values = all_values;
  return options;
}

std::optional<ShapeRanges> ModelFlags::shape_ranges() const {
  std::map<std::string, std::string> texts;
  for (const std::string& text : shapes) {
    const auto [name, extents] = parse_assignment(text, "--shape");
    texts[name] = extents;
  }
  const bool any = std::ranges::any_of(texts, [](const auto& entry) { return has_ranges(entry.second); });
  return any ? std::optional<ShapeRanges>(std::in_place, texts, file) : std::nullopt;
}

CompileOptions ModelFlags::compile_options() const {
  CompileOptions options;
  options.model = model_options();
  options.threads = thread_count();
  options.default_threads = threads;
  options.layers = layers();
  options.transfer = !no_transfer;
  options.deterministic = deterministic;
  options.jobs = usable_cores();
  options.cache = default_cache_path();
  return options;
}

int ModelFlags::thread_count() const {
  if (threads > 0) return threads;
  for (const char* name : {"OPENCOMPILER_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const int count = threads_in_environment(name); count > 0) return count;
  return usable_cores();
}

std::filesystem::path ModelFlags::database_path() const {
  return database.empty() ? default_database_path() : std::filesystem::path(database);
}

LayerPaths ModelFlags::layers() const {
  LayerPaths paths;
  if (untuned) return paths;
  paths.user = database_path();
  paths.user_is_default = database.empty();
  paths.teams.assign(team_databases.begin(), team_databases.end());
  if (!no_shipped) {
    paths.system = std::filesystem::path(OC_SOURCE_DIR) / "tuning_db" / "system";
    paths.system_cache = default_cache_path() / "shipped";
  }
  return paths;
}

Extents parse_extents(std::string_view text) {
  Extents extents;
  const char* at = text.data();
  const char* end = text.data() + text.size();
  while (at < end) {
    int64_t extent = 0;
    const auto [rest, error] = std::from_chars(at, end, extent);
    if (error != std::errc() || extent < 0 || (rest != end && (*rest != 'x' || rest + 1 == end)))
      user_error("'{}' is no shape; write it as 1x3x224x224", text);
    extents.push_back(extent);
    at = rest + (rest != end ? 1 : 0);
  }
  return extents;
}

double parse_duration(std::string_view text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
  const std::map<std::string_view, double> units{{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
  const auto found = units.find(unit);
  if (error != std::errc() || found == units.end() || !(value > 0))
    user_error("'{}' is no duration; write 90s, 10m or 2h", text);
  return value * found->second;
}

std::pair<std::string, std::string> parse_assignment(std::string_view text, std::string_view flag) {
  const size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0) user_error("{} '{}': write NAME=VALUE", flag, text);
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::pair<std::string, std::string> parse_file_assignment(std::string_view text, std::string_view flag) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) user_error("{} '{}': write NAME=FILE", flag, text);
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

int usable_cores() {
  return host_machine().cores;
}

void warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) spdlog::warn("{}", warning);
}

}  // namespace oc::cli
