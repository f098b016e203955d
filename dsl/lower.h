// Workload → Halide Funcs, unscheduled. Schedules are applied to the result by schedules/apply.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "dsl/kernel.h"
#include "dsl/packing.h"
#include "opencompiler/dsl.h"

namespace oc {

// One physical loop of the output buffer.
struct OutputVar {
  Halide::Var var;
  int dim = 0;         // logical dim it walks
  bool block = false;  // an inner block of that dim (innermost vars)
  int64_t extent = 1;
  bool varies = false;  // the extent is an example of `size`
  Halide::Expr size;
};

// The loops over the output's tiles along a dim, and over the positions of a tile.
struct TileVars {
  Halide::RVar tile, position;
};

struct Lowered {
  std::vector<Halide::ImageParam> inputs;  // in the order of the workload's inputs; bounds and strides fixed
  Halide::Func output;                     // over physical dims; bounds and strides fixed
  std::vector<OutputVar> output_vars;      // outermost first
  std::vector<Tiles> tiles;                // of the output, which then is an update over these
  std::vector<TileVars> tile_vars;         // by tiles
  std::deque<Stage> stages;                // producers first; everything else is inlined
  bool varies = false;                     // some extents are those of the buffers it is run with
  [[nodiscard]] const Stage* stage(std::string_view name) const;  // null if there is none
};

// `packings` says how constant inputs arrive. Inputs are Halide buffers with physical dims, innermost first. Lanes of
// the output that lie in its layout's padding are stored as zero. `knobs` are for OpCall::knob.
[[nodiscard]] Lowered lower(const Kernel& kernel, const OpTable& ops, const Packings& packings = {},
                            const KnobValues& knobs = {});

}  // namespace oc
