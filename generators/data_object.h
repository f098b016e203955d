// The data of a compiled model as an object file: plans, names and shapes, metadata, weights.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "generators/cpu_features.h"
#include "generators/interface.h"
#include "generators/plan.h"

namespace oc {

// What runs when the inputs have certain shapes.
struct ShapedPlan {
  std::vector<TensorInterface> inputs, outputs;
  Plan plan;
};

[[nodiscard]] int64_t most_arena_bytes(std::span<const ShapedPlan> plans);

struct DataObjectRequest {
  const Target& target;
  const Interface& interface;
  std::span<const ShapedPlan> plans;  // of all choices of the interface's extents, in the order of abi.h
  const PackedWeights& weights;
  std::string_view weights_file;  // "": the blob becomes part of the object
  std::span<const CpuNeed> cpu_needs;
  int default_threads = 0;
};

// Bytes of a relocatable object that defines oc_data and `<name>_inputs`, `_outputs`, `_metadata`,
// `_metadata_<key>` and refers to `<symbol>_argv` of each kernel. Uses LLVM: call it in a child process.
[[nodiscard]] std::string make_data_object(const DataObjectRequest& request);

}  // namespace oc
