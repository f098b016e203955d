// <name>.json: what a library is, for programs that only read JSON.
#pragma once

#include <span>
#include <string>

#include "base/target.h"
#include "generators/cpu_features.h"
#include "generators/interface.h"
#include "generators/plan.h"

namespace oc {

// name, ABI version, toolchain, target, required CPU features, inputs, outputs, bytes of arena and weights, steps,
// metadata.
[[nodiscard]] std::string print_manifest(const Interface& interface, const Target& target, const Plan& plan,
                                         std::span<const CpuNeed> needs, size_t weights_bytes, int default_threads);

}  // namespace oc
