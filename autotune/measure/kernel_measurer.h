// The real Measurer: candidates are built and timed in forked children of this process.
#pragma once

#include <filesystem>
#include <memory>

#include "autotune/measurer.h"
#include "base/process.h"
#include "base/target.h"

namespace oc {

class ObjectCache;

struct MeasureOptions {
  int threads = 1;    // the kernels run on
  int jobs = 1;       // builds at once
  uint64_t seed = 0;  // of the inputs
  // Builds may run while a kernel is timed; only with a core to spare. Otherwise timing waits until builds are done.
  bool overlap = false;
  ObjectCache* references = nullptr;  // of references, whose builds are a third of a first round; null: none
  // The wall of `run` is for kernels that take up to a twentieth of it; for slower ones it is longer.
  ChildLimits build{std::chrono::seconds(30), int64_t{8} << 30, 64 << 20};
  ChildLimits run{std::chrono::seconds(30), int64_t{8} << 30, 64 << 20};
};

// UserError when code for `target` cannot run on this host. `ops` must outlive it.
[[nodiscard]] std::unique_ptr<Measurer> make_kernel_measurer(const Target& target, const OpTable& ops,
                                                             const MeasureOptions& options);

}  // namespace oc
