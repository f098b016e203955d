// A compiled model on disk: lib<name>.a, lib<name>.so, <name>.h, <name>.json (manifest), <name>.lock.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/target.h"
#include "generators/data_object.h"
#include "generators/lock.h"
#include "generators/pack.h"

namespace oc {

// The last two are texts of single kernels, which write_library leaves to its caller.
enum class Emit : uint8_t { static_library, shared_library, header, manifest, lock, assembly, statement };

struct LibraryRequest {
  const Interface& interface;
  const Target& target;
  std::span<const ShapedPlan> plans;  // that of the largest shapes stands last
  const PackedWeights& weights;
  std::span<const std::string> objects;  // distinct kernels
  const Lock& lock;
  int default_threads = 0;  // 0: decided at run time
  // Weights in <name>.weights beside the shared library instead of inside the libraries: for the cache.
  bool separate_weights = false;
  std::set<Emit> emit;
};

// Writes into a temporary folder inside `folder` (made if missing), then renames each file into place. Returns the
// paths, in the order of Emit. UserError, before anything is linked, when the folder cannot be written or the target
// cannot be linked.
std::vector<std::filesystem::path> write_library(const LibraryRequest& request, const std::filesystem::path& folder);

}  // namespace oc
