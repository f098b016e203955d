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
  // For a kernel that does not know extents: those of its buffers in memory, outermost first, the output's last. Empty
  // for others.
  std::vector<Extents> sizes = {};
  // Of such a kernel: per input, is it a constant whose extents vary? It stands in the library itself, so that the file
  // of other weights is the same for all extents.
  std::vector<bool> varying = {};
  // Reads less than half of its weights, as rows of an embedding.
  bool reads_part = false;
};

struct PackedWeights {
  // Where a constant lies: in `own`, what GroupBinding::varying says, or `blob`.
  struct Spot {
    bool own = false;
    int64_t offset = -1;  // -1: an activation
  };
  std::string own, blob;  // entries begin at multiples of 64
  // Bytes from the beginning that a run may read all; what lies behind only groups read that read a part. blob.size(),
  // or a multiple of kMappedAlignment.
  int64_t whole = 0;
  std::vector<std::vector<Spot>> spots;  // per group, per input
  std::map<ValueId, Spot> outputs;       // graph outputs that are constants
};

// Where a mapping of a file may begin on any target: its largest page.
inline constexpr int64_t kMappedAlignment = 64 << 10;

// The contents of a value that is a constant or a reshape of one; nullopt for activations. InternalError when a
// constant has no data.
[[nodiscard]] std::optional<Tensor> constant_contents(const Graph& graph, ValueId value);

[[nodiscard]] PackedWeights pack(const Graph& graph, std::span<const GroupBinding> groups);

}  // namespace oc
