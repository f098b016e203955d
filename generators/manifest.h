// <name>.json: what a library is, for programs that only read JSON.
#pragma once

#include <span>
#include <string>

#include "base/target.h"
#include "generators/cpu_features.h"
#include "generators/data_object.h"

namespace oc {

// name, ABI version, toolchain, target, required CPU features, inputs, outputs, axes, bytes of arena and weights,
// steps, metadata; of a library for several shapes those of the largest, which stands last.
[[nodiscard]] std::string print_manifest(const Interface& interface, const Target& target,
                                         std::span<const ShapedPlan> plans, std::span<const CpuNeed> needs,
                                         size_t weights_bytes, int default_threads);

}  // namespace oc
