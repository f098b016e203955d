#include "compiler/emit.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "dsl/varying.h"
#include "generators/disassemble.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownDigits = 12;  // of a kernel's hash, as in `explain`

// A pick whose build failed: one the user asked for is the user's mistake, the formula's is ours. What a database said
// is replaced by the formula's.
void give_up(CompileResult& result, size_t k, const CompileOptions& options, const std::string& fault) {
  Pick& pick = result.picks[k];
  const Kernel& kernel = result.model.kernels[k];
  if (!kernel.symbols.empty()) throw VaryingFailed{kernel};
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

std::string key_of(const Kernel& kernel, const Pick& pick) {
  return fmt::format("{}\n{}\n{}", kernel.workload.text, print_symbols(kernel), print_schedule(pick.schedule));
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

// But for extents.
bool same_tensors(const std::vector<TensorInterface>& a, const std::vector<TensorInterface>& b) {
  return std::ranges::equal(a, b, [](const TensorInterface& x, const TensorInterface& y) {
    return x.name == y.name && x.dtype == y.dtype && x.shape.size() == y.shape.size();
  });
}

void raise(std::vector<TensorInterface>& all, const std::vector<TensorInterface>& others) {
  for (size_t i = 0; i < all.size(); ++i)
    all[i].most_elements = std::max(all[i].most_elements, others[i].most_elements);
}

}  // namespace

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

// The kernels of the result, one for each.
std::vector<const LibraryBuilder::Built*> LibraryBuilder::build_all(CompileResult& result,
                                                                    const BuildProgress& progress) {
  const std::vector<Kernel>& kernels = result.model.kernels;
  const auto is_built = [&](size_t k) { return built_.contains(key_of(kernels[k], result.picks[k])); };
  std::vector<size_t> waiting(kernels.size());
  std::iota(waiting.begin(), waiting.end(), size_t{0});
  while (std::erase_if(waiting, is_built), !waiting.empty()) {
    const TempDir writable;  // a user's mistake to tell here; of a kernel's child it would look like a defect of ours
    std::vector<BuildJob> jobs;
    for (const size_t k : waiting) jobs.push_back({&kernels[k], result.picks[k].schedule});
    const size_t already = kernels.size() - waiting.size();
    const auto done = [&](size_t finished) {
      if (progress) progress(already + finished, kernels.size());
    };
    std::vector<BuildOutcome> outcomes =
        build_kernels(jobs, ops_, options_.target, {.jobs = options_.jobs, .limits = {}, .cache = &cache_}, done);
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const size_t k = waiting[i];
      if (outcomes[i].status != ChildStatus::ok) {
        give_up(result, k, options_, outcomes[i].error);
        continue;
      }
      if (!outcomes[i].cached) ++kernels_built_;
      built_.emplace(key_of(kernels[k], result.picks[k]),
                     Built{kernels[k], result.picks[k], std::move(outcomes[i].artifact)});
    }
  }
  std::vector<const Built*> all;
  for (size_t k = 0; k < kernels.size(); ++k) all.push_back(&built_.at(key_of(kernels[k], result.picks[k])));
  result.lock = make_lock(result, options_.target, result.lock.threads);
  return all;
}

std::vector<GroupBinding> LibraryBuilder::bind(const CompileResult& result,
                                               const std::vector<const Built*>& kernels) const {
  const Model& model = result.model;
  std::vector<Packings> packings;
  for (const Built* built : kernels)
    packings.push_back(weight_packings(built->kernel, options_.target, built->pick.schedule));
  std::vector<GroupBinding> bindings;
  for (size_t g = 0; g < model.partition.groups.size(); ++g) {
    const size_t k = model.kernel_of[g];
    const Group& group = model.partition.groups[g];
    GroupBinding binding{.label = group_label(model, g), .inputs = group.inputs};
    if (k != kNoKernel) {
      const Kernel& kernel = kernels[k]->kernel;
      binding.symbol = kernels[k]->artifact.symbol;
      binding.packings = packings[k];
      binding.in_place_ok = kernel.family == Family::elementwise;
      if (!model.sizes_of.empty()) binding.sizes = model.sizes_of[g];
      if (!binding.sizes.empty()) binding.varying = inputs_that_vary(kernel);
      binding.reads_part = kernel.family == Family::movement && reads_part(model.graph, group);
    }
    bindings.push_back(std::move(binding));
  }
  return bindings;
}

void LibraryBuilder::add(CompileResult& result, const BuildProgress& progress) {
  const std::vector<GroupBinding> bindings = bind(result, build_all(result, progress));
  const Graph& graph = result.model.graph;
  Interface interface = make_interface(graph, name_, axes_);
  const WeightSpots weights = packer_.pack(graph, bindings);
  plans_.push_back({interface.inputs, interface.outputs, make_plan(graph, result.model.partition, bindings, weights)});
  if (plans_.size() == 1) interface_ = std::move(interface);
  const ShapedPlan& added = plans_.back();
  if (!same_tensors(added.inputs, interface_.inputs) || !same_tensors(added.outputs, interface_.outputs))
    user_error("the model's inputs or outputs, or their ranks, depend on shapes: give ranges in which they do not");
  raise(interface_.inputs, added.inputs);
  raise(interface_.outputs, added.outputs);
}

std::vector<Pick> LibraryBuilder::picks() const {
  std::vector<Pick> all;
  for (const auto& [key, built] : built_) all.push_back(built.pick);
  return all;
}

// By file name: "<name>.<first digits of the workload's hash>.s" and ".stmt". One that varies says so, and has some
// digits of its own: several may have one example.
std::map<std::string, std::string> LibraryBuilder::kernel_texts(const std::set<Emit>& emit) const {
  std::map<std::string, std::string> texts;
  for (const auto& [key, built] : built_) {
    const Kernel& kernel = built.kernel;
    const std::string varies = kernel.symbols.empty() ? "" : "." + built.artifact.key.substr(0, 6) + ".varies";
    const std::string stem = fmt::format("{}.{}{}", name_, kernel.workload.hash().substr(0, kShownDigits), varies);
    if (emit.contains(Emit::assembly)) texts[stem + ".s"] = disassemble(built.artifact.object, options_.target);
    if (!emit.contains(Emit::statement)) continue;
    ChildResult lowered =
        run_in_child([&] { return lowered_statement(kernel, ops_, options_.target, built.pick.schedule); });
    if (lowered.status != ChildStatus::ok)
      internal_error("kernel {} cannot be lowered: {}", kernel.workload.hash(), lowered.result);
    texts[stem + ".stmt"] = std::move(lowered.result);
  }
  return texts;
}

void LibraryBuilder::write(CompileResult& result, const fs::path& out_dir, const std::set<Emit>& emit,
                           bool separate_weights) {
  const std::map<std::string, std::string> texts = kernel_texts(emit);
  std::vector<std::string> objects;
  for (const auto& [key, built] : built_) objects.push_back(built.artifact.object);
  std::ranges::reverse(plans_);
  const PackedWeights weights = packer_.take();
  result.files = write_library({.interface = interface_,
                                .target = options_.target,
                                .plans = plans_,
                                .weights = weights,
                                .objects = objects,
                                .lock = result.lock,
                                .default_threads = options_.default_threads,
                                .separate_weights = separate_weights,
                                .emit = emit},
                               out_dir);
  for (const auto& [file, text] : texts) {
    write_file_atomic(out_dir / file, text);
    result.files.push_back(out_dir / file);
  }
  for (const fs::path& path : result.files)
    if (path.extension() == ".so") result.shared_library = path;
  result.kernels_built = kernels_built_;
  result.kernels_cached = built_.size() - kernels_built_;
}

}  // namespace oc
