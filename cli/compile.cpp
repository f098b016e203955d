#include "compiler/compile.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "cli/verb.h"
#include "frontends/onnx/import.h"
#include "generators/link.h"
#include "opencompiler/dsl.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string out, name;
  std::vector<std::string> emit, locks, schedules;
  bool cache = false, vary = false, json = false;
  int jobs = 0;
};

std::set<Emit> parse_emit(const std::vector<std::string>& words) {
  if (words.empty()) return {Emit::static_library, Emit::shared_library, Emit::header, Emit::manifest, Emit::lock};
  const std::map<std::string, Emit> known{{"static", Emit::static_library},
                                          {"shared", Emit::shared_library},
                                          {"header", Emit::header},
                                          {"asm", Emit::assembly},
                                          {"stmt", Emit::statement}};
  std::set<Emit> result{Emit::manifest, Emit::lock};
  for (const std::string& word : words) {
    const auto found = known.find(word);
    if (found == known.end()) user_error("--emit {}: static, shared, header, asm and stmt are known", word);
    result.insert(found->second);
  }
  return result;
}

CompileOptions compile_options(const Flags& flags, const std::optional<ShapeRanges>& ranges) {
  ModelFlags model = flags.model;
  if (ranges) model.shapes.clear();
  CompileOptions options = model.compile_options();
  options.name = flags.name;
  options.vary = flags.vary;
  if (flags.jobs > 0) options.jobs = flags.jobs;
  for (const std::string& text : flags.schedules) {
    const auto [kernel, file] = parse_file_assignment(text, "--schedule");
    options.forced[kernel] = {read_file(file), file};
  }
  return options;
}

nlohmann::json to_json(const CompileResult& result, double seconds) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& path : result.files) files.push_back(path.string());
  return {{"library", result.shared_library.string()},
          {"files", files},
          {"kernels", result.picks.size()},
          {"built", result.kernels_built},
          {"shapes", result.shapes},
          {"seconds", seconds}};
}

void print_text(const CompileResult& result, double seconds) {
  for (const auto& path : result.files) fmt::print("{}\n", path.string());
  std::map<std::string, int> rungs;
  for (const Pick& pick : result.picks) ++rungs[pick.rung];
  std::string summary;
  for (const auto& [rung, count] : rungs) summary += fmt::format("{}{} {}", summary.empty() ? "" : ", ", count, rung);
  const std::string shapes = result.shapes > 1 ? fmt::format(" for {} shapes", result.shapes) : "";
  fmt::print(stderr, "{} kernels{} ({} built, {} cached; schedules: {}) in {:.1f} s\n", result.picks.size(), shapes,
             result.kernels_built, result.kernels_cached, summary, seconds);
}

// A target, the folder for its files (a subfolder of --output when there are several), and its lock if one is given.
struct Destination {
  Target target;
  std::string folder;
  std::optional<std::string> lock;
};

std::string lock_for(const Target& target, const std::vector<std::string>& locks) {
  for (const std::string& file : locks)
    if (parse_lock(read_file(file), file).target == target.name()) return file;
  user_error("--lock: none of {} was made for target {}", fmt::join(locks, ", "), target.name());
}

std::vector<Destination> destinations(const Flags& flags) {
  std::vector<Destination> result;
  std::vector<std::string> names;
  std::istringstream list(flags.model.target);
  for (std::string name; std::getline(list, name, ',');) {
    if (std::ranges::find(names, name) != names.end()) user_error("--target {}: given twice", name);
    names.push_back(name);
  }
  if (names.size() > 1 && flags.cache) user_error("--target {}: --cache takes one target", flags.model.target);
  if (!flags.locks.empty() && flags.locks.size() != names.size())
    user_error("--lock is given {} times for {} targets; each has a lock of its own", flags.locks.size(), names.size());
  for (const std::string& name : names) {
    const Target target = parse_target(name);
    require_linkable(target);
    std::optional<std::string> lock;
    if (!flags.locks.empty()) lock = names.size() == 1 ? flags.locks[0] : lock_for(target, flags.locks);
    const std::filesystem::path out(flags.out);
    const std::filesystem::path folder = names.size() > 1 ? out / name : out;
    result.push_back({target, folder.string(), lock});
  }
  if (result.empty()) user_error("--target is empty; host and x86-64-avx2 are targets, for example");
  return result;
}

CompileResult compile_to(const Flags& flags, const Destination& to, const std::set<Emit>& emit) {
  const std::optional<ShapeRanges> ranges = flags.model.shape_ranges();
  CompileOptions options = compile_options(flags, ranges);
  options.target = to.target;
  if (to.lock) options.lock = *to.lock;
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const BuildProgress progress = [&](size_t done, size_t all) {
    if (terminal)
      std::cerr << fmt::format("\r\033[K{} of {} {}", done, all, ranges ? "shapes" : "kernels")
                << (done == all ? "\r\033[K" : "") << std::flush;
  };
  if (ranges) {
    if (flags.cache) user_error("--shape with a range: --cache takes one shape; write a library with -o");
    if (to.lock || !options.forced.empty())
      user_error("--shape with a range: the kernels are made for extents that vary; leave out --lock and --schedule");
    return compile_model(flags.model.file, *ranges, builtin_ops(), options, to.folder, emit, progress);
  }
  return flags.cache ? compile_to_cache(flags.model.file, builtin_ops(), options, progress)
                     : compile_model(flags.model.file, builtin_ops(), options, to.folder, emit, progress);
}

// A program that reads --json learns which inputs' values are needed.
CompileResult compile_for(const Flags& flags, const Destination& to, const std::set<Emit>& emit) {
  try {
    return compile_to(flags, to, emit);
  } catch (const ValuesNeeded& error) {
    if (flags.json) std::cout << nlohmann::json{{"needs_values_of", error.inputs}}.dump() << '\n';
    throw;
  }
}

int run_compile(const Flags& flags) {
  if (flags.out.empty() && !flags.cache) user_error("say where to write: -o FOLDER (or --cache)");
  const std::set<Emit> emit = parse_emit(flags.emit);
  const std::vector<Destination> all = destinations(flags);
  nlohmann::json rows = nlohmann::json::array();
  for (const Destination& to : all) {
    const auto started = std::chrono::steady_clock::now();
    const CompileResult result = compile_for(flags, to, emit);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    warn(result.warnings);
    if (flags.json) {
      rows.push_back(to_json(result, seconds));
      if (all.size() > 1) rows.back()["target"] = to.target.name();
    } else {
      print_text(result, seconds);
    }
  }
  if (flags.json) std::cout << (all.size() == 1 ? rows[0] : rows).dump() << '\n';
  return kOk;
}

}  // namespace

std::function<int()> add_compile(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("compile", "Model to libraries and a C header");
  verb->footer("Example: opencompiler compile model.onnx -o out/ --name model --threads 1");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  flags->model.add_schedule_sources_to(*verb);
  flags->model.add_passes_to(*verb);
  verb->get_option("--shape")->description(
      "Extents of an input, NAME=1x3x224x224; unknown leading extents are 1 without it. One library for many shapes: "
      "NAME=[1..8]x3x[32..960:32]x640, extents from 1 to 8 and from 32 to 960 by 32, chosen when it runs; up to 4096 "
      "shapes, and no --lock or --schedule. Dims to which the model gives one name are one extent; [n:1..8] gives a "
      "name, [n] stands for it elsewhere");
  verb->get_option("--target")
      ->description(
          "host (no more than $OPENCOMPILER_HOST_TARGET if set), an alias (x86-64-avx2, x86-64-avx512, arm-64-linux, "
          "…) or a Halide target string; several with commas: a subfolder each");
  verb->add_option("-o,--output", flags->out,
                   "Folder for the library, header, manifest and, but with ranges of shapes, lock");
  verb->add_option("--name", flags->name, "Of the library and its C functions; default: the model file's");
  add_list(*verb, "--emit", flags->emit, "static, shared, header; asm, stmt: a file a kernel; default the first three")
      ->delimiter(',');
  add_list(*verb, "--lock", flags->locks, "Use the schedules of this lock; with several targets, once for each");
  add_list(*verb, "--schedule", flags->schedules, "KERNEL=FILE: force a schedule; KERNEL is a hash from `explain`");
  verb->add_option("--jobs", flags->jobs, "Kernel builds at once; 0: one a core")->check(CLI::Range(0, 1024));
  verb->add_flag("--cache", flags->cache, "Only make the shared library in the cache, as `run` does");
  verb->add_flag(
          "--vary", flags->vary,
          "With --cache: where an earlier compile of the model so had other shapes, build kernels for extents that "
          "vary, and use those again that fit")
      ->needs("--cache")
      ->excludes("--lock")
      ->excludes("--schedule")
      ->excludes("--deterministic");
  verb->add_flag("--json", flags->json, "Print the result as JSON");
  return [flags] { return run_compile(*flags); };
}

}  // namespace oc::cli
