// The copies of the input by which a convolution becomes one matrix product. Outputs are points in the order of memory,
// t = y · columns + x, across the ends of rows. A tap reads one element for each, and in its copy they lie in this
// order too. Taps of one column of the window and rows `stride` apart read the same elements, some rows of outputs
// later:
//   tap ky of output row y reads row stride·y + dilation·ky = stride·(y + lag) + phase
// so that they share a copy: one for each phase, which goes on past the last row by the largest lag.
#pragma once

#include <cstdint>

namespace oc {

struct Im2col {
  int64_t ky, kx;            // taps
  int64_t phases;            // copies for each column of the window; copy kx · phases + phase
  bool one_each;             // no two taps share a copy: the phase is ky
  int64_t row_step;          // input rows from one phase to the next
  int64_t stride, dilation;  // down
  [[nodiscard]] int64_t copies() const { return kx * phases; }
};

// Where there is one row of outputs no taps share: its points may then be cut into bands of columns.
[[nodiscard]] inline Im2col im2col(int64_t ky, int64_t kx, int64_t stride, int64_t dilation, int64_t output_rows) {
  const bool one_each = output_rows == 1 || (ky - 1) * dilation < stride;
  return {ky, kx, one_each ? ky : stride, one_each, one_each ? dilation : 1, stride, dilation};
}

}  // namespace oc
