#include "compiler/compile.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "generators/embedded_runtime.h"
#include "generators/interface.h"
#include "generators/link.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

Lock make_lock(const CompileResult& result, const CompileOptions& options) {
  Lock lock{options.target.name(), options.threads, toolchain_id(), {}};
  for (size_t k = 0; k < result.picks.size(); ++k) {
    const Pick& pick = result.picks[k];
    lock.entries.push_back({result.model.kernels[k].workload.text, print_schedule(pick.schedule),
                            pick.trial.empty() ? "default" : pick.trial, pick.rung});
  }
  return lock;
}

std::vector<Artifact> build_all(CompileResult& result, const OpTable& ops, const CompileOptions& options,
                                const BuildProgress& progress) {
  ObjectCache cache(options.cache / "kernels");
  std::vector<BuildJob> jobs;
  for (size_t k = 0; k < result.picks.size(); ++k) jobs.push_back({&result.model.kernels[k], result.picks[k].schedule});
  const auto done = [&](size_t finished) {
    if (progress) progress(finished, jobs.size());
  };
  const std::vector<BuildOutcome> outcomes =
      build_kernels(jobs, ops, options.target, {.jobs = options.jobs, .limits = {}, .cache = &cache}, done);
  std::vector<Artifact> artifacts;
  for (size_t k = 0; k < outcomes.size(); ++k) {
    if (outcomes[k].status != ChildStatus::ok)
      internal_error("kernel {} ({}) cannot be built: {}\n{}\n{}", jobs[k].kernel->workload.hash(),
                     result.picks[k].rung, outcomes[k].error, jobs[k].kernel->workload.text,
                     print_schedule(*jobs[k].schedule));
    ++(outcomes[k].cached ? result.kernels_cached : result.kernels_built);
    artifacts.push_back(outcomes[k].artifact);
  }
  return artifacts;
}

// Everything the bytes of a cached library depend on.
std::string cache_key(const fs::path& file, const CompileResult& result, const CompileOptions& options) {
  std::string runtime;
  for (const EmbeddedObject& object : embedded_runtime(options.target.arch)) runtime += content_hash(object.bytes);
  return content_hash(fmt::format("{}\n{}\n{}\n{}\n{}\n{}", executable_hash(), runtime, content_hash(read_file(file)),
                                  print_lock(result.lock), print_graph(result.model.graph), options.threads));
}

void emit_library(CompileResult& result, const OpTable& ops, const CompileOptions& options, const std::string& name,
                  const fs::path& out_dir, const std::set<Emit>& emit, bool separate_weights,
                  const BuildProgress& progress) {
  const std::vector<Artifact> artifacts = build_all(result, ops, options, progress);
  std::vector<std::vector<std::optional<Layout>>> packing;
  std::vector<std::string> objects;
  for (size_t k = 0; k < artifacts.size(); ++k) {
    packing.push_back(weight_packing(result.model.kernels[k], options.target, result.picks[k].schedule));
    objects.push_back(artifacts[k].object);
  }
  std::vector<GroupBinding> bindings;
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
    bindings.push_back({.symbol = artifacts[k].symbol,
                        .label = group_label(result.model, g),
                        .inputs = result.model.partition.groups[g].inputs,
                        .packing = packing[k],
                        .in_place_ok = result.model.kernels[k].family == Family::elementwise});
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
                                .default_threads = options.threads,
                                .separate_weights = separate_weights,
                                .emit = emit},
                               out_dir);
  for (const fs::path& path : result.files)
    if (path.extension() == ".so") result.shared_library = path;
}

std::string name_of(const fs::path& file, const CompileOptions& options) {
  return library_name(options.name.empty() ? file.stem().string() : options.name);
}

}  // namespace

CompileResult plan_compile(const fs::path& file, const OpTable& ops, const CompileOptions& options) {
  CompileResult result;
  PickSources sources{.forced = options.forced};
  Lock lock;
  if (options.lock) {
    lock = parse_lock(read_file(*options.lock), options.lock->string());
    sources.lock = &lock;
  }
  const Layers layers = open_layers(options.layers);
  sources.layers = &layers;
  result.warnings = layers.warnings();
  result.model = load_model(file, ops, options.target, options.model);
  result.picks = pick_schedules(result.model.kernels, options.target, host_machine().hash(), options.threads, sources,
                                result.warnings);
  result.lock = make_lock(result, options);
  return result;
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
  CompileResult result = plan_compile(file, ops, options);
  const fs::path folder = options.cache / "modules" / cache_key(file, result, options);
  const std::string name = "model";  // whatever the file is called: the key is its content
  result.shared_library = folder / "libmodel.so";
  std::error_code error;
  if (fs::exists(result.shared_library, error) && fs::exists(folder / "model.weights", error)) {
    result.kernels_cached = result.picks.size();
    return result;
  }
  emit_library(result, ops, options, name, folder, {Emit::shared_library, Emit::lock}, true, progress);
  return result;
}

}  // namespace oc
