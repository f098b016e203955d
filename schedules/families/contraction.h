// What the contraction family's formulas and its interpreter share.
#pragma once

#include "schedules/families/common.h"

namespace oc {

enum ContractionInner : int64_t { kInnerM, kInnerN };
enum ContractionVector : int64_t { kVectorN, kVectorK };

// A contraction as a schedule sees it. Extents of an empty tensor count as 1: its loops have no iterations, and every
// tile of one fits them.
struct Contraction {
  int64_t batches = 1, m = 1, n = 1, k = 1;
  bool along_k = false;  // vectors run along k: a column of the tile is one of n, an accumulator is partial sums
  int64_t lanes = 1;     // of a vector
  int64_t rows = 1;      // of the tile
  int64_t columns = 1;   // of the tile
  int64_t block_m = 1, block_n = 1;    // tiles in a block
  int64_t m_blocks = 1, n_blocks = 1;  // loops over blocks; block.k = 0: n_blocks counts tiles
  int64_t slices = 1;                  // of k, summed in parallel
  bool weight = false;                 // b is a constant
  bool streams_n = true;               // b's elements along n lie side by side, or are packed so
  bool streams_k = true;               // a's and b's elements along k do, or can
  bool panels = false;                 // … and arrives in panels as wide as the tile, padded
  int64_t element = 4;                 // bytes
};

[[nodiscard]] Contraction look_at_contraction(const Kernel& kernel, const Target& target, const Schedule& schedule);

}  // namespace oc
