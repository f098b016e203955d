// A verb of the command line: one file, one row in verbs.inc.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/compile.h"

namespace oc::cli {

// Exit statuses.
inline constexpr int kOk = 0, kUserError = 1, kUsage = 2, kInternalError = 70;

// Adds the verb's subcommand and returns what runs it.
#define OC_VERB(name) std::function<int()> add_##name(CLI::App& app);
#include "cli/verbs.inc"
#undef OC_VERB

// An option that may be given several times, one value each: it leaves the words behind its value to others.
CLI::Option* add_list(CLI::App& verb, const std::string& flag, std::vector<std::string>& values,
                      const std::string& what);

// For an option whose text goes into a database: refuses what no row can hold.
[[nodiscard]] CLI::Validator row_text(size_t max_bytes);

// What most verbs take of a model. Fields are filled when the command line has been parsed.
struct ModelFlags {
  std::string file;
  std::vector<std::string> shapes, constants;
  std::string target = "host";
  int threads = 0;
  std::string database;
  std::vector<std::string> team_databases;
  bool no_shipped = false, no_transfer = false, untuned = false, all_values = false, deterministic = false;
  std::vector<std::string> disabled_passes;
  std::string stop_after;
  std::vector<const CLI::Option*> of_making;  // the options that say how a model is compiled

  void add_to(CLI::App& verb);
  void add_passes_to(CLI::App& verb);
  void add_databases_to(CLI::App& verb);
  void add_schedule_sources_to(CLI::App& verb);
  // UserError when a flag's value makes no sense.
  [[nodiscard]] Target parsed_target() const { return parse_target(target); }
  [[nodiscard]] ModelOptions model_options() const;
  // Of --shape, where one has a range.
  [[nodiscard]] std::optional<ShapeRanges> shape_ranges() const;
  // All that they say but the target, with the cache and as many builds at once as there are cores.
  [[nodiscard]] CompileOptions compile_options() const;
  // --threads, else what a compiled library would take: the environment's number or what the process may use.
  [[nodiscard]] int thread_count() const;
  // The databases that schedules are looked up in.
  [[nodiscard]] LayerPaths layers() const;
  // --db, else the default.
  [[nodiscard]] std::filesystem::path database_path() const;
};

// "1x3x224x224" → extents. UserError on anything else.
[[nodiscard]] Extents parse_extents(std::string_view text);
// "10m", "90s", "1.5h", "45" (seconds) → seconds. UserError on anything else.
[[nodiscard]] double parse_duration(std::string_view text);
// "name=value" → both. UserError without "=". Of several "=" the last divides: names of a model may hold one.
[[nodiscard]] std::pair<std::string, std::string> parse_assignment(std::string_view text, std::string_view flag);
// The same for a value that is a file: the first "=" divides.
[[nodiscard]] std::pair<std::string, std::string> parse_file_assignment(std::string_view text, std::string_view flag);
// The number of cores the process may use: quota and affinity.
[[nodiscard]] int usable_cores();
// Prints each once to stderr.
void warn(const std::vector<std::string>& warnings);

}  // namespace oc::cli
