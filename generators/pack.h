// Weights of a model as one blob, each in the layout its kernel wants, equal contents once.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/layout.h"
#include "dsl/packing.h"
#include "graph/graph.h"

namespace oc {

// One group of a Partition and the kernel that computes it.
struct GroupBinding {
  std::string symbol;  // of the kernel: artifact_symbol
  std::string label;   // for people: profiles and messages
  std::vector<ValueId>
      inputs;         // in the order of the kernel's buffers (constants inline in the workload are not among them)
  Packings packings;  // weight_packings(…)
  // The output may stand in the memory of an input of equal type that dies here: every element is written once, after
  // the same element of the inputs was read (so no ShiftInwards tails).
  bool in_place_ok = false;
};

struct PackedWeights {
  std::string blob;                           // entries begin at multiples of 64
  std::vector<std::vector<int64_t>> offsets;  // per group, per input; -1 = an activation
  std::map<ValueId, int64_t> outputs;         // graph outputs that are constants
};

// The contents of a value that is a constant or a reshape of one; nullopt for activations. InternalError when a
// constant has no data.
[[nodiscard]] std::optional<Tensor> constant_contents(const Graph& graph, ValueId value);

[[nodiscard]] PackedWeights pack(const Graph& graph, std::span<const GroupBinding> groups);

}  // namespace oc
