// Kernel builds: Kernel × Schedule × Target → object file, each in a forked child, cached by content.
//
// Kernel ABI: `int32_t <symbol>(void* user_context, halide_buffer_t* in…, halide_buffer_t* out)` and
// `int32_t <symbol>_argv(void** args)` with args[0] = &user_context, args[1…] = the buffers in workload order, the
// output last. Extents and strides are compiled in: only `host` of a buffer is read, and `dim[…].extent` of what varies
// (dsl/varying.h). The object needs halide_malloc, halide_free, halide_do_par_for and libc/libm names; runtime/embedded
// provides the first three.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/target.h"
#include "dsl/kernel.h"
#include "schedules/schedule.h"

namespace oc {

struct Artifact {
  std::string key;     // artifact_key
  std::string symbol;  // "oc_k_" + key
  std::string object;  // bytes of a relocatable object file
  bool operator==(const Artifact&) const = default;
};

// Our kernel ABI version, Halide's version and the stamp of our sources: part of every key and of the database's
// `build` rows. Building the same sources again does not change it.
[[nodiscard]] std::string toolchain_id();
// Content hash of workload text, schedule text, target and toolchain.
[[nodiscard]] std::string artifact_key(const Workload& workload, const Schedule& schedule, const Target& target);
[[nodiscard]] inline std::string artifact_symbol(const std::string& key) {
  return "oc_k_" + key;
}

// Builds in this process. Deterministic only as the first build of a fresh fork: call it through build_kernels.
// `schedule` null: the reference (schedules/apply.h, `unscheduled`).
[[nodiscard]] std::string build_object(const Kernel& kernel, const OpTable& ops, const Target& target,
                                       const Schedule* schedule, const std::string& symbol);

// Halide's lowered statement of the kernel, as text for people. Call it in a child too.
[[nodiscard]] std::string lowered_statement(const Kernel& kernel, const OpTable& ops, const Target& target,
                                            const Schedule& schedule);

// Objects by key in a folder, bounded in bytes (least recently used go first), written by temporary file and rename;
// each entry carries its key, the program that made it and a checksum, and is dropped when they do not match.
class ObjectCache {
 public:
  explicit ObjectCache(std::filesystem::path folder, int64_t max_bytes = int64_t{2} << 30);
  [[nodiscard]] std::optional<std::string> get(const std::string& key) const;
  void put(const std::string& key, const std::string& object);

 private:
  std::filesystem::path folder_;
  int64_t max_bytes_;
  int64_t bytes_ = 0;  // about; other processes write here too
};

struct BuildJob {
  const Kernel* kernel = nullptr;
  std::optional<Schedule> schedule;  // nullopt: the reference
};

struct BuildOutcome {
  ChildStatus status = ChildStatus::ok;
  std::string error;  // when not ok
  Artifact artifact;  // when ok
  bool cached = false;
  std::chrono::milliseconds elapsed{0};
};

struct BuildOptions {
  int jobs = 1;        // children at once
  ChildLimits limits;  // of each
  ObjectCache* cache = nullptr;
};

// One outcome a job, in order; `done` is called in the parent after each. Jobs with equal keys are built once.
[[nodiscard]] std::vector<BuildOutcome> build_kernels(std::span<const BuildJob> jobs, const OpTable& ops,
                                                      const Target& target, const BuildOptions& options,
                                                      const std::function<void(size_t finished)>& done = {});

}  // namespace oc
