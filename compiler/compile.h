// compile: model file → library. A pure function of model, target, threads, schedules found, options; it reads
// databases and never tunes.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/axes.h"
#include "compiler/model.h"
#include "compiler/pick.h"
#include "generators/library.h"

namespace oc {

struct CompileOptions {
  ModelOptions model;
  Target target;
  int threads = 1;          // the schedules are made for so many; a lock's number replaces it if default_threads is 0
  int default_threads = 0;  // of a session of the library; 0: decided when it runs
  std::string name;         // of the library; "" = from the file's name
  LayerPaths layers;
  bool transfer = true;        // what trials of other workloads say of a kernel that has none (transfer.h)
  bool deterministic = false;  // kernels do not depend on `threads`: PickSources
  std::map<std::string, ForcedSchedule> forced;  // by kernel hash or its first digits
  std::optional<std::filesystem::path> lock;
  bool vary = false;            // of compile_to_cache: kernels for extents that vary, see variants.h
  int jobs = 1;                 // kernel builds at once
  std::filesystem::path cache;  // of kernel objects and, for compile_to_cache, libraries
};

// Finished and all kernels.
using BuildProgress = std::function<void(size_t, size_t)>;

struct CompileResult {
  Model model;
  std::vector<Pick> picks;  // per kernel
  Lock lock;
  std::vector<std::filesystem::path> files;  // written
  std::filesystem::path shared_library;      // if emitted
  std::vector<std::string> warnings;
  size_t kernels_built = 0, kernels_cached = 0;
  int64_t shapes = 1;  // that the library serves
};

// Model and schedules, nothing built: what explain shows. UserError, naming the lock and what differs, when the lock
// was made for another target, thread count or model.
[[nodiscard]] CompileResult plan_compile(const std::filesystem::path& file, const OpTable& ops,
                                         const CompileOptions& options);
// The same for a model that is loaded already, without a lock.
[[nodiscard]] CompileResult plan_compile(Model model, const OpTable& ops, const CompileOptions& options);

// Writes the library into `out_dir` (made if missing): everything or, after an error, nothing. A schedule that cannot
// be built is a UserError if the user gave it; one from a database gives way to the formula's, with a warning.
[[nodiscard]] CompileResult compile_model(const std::filesystem::path& file, const OpTable& ops,
                                          const CompileOptions& options, const std::filesystem::path& out_dir,
                                          const std::set<Emit>& emit, const BuildProgress& progress = {});

// One library for all shapes of `ranges`, which stand for options.model.shapes; most of its kernels are for extents
// that vary (variants.h). `progress` counts shapes. No lock is written; options.lock and options.forced must be empty.
[[nodiscard]] CompileResult compile_model(const std::filesystem::path& file, const ShapeRanges& ranges,
                                          const OpTable& ops, const CompileOptions& options,
                                          const std::filesystem::path& out_dir, std::set<Emit> emit,
                                          const BuildProgress& progress = {});

// The shared library that `run` and InferenceSession open, in the cache under a key of everything it depends on;
// weights in a file beside it. Made if it is not there.
[[nodiscard]] CompileResult compile_to_cache(const std::filesystem::path& file, const OpTable& ops,
                                             const CompileOptions& options, const BuildProgress& progress = {});
// The same for what plan_compile made of that file with these options; its picks may have been changed since.
[[nodiscard]] CompileResult compile_to_cache(CompileResult plan, const std::filesystem::path& file, const OpTable& ops,
                                             const CompileOptions& options, const BuildProgress& progress = {});

}  // namespace oc
