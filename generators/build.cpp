#include "generators/build.h"

#include <Halide.h>
#include <poll.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "dsl/varying.h"
#include "generators/disassemble.h"
#include "generators/source_stamp.h"
#include "schedules/apply.h"

namespace oc {
namespace {

constexpr int kKernelAbi = 2;  // of the calling convention in build.h and of how packed weights are laid out

// Halide's warnings are quiet but for the one that announces a pipeline which cannot run; its errors become exceptions.
struct Reporter : Halide::CompileTimeErrorReporter {
  void warning(const char* message) override {
    if (std::string_view(message).find("guaranteed to fail") != std::string_view::npos) throw UserError(message);
  }
  void error(const char* message) override { throw UserError(message); }
};

Halide::Target halide_target(const Target& target) {
  return Halide::Target(target.name() + "-no_runtime-no_asserts-no_bounds_query-user_context");
}

std::string key_of(const BuildJob& job, const Target& target) {
  const std::string schedule = job.schedule ? print_schedule(*job.schedule) : "unscheduled";
  return content_hash(fmt::format("{}{}\n{}\n{}\n{}", job.kernel->workload.text, print_symbols(*job.kernel), schedule,
                                  target.name(), toolchain_id()));
}

struct Running {
  size_t job;
  Child child;
  std::chrono::steady_clock::time_point started;
};

// Index of a child that has finished.
size_t wait_for_one(std::vector<Running>& running) {
  for (;;) {
    std::vector<pollfd> fds;
    for (size_t i = 0; i < running.size(); ++i) {
      if (running[i].child.poll()) return i;
      fds.push_back({running[i].child.fd(), POLLIN, 0});
    }
    ::poll(fds.data(), fds.size(), 20);  // wakes early on output; the limit keeps deadlines enforced
  }
}

void finish(Running& running, std::vector<BuildOutcome>& outcomes, const BuildOptions& options) {
  ChildResult result = running.child.wait();
  BuildOutcome& outcome = outcomes[running.job];
  outcome.elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - running.started);
  outcome.status = result.status;
  if (result.status != ChildStatus::ok) {
    outcome.error = std::move(result.result);
    return;
  }
  outcome.artifact.object = std::move(result.result);
  if (options.cache != nullptr) options.cache->put(outcome.artifact.key, outcome.artifact.object);
}

}  // namespace

std::string toolchain_id() {
  return fmt::format("kernel-abi-{} halide-{}.{}.{} sources-{}", kKernelAbi, HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR,
                     HALIDE_VERSION_PATCH, source_stamp());
}

std::string artifact_key(const Workload& workload, const Schedule& schedule, const Target& target) {
  Kernel kernel;
  kernel.workload = workload;
  return key_of({&kernel, schedule}, target);
}

std::string build_object(const Kernel& kernel, const OpTable& ops, const Target& target, const Schedule* schedule,
                         const std::string& symbol) {
  Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  Lowered lowered = schedule != nullptr ? apply_schedule(kernel, ops, target, *schedule) : unscheduled(kernel, ops);
  const std::vector<Halide::Argument> arguments(lowered.inputs.begin(), lowered.inputs.end());
  const TempDir folder;
  const std::filesystem::path path = folder.path() / "kernel.o";
  lowered.output.compile_to_object(path.string(), arguments, symbol, halide_target(target));
  std::string object = read_file(path);
  Halide::set_custom_compile_time_error_reporter(nullptr);
  prefetch_into_second_level(object, target);
  return object;
}

std::string lowered_statement(const Kernel& kernel, const OpTable& ops, const Target& target,
                              const Schedule& schedule) {
  Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  Lowered lowered = apply_schedule(kernel, ops, target, schedule);
  const std::vector<Halide::Argument> arguments(lowered.inputs.begin(), lowered.inputs.end());
  const TempDir folder;
  const std::filesystem::path path = folder.path() / "kernel.stmt";
  lowered.output.compile_to_lowered_stmt(path.string(), arguments, Halide::Text, halide_target(target));
  std::string text = read_file(path);
  Halide::set_custom_compile_time_error_reporter(nullptr);
  return text;
}

namespace {

Child start_build(const BuildJob& job, const OpTable& ops, const Target& target, const ChildLimits& limits) {
  const std::string symbol = artifact_symbol(key_of(job, target));
  return Child(
      [&job, &ops, &target, symbol] {
        return build_object(*job.kernel, ops, target, job.schedule ? &*job.schedule : nullptr, symbol);
      },
      limits);
}

}  // namespace

std::vector<BuildOutcome> build_kernels(std::span<const BuildJob> jobs, const OpTable& ops, const Target& target,
                                        const BuildOptions& options, const std::function<void(size_t)>& done) {
  std::vector<BuildOutcome> outcomes(jobs.size());
  std::map<std::string, size_t> first;  // job that builds a key
  std::vector<size_t> waiting;
  size_t finished = 0;
  auto report = [&] {
    if (done) done(++finished);
  };
  for (size_t i = 0; i < jobs.size(); ++i) {
    Artifact& artifact = outcomes[i].artifact;
    artifact.key = key_of(jobs[i], target);
    artifact.symbol = artifact_symbol(artifact.key);
    if (!first.emplace(artifact.key, i).second) continue;
    if (std::optional<std::string> object =
            options.cache != nullptr ? options.cache->get(artifact.key) : std::nullopt) {
      artifact.object = std::move(*object);
      outcomes[i].cached = true;
      report();
    } else {
      waiting.push_back(i);
    }
  }
  std::ranges::reverse(waiting);
  std::vector<Running> running;
  while (!waiting.empty() || !running.empty()) {
    while (!waiting.empty() && running.size() < static_cast<size_t>(std::max(1, options.jobs))) {
      const size_t job = waiting.back();
      waiting.pop_back();
      running.push_back({job, start_build(jobs[job], ops, target, options.limits), std::chrono::steady_clock::now()});
    }
    const size_t ready = wait_for_one(running);
    finish(running[ready], outcomes, options);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(ready));
    report();
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    const size_t source = first.at(outcomes[i].artifact.key);
    if (source == i) continue;
    outcomes[i] = outcomes[source];
    report();
  }
  return outcomes;
}

}  // namespace oc
