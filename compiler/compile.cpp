#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "compiler/emit.h"
#include "compiler/module_cache.h"
#include "compiler/variants.h"
#include "dsl/varying.h"
#include "generators/build.h"
#include "generators/embedded_runtime.h"
#include "generators/link.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

Lock read_lock(const fs::path& file, const CompileOptions& options, std::vector<std::string>& warnings) {
  Lock lock = parse_lock(read_file(file), file.string());
  if (lock.target != options.target.name())
    user_error("{}: made for target {}, this compiles for {}; say --target {}, or compile without --lock",
               file.string(), lock.target, options.target.name(), lock.target);
  if (options.default_threads > 0 && lock.threads != options.default_threads)
    user_error("{}: made for {} threads, this compiles for {}; say --threads {}, or compile without --lock",
               file.string(), lock.threads, options.default_threads, lock.threads);
  if (lock.toolchain != toolchain_id())
    warnings.push_back(
        fmt::format("{}: made by another compiler ({}; this is {}): the schedules are the same, the code "
                    "may differ",
                    file.string(), lock.toolchain, toolchain_id()));
  return lock;
}

// Everything the bytes of a cached library depend on.
std::string cache_key(const fs::path& file, const CompileResult& result, const CompileOptions& options) {
  std::string runtime;
  for (const EmbeddedObject& object : embedded_runtime(options.target.arch)) runtime += content_hash(object.bytes);
  std::string symbols;
  for (const Kernel& kernel : result.model.kernels) symbols += print_symbols(kernel) + "\n";
  return program_key(fmt::format("{}\n{}\n{}\n{}\n{}", runtime, content_hash(read_file(file)), print_lock(result.lock),
                                 print_graph(result.model.graph) + symbols, options.default_threads));
}

// Of the model, whatever its shapes.
fs::path variants_file(const fs::path& file, const CompileOptions& options) {
  const std::string key =
      fmt::format("{}\n{}\n{}", content_hash(read_file(file)), options.target.name(), options.threads);
  return options.cache / "variants" / (content_hash(key) + ".json");
}

std::vector<AxisInterface> axes_of(const ShapeRanges& ranges, const Graph& graph) {
  std::vector<AxisInterface> axes;
  for (const ShapeRanges::Axis& axis : ranges.axes()) {
    AxisInterface& made = axes.emplace_back(AxisInterface{axis.name, "", axis.low, axis.high, axis.step, {}});
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      for (const auto& [input, dim] : axis.places)
        if (graph[graph.inputs[i]].name == input) made.places.emplace_back(i, dim);
    if (made.places.empty()) user_error("'{}' is an extent of no input that the compiled model has", axis.name);
  }
  return axes;
}

// Runs `f`; what the user is told then says for which shapes.
template <class F>
auto at_choice(const ShapeRanges& ranges, int64_t choice, F&& f) {
  const auto told = [&](const UserError& error) {
    std::string text = fmt::format("{}\nwith", error.what());
    for (const auto& [input, extents] : ranges.shapes(choice))
      text += fmt::format(" {}={}", input, fmt::join(extents, "x"));
    if (ranges.axes().size() > 1) text += "; dims that are always equal take one name: [n:1..8], and [n] elsewhere";
    return text;
  };
  try {
    return f();
  } catch (const ValuesNeeded& error) {
    throw ValuesNeeded(told(error), error.inputs);
  } catch (const UserError& error) {
    throw UserError(told(error));
  }
}

std::string name_of(const fs::path& file, const CompileOptions& options) {
  return library_name(options.name.empty() ? file.stem().string() : options.name);
}

// What `compile` makes once the kernels are given up that vary and cannot be built.
template <class F>
CompileResult until_built(Variants& variants, F&& compile) {
  while (true) {
    try {
      return compile();
    } catch (const VaryingFailed& failed) {
      variants.give_up(failed.kernel);
    }
  }
}

// Finds schedules for the kernels of one model after the other.
class Planner {
 public:
  // `sources` says what is forced or locked, the layers come last.
  Planner(const OpTable& ops, const CompileOptions& options, int threads, PickSources sources = {})
      : options_(options), threads_(threads), layers_(open_layers(options.layers)), sources_(std::move(sources)) {
    sources_.forced = options.forced;
    sources_.deterministic = options.deterministic;
    sources_.trials.emplace(layers_, current_build_id());
    if (options.transfer) sources_.trials->transfer = &ops;
  }
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  [[nodiscard]] CompileResult plan(Model model, std::vector<std::string> warnings, Variants* variants = nullptr) const {
    CompileResult result{.model = std::move(model), .warnings = std::move(warnings)};
    result.warnings.insert(result.warnings.end(), result.model.warnings.begin(), result.model.warnings.end());
    result.picks = pick(result.model.kernels, result.warnings);
    if (variants != nullptr) {
      std::vector<std::string> unheard;  // of kernels that may not be taken
      variants->apply(result.model, result.picks, options_.target,
                      [&](const Kernel& kernel) { return pick({kernel}, unheard)[0]; });
    }
    result.warnings.insert(result.warnings.end(), layers_.warnings().begin(), layers_.warnings().end());
    result.lock = make_lock(result, options_.target, threads_);
    return result;
  }

 private:
  [[nodiscard]] std::vector<Pick> pick(const std::vector<Kernel>& kernels, std::vector<std::string>& said) const {
    return pick_schedules(kernels, options_.target, host_machine(), threads_, sources_, said);
  }

  const CompileOptions& options_;
  const int threads_;
  const Layers layers_;
  PickSources sources_;
};

}  // namespace

CompileResult plan_compile(const fs::path& file, const OpTable& ops, const CompileOptions& options) {
  if (!options.lock) return plan_compile(load_model(file, ops, options.target, options.model), ops, options);
  std::vector<std::string> warnings;
  const Lock lock = read_lock(*options.lock, options, warnings);
  return Planner(ops, options, lock.threads, {.lock = &lock, .lock_file = options.lock->string()})
      .plan(load_model(file, ops, options.target, options.model), std::move(warnings));
}

CompileResult plan_compile(Model model, const OpTable& ops, const CompileOptions& options) {
  return Planner(ops, options, options.threads).plan(std::move(model), {});
}

CompileResult compile_model(const fs::path& file, const OpTable& ops, const CompileOptions& options,
                            const fs::path& out_dir, const std::set<Emit>& emit, const BuildProgress& progress) {
  require_linkable(options.target);
  CompileResult result = plan_compile(file, ops, options);
  LibraryBuilder builder(ops, options, name_of(file, options));
  builder.add(result, progress);
  builder.write(result, out_dir, emit, false);
  return result;
}

CompileResult compile_model(const fs::path& file, const ShapeRanges& ranges, const OpTable& ops,
                            const CompileOptions& options, const fs::path& out_dir, std::set<Emit> emit,
                            const BuildProgress& progress) {
  require_linkable(options.target);
  emit.erase(Emit::lock);  // it could not say which kernels serve which shapes
  OnnxModel source(file);
  const Planner planner(ops, options, options.threads);
  Variants variants({}, ops);
  const auto load = [&](int64_t choice) {
    ModelOptions model = options.model;
    model.shapes = ranges.shapes(choice);
    return at_choice(ranges, choice, [&] { return load_model(source, file, ops, options.target, model); });
  };
  const auto plan = [&](int64_t choice) { return planner.plan(load(choice), {}, &variants); };
  static_cast<void>(load(0));  // what the smallest is too small for is told before anything is built
  const auto compile = [&] {
    // What varies is learned from two shapes before anything is built.
    CompileResult all = plan(ranges.count() - 1);
    static_cast<void>(plan(ranges.unlike_the_largest()));
    variants.keep_those_that_vary();
    LibraryBuilder builder(ops, options, name_of(file, options), axes_of(ranges, all.model.graph));
    for (int64_t choice = ranges.count(); choice-- > 0;) {
      CompileResult result = plan(choice);
      at_choice(ranges, choice, [&] { builder.add(result); });
      for (const std::string& warning : result.warnings)
        if (std::ranges::find(all.warnings, warning) == all.warnings.end()) all.warnings.push_back(warning);
      if (progress) progress(static_cast<size_t>(ranges.count() - choice), static_cast<size_t>(ranges.count()));
    }
    builder.write(all, out_dir, emit, false);
    all.picks = builder.picks();
    all.shapes = ranges.count();
    return all;
  };
  return until_built(variants, compile);
}

CompileResult compile_to_cache(const fs::path& file, const OpTable& ops, const CompileOptions& options,
                               const BuildProgress& progress) {
  if (!options.vary) return compile_to_cache(plan_compile(file, ops, options), file, ops, options, progress);
  Variants variants(variants_file(file, options), ops);
  const Model model = load_model(file, ops, options.target, options.model);
  const Planner planner(ops, options, options.threads);
  return until_built(variants, [&] {
    CompileResult varied = compile_to_cache(planner.plan(model, {}, &variants), file, ops, options, progress);
    variants.save();
    return varied;
  });
}

CompileResult compile_to_cache(CompileResult result, const fs::path& file, const OpTable& ops,
                               const CompileOptions& options, const BuildProgress& progress) {
  result.lock = make_lock(result, options.target, result.lock.threads);
  const ModuleCache cache(options.cache);
  const std::string key = cache_key(file, result, options);
  const fs::path folder = cache.folder(key);
  result.shared_library = folder / "libmodel.so";
  if (cache.holds(key)) {
    result.kernels_cached = result.picks.size();
    return result;
  }
  LibraryBuilder builder(ops, options, "model");  // whatever the file is called: the key is its content
  builder.add(result, progress);
  builder.write(result, folder, {Emit::shared_library, Emit::lock}, true);
  cache.seal(key);
  return result;
}

}  // namespace oc
