// The plan: which kernels run in which order on which bytes. Plain data; library.h writes it into a library.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "generators/pack.h"
#include "graph/partition.h"

namespace oc {

struct Location {
  Place place = Place::arena;
  uint32_t index = 0;  // of the graph input or output
  int64_t offset = 0;  // bytes
  int64_t bytes = 0;
  Extents sizes = {};  // outermost first, for a kernel that does not know them; empty for others
  bool operator==(const Location&) const = default;
};

struct Step {
  enum class Kind : uint8_t {
    kernel,       // runs `symbol` on args: inputs, then the output
    copy,         // args[0] to args[1]
    skip_if,      // passes over the next `skipped` steps when the bool at args[0] is true
    skip_unless,  // the same when it is false
    fail,         // ends the run with an error that tells the label
  };
  Kind kind = Kind::kernel;
  std::string symbol;
  std::string label;
  std::vector<Location> args;
  size_t skipped = 0;
};

// A stretch of the arena and the steps between which it is in use, both included.
struct Buffer {
  int64_t offset = 0, bytes = 0;
  int first = 0, last = 0;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Buffer> buffers;
  int64_t arena_bytes = 0;
};

// bindings[i] is that of partition.groups[i], weights what Packer::pack(graph, bindings) said. Views, contiguous
// slices, transposes and relayouts that move nothing become aliases; producers write straight into a concat whose parts
// are contiguous; graph outputs are written in place where one kernel makes them, else copied at the end. InternalError
// when the graph is not fully static or an output is not in plain layout. What only one side of a `select` needs is
// skipped when the other is chosen; choosing an absent side fails, always so when the condition is a constant.
[[nodiscard]] Plan make_plan(const Graph& graph, const Partition& partition, std::span<const GroupBinding> bindings,
                             const WeightSpots& weights);

// Groups that need no kernel, because their output stands where their inputs do or are made: make_plan has no step that
// calls one for them.
[[nodiscard]] std::vector<bool> groups_without_kernel(const Graph& graph, const Partition& partition);

// Offsets of the buffers, greedy by size over lifetimes, 64-byte aligned; returns the arena's size.
int64_t assign_offsets(std::vector<Buffer>& buffers);

}  // namespace oc
