// Weights of a model as one blob, each in the layout its kernel wants, equal contents once; also of a model that is
// compiled for several shapes.
#pragma once

#include <map>
#include <memory>
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

// What a place in memory is relative to.
enum class Place : uint8_t {
  arena,
  weights,  // constants, of which a run may read all
  input,
  output,
  own,   // constants that GroupBinding::varying says
  rows,  // constants that only groups read that read a part
};

// Where the constants of one graph lie.
struct WeightSpots {
  struct Spot {
    Place place = Place::weights;
    int64_t offset = -1;  // -1: an activation
  };
  std::vector<std::vector<Spot>> groups;  // per group, per input
  std::map<ValueId, Spot> outputs;        // graph outputs that are constants
};

struct PackedWeights {
  std::string own;    // entries begin at multiples of 64
  std::string blob;   // weights, then rows
  int64_t whole = 0;  // where the rows begin: blob.size(), or a multiple of kMappedAlignment
};

// Where a mapping of a file may begin on any target: its largest page.
inline constexpr int64_t kMappedAlignment = 64 << 10;

// The contents of a value that is a constant or a reshape of one; nullopt for activations. InternalError when a
// constant has no data.
[[nodiscard]] std::optional<Tensor> constant_contents(const Graph& graph, ValueId value);

class Packer {
 public:
  Packer();
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // May be called for several graphs; contents that are equal, or 256 bytes and more that begin a constant that was
  // packed before, take no more room. Tensors that graphs share are read once.
  [[nodiscard]] WeightSpots pack(const Graph& graph, std::span<const GroupBinding> groups);
  // Of all graphs. Afterwards nothing more may be packed.
  [[nodiscard]] PackedWeights take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace oc
