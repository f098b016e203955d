#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "compiler/module_cache.h"
#include "compiler/variants.h"
#include "dsl/varying.h"
#include "generators/disassemble.h"
#include "generators/embedded_runtime.h"
#include "generators/interface.h"
#include "generators/link.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownDigits = 12;  // of a kernel's hash, as in `explain`

Lock make_lock(const CompileResult& result, const Target& target, int threads) {
  Lock lock{target.name(), threads, toolchain_id(), {}};
  for (size_t k = 0; k < result.picks.size(); ++k) {
    const Pick& pick = result.picks[k];
    const std::string unmeasured = pick.rung == "forced" ? "forced" : "default";
    lock.entries.push_back({result.model.kernels[k].workload.text, print_schedule(pick.schedule),
                            pick.trial.empty() ? unmeasured : pick.trial, pick.rung});
  }
  return lock;
}

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

// One whose extents vary cannot be built.
struct VaryingFailed {
  Kernel kernel;
};

// A pick whose build failed: one the user asked for is the user's mistake, the formula's is ours. What a database said
// is replaced by the formula's.
void give_up(CompileResult& result, size_t k, const CompileOptions& options, const std::string& fault) {
  Pick& pick = result.picks[k];
  const Kernel& kernel = result.model.kernels[k];
  if (!kernel.symbols.empty()) throw VaryingFailed{kernel};  // another schedule's tiles may not fit into the extents
  const std::string hash = kernel.workload.hash();
  switch (pick.origin) {
    case Pick::Origin::forced:
    case Pick::Origin::lock:
      user_error("{}: the schedule of kernel {} cannot be built: {}\n{}", pick.source, hash, fault,
                 print_schedule(pick.schedule));
    case Pick::Origin::database:
      result.warnings.push_back(
          fmt::format("{}: the schedule of trial {} for kernel {} cannot be built ({}); the "
                      "default is used",
                      pick.source, pick.trial, hash, fault));
      pick = default_pick(kernel, options.target, result.lock.threads, options.deterministic);
      return;
    case Pick::Origin::formula: break;
  }
  internal_error("kernel {} cannot be built: {}\n{}\n{}", hash, fault, kernel.workload.text,
                 print_schedule(pick.schedule));
}

std::vector<BuildOutcome> build_picks(const CompileResult& result, const std::vector<size_t>& kernels,
                                      const OpTable& ops, const CompileOptions& options, ObjectCache& cache,
                                      const std::function<void(size_t)>& done) {
  std::vector<BuildJob> jobs;
  for (const size_t k : kernels) jobs.push_back({&result.model.kernels[k], result.picks[k].schedule});
  return build_kernels(jobs, ops, options.target, {.jobs = options.jobs, .limits = {}, .cache = &cache}, done);
}

// Builds every kernel; result.picks and result.lock say afterwards what was built.
std::vector<Artifact> build_all(CompileResult& result, const OpTable& ops, const CompileOptions& options,
                                const BuildProgress& progress) {
  ObjectCache cache(options.cache / "kernels");
  std::vector<size_t> waiting(result.picks.size());
  std::iota(waiting.begin(), waiting.end(), size_t{0});
  std::vector<Artifact> artifacts(result.picks.size());
  size_t already = 0;
  const auto done = [&](size_t finished) {
    if (progress) progress(already + finished, result.picks.size());
  };
  while (!waiting.empty()) {
    std::vector<BuildOutcome> outcomes = build_picks(result, waiting, ops, options, cache, done);
    std::vector<size_t> failed;
    for (size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].status != ChildStatus::ok) {
        give_up(result, waiting[i], options, outcomes[i].error);
        failed.push_back(waiting[i]);
        continue;
      }
      ++(outcomes[i].cached ? result.kernels_cached : result.kernels_built);
      artifacts[waiting[i]] = std::move(outcomes[i].artifact);
    }
    waiting = std::move(failed);
    already = result.picks.size() - waiting.size();
  }
  result.lock = make_lock(result, options.target, result.lock.threads);
  return artifacts;
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

// Texts of single kernels by file name: "<name>.<first digits of the workload's hash>.s" and ".stmt".
std::map<std::string, std::string> kernel_texts(const CompileResult& result, const std::vector<Artifact>& artifacts,
                                                const OpTable& ops, const Target& target, const std::string& name,
                                                const std::set<Emit>& emit) {
  std::map<std::string, std::string> texts;
  for (size_t k = 0; k < artifacts.size(); ++k) {
    const Kernel& kernel = result.model.kernels[k];
    const std::string stem = fmt::format("{}.{}", name, kernel.workload.hash().substr(0, kShownDigits));
    if (emit.contains(Emit::assembly)) texts[stem + ".s"] = disassemble(artifacts[k].object, target);
    if (!emit.contains(Emit::statement)) continue;
    ChildResult lowered =
        run_in_child([&] { return lowered_statement(kernel, ops, target, result.picks[k].schedule); });
    if (lowered.status != ChildStatus::ok)
      internal_error("kernel {} cannot be lowered: {}", kernel.workload.hash(), lowered.result);
    texts[stem + ".stmt"] = std::move(lowered.result);
  }
  return texts;
}

std::vector<bool> inputs_that_vary(const Kernel& kernel) {
  std::vector<bool> result;
  for (const ValueId input : kernel.graph.inputs)
    result.push_back(
        std::ranges::any_of(kernel.symbols[input.index], [](int symbol) { return symbol != Kernel::kFixed; }));
  return result;
}

// Does the group, a movement, leave more than half of its weights unread, because its output is so much smaller?
bool reads_part(const Graph& graph, const Group& group) {
  constexpr int64_t kLarge = 1 << 20;
  int64_t weights = 0;
  for (const ValueId input : group.inputs)
    if (graph[input].kind == ValueKind::constant) weights += graph[input].type.bytes();
  return weights >= kLarge && weights > 2 * graph[group.output].type.bytes();
}

void emit_library(CompileResult& result, const OpTable& ops, const CompileOptions& options, const std::string& name,
                  const fs::path& out_dir, const std::set<Emit>& emit, bool separate_weights,
                  const BuildProgress& progress) {
  const TempDir writable;  // a user's mistake to tell here; of a kernel's child it would look like a defect of ours
  const std::vector<Artifact> artifacts = build_all(result, ops, options, progress);
  const std::map<std::string, std::string> texts = kernel_texts(result, artifacts, ops, options.target, name, emit);
  std::vector<Packings> packings;
  std::vector<std::string> objects;
  for (size_t k = 0; k < artifacts.size(); ++k) {
    packings.push_back(weight_packings(result.model.kernels[k], options.target, result.picks[k].schedule));
    objects.push_back(artifacts[k].object);
  }
  std::vector<GroupBinding> bindings;
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
    const Group& group = result.model.partition.groups[g];
    GroupBinding binding{.label = group_label(result.model, g), .inputs = group.inputs};
    if (k != kNoKernel) {
      binding.symbol = artifacts[k].symbol;
      binding.packings = packings[k];
      binding.in_place_ok = result.model.kernels[k].family == Family::elementwise;
      if (!result.model.sizes_of.empty()) binding.sizes = result.model.sizes_of[g];
      if (!binding.sizes.empty()) binding.varying = inputs_that_vary(result.model.kernels[k]);
      binding.reads_part = result.model.kernels[k].family == Family::movement && reads_part(result.model.graph, group);
    }
    bindings.push_back(std::move(binding));
  }
  const PackedWeights weights = pack(result.model.graph, bindings);
  const Plan plan = make_plan(result.model.graph, result.model.partition, bindings, weights);
  result.files = write_library({.name = name,
                                .target = options.target,
                                .graph = result.model.graph,
                                .plan = plan,
                                .weights = weights,
                                .objects = objects,
                                .lock = result.lock,
                                .default_threads = options.default_threads,
                                .separate_weights = separate_weights,
                                .emit = emit},
                               out_dir);
  for (const auto& [file, text] : texts) {
    write_file_atomic(out_dir / file, text);
    result.files.push_back(out_dir / file);
  }
  for (const fs::path& path : result.files)
    if (path.extension() == ".so") result.shared_library = path;
}

std::string name_of(const fs::path& file, const CompileOptions& options) {
  return library_name(options.name.empty() ? file.stem().string() : options.name);
}

// The rest of plan_compile. `sources` says what is forced or locked, the layers come last.
CompileResult plan(Model model, const OpTable& ops, const CompileOptions& options, int threads, PickSources sources,
                   std::vector<std::string> warnings, Variants* variants = nullptr) {
  CompileResult result{.model = std::move(model), .warnings = std::move(warnings)};
  const Layers layers = open_layers(options.layers);
  sources.forced = options.forced;
  sources.deterministic = options.deterministic;
  sources.trials.emplace(layers, current_build_id());
  if (options.transfer) sources.trials->transfer = &ops;
  result.warnings.insert(result.warnings.end(), result.model.warnings.begin(), result.model.warnings.end());
  const auto pick = [&](const std::vector<Kernel>& kernels, std::vector<std::string>& said) {
    return pick_schedules(kernels, options.target, host_machine(), threads, sources, said);
  };
  result.picks = pick(result.model.kernels, result.warnings);
  if (variants != nullptr) {
    std::vector<std::string> unheard;  // of kernels that may not be taken
    variants->apply(result.model, result.picks, options.target,
                    [&](const Kernel& kernel) { return pick({kernel}, unheard)[0]; });
  }
  result.warnings.insert(result.warnings.end(), layers.warnings().begin(), layers.warnings().end());
  result.lock = make_lock(result, options.target, threads);
  return result;
}

}  // namespace

CompileResult plan_compile(const fs::path& file, const OpTable& ops, const CompileOptions& options) {
  if (!options.lock) return plan_compile(load_model(file, ops, options.target, options.model), ops, options);
  std::vector<std::string> warnings;
  const Lock lock = read_lock(*options.lock, options, warnings);
  return plan(load_model(file, ops, options.target, options.model), ops, options, lock.threads,
              {.lock = &lock, .lock_file = options.lock->string()}, std::move(warnings));
}

CompileResult plan_compile(Model model, const OpTable& ops, const CompileOptions& options) {
  return plan(std::move(model), ops, options, options.threads, {}, {});
}

CompileResult compile_model(const fs::path& file, const OpTable& ops, const CompileOptions& options,
                            const fs::path& out_dir, const std::set<Emit>& emit, const BuildProgress& progress) {
  require_linkable(options.target);
  CompileResult result = plan_compile(file, ops, options);
  emit_library(result, ops, options, name_of(file, options), out_dir, emit, false, progress);
  return result;
}

CompileResult compile_to_cache(const fs::path& file, const OpTable& ops, const CompileOptions& options,
                               const BuildProgress& progress) {
  if (!options.vary) return compile_to_cache(plan_compile(file, ops, options), file, ops, options, progress);
  Variants variants(variants_file(file, options), ops);
  const Model model = load_model(file, ops, options.target, options.model);
  while (true) {
    try {
      CompileResult varied = plan(model, ops, options, options.threads, {}, {}, &variants);
      varied = compile_to_cache(std::move(varied), file, ops, options, progress);
      variants.save();
      return varied;
    } catch (const VaryingFailed& failed) {
      variants.give_up(failed.kernel);
    }
  }
}

CompileResult compile_to_cache(CompileResult result, const fs::path& file, const OpTable& ops,
                               const CompileOptions& options, const BuildProgress& progress) {
  result.lock = make_lock(result, options.target, result.lock.threads);
  const ModuleCache cache(options.cache);
  const std::string key = cache_key(file, result, options);
  const fs::path folder = cache.folder(key);
  const std::string name = "model";  // whatever the file is called: the key is its content
  result.shared_library = folder / "libmodel.so";
  if (cache.holds(key)) {
    result.kernels_cached = result.picks.size();
    return result;
  }
  emit_library(result, ops, options, name, folder, {Emit::shared_library, Emit::lock}, true, progress);
  cache.seal(key);
  return result;
}

}  // namespace oc
