#include "cli/verb.h"

#include <spdlog/spdlog.h>

#include <charconv>

#include "base/error.h"
#include "base/files.h"

namespace oc::cli {

void ModelFlags::add_to(CLI::App& verb) {
  verb.add_option("model", file, "ONNX model")->required();
  verb.add_option("--shape", shapes, "Extents of an input, NAME=1x3x224x224; unknown leading extents are 1 without it")
      ->take_all();
  verb.add_option("--target", target,
                  "host, an alias (x86-64-avx2, x86-64-avx512, arm-64-linux, …) or a Halide target string")
      ->capture_default_str();
  verb.add_option("--threads", threads, "Threads the model will run on; 0: all that the process may use")
      ->check(CLI::Range(0, 1024));
  verb.add_option("--db", database, "Tuning database; default: $OPENCOMPILER_DB or the user's own");
}

void ModelFlags::add_passes_to(CLI::App& verb) {
  verb.add_option("--disable-pass", disabled_passes, "Leave out a graph pass")->take_all();
  verb.add_option("--stop-after", stop_after, "Stop the graph passes after this one");
}

ModelOptions ModelFlags::model_options() const {
  ModelOptions options;
  for (const std::string& text : shapes) {
    const auto [name, extents] = parse_assignment(text, "--shape");
    options.shapes[name] = parse_extents(extents);
  }
  options.passes.disabled = disabled_passes;
  options.passes.stop_after = stop_after;
  return options;
}

int ModelFlags::thread_count() const {
  return threads > 0 ? threads : usable_cores();
}

LayerPaths ModelFlags::layers() const {
  LayerPaths paths;
  paths.user = database.empty() ? default_database_path() : std::filesystem::path(database);
  paths.user_is_default = database.empty();
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

int usable_cores() {
  return host_machine().cores;
}

void warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) spdlog::warn("{}", warning);
}

}  // namespace oc::cli
