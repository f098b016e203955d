// Which bits of the processor and the system a Target's code relies on; the library tests them before it runs a kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/target.h"

namespace oc {

// As oc_cpu_need of runtime/embedded/abi.h.
struct CpuNeed {
  uint32_t leaf = 0, subleaf = 0, reg = 0, mask = 0;
  std::string name;  // the feature of the Target that brings it
  bool operator==(const CpuNeed&) const = default;
};

// InternalError when the target has a feature that this table does not know.
[[nodiscard]] std::vector<CpuNeed> cpu_needs(const Target& target);

}  // namespace oc
