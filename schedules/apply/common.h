// Helpers of the families' apply files.
#pragma once

#include <vector>

#include "base/error.h"
#include "schedules/apply.h"

namespace oc {

// The physical loop over logical dim `dim`: its outer loop, or with `block` its innermost block (null if not blocked).
[[nodiscard]] const OutputVar* find_var(const Lowered& lowered, int dim, bool block);

// Makes the given loops one, outermost first, and runs it as about `tasks` tasks; nothing for tasks ≤ 1. They must be
// the outermost loops of `func`, in this order. Returns the loop that takes the place of the innermost of them.
Halide::Var run_parallel(Halide::Func& func, const std::vector<Halide::Var>& outermost_first, int64_t iterations,
                         int64_t tasks);
// The same for any stage; where the innermost of the loops is reduced, so is what is returned.
Halide::VarOrRVar run_parallel(Halide::Stage stage, const std::vector<Halide::VarOrRVar>& outermost_first,
                               int64_t iterations, int64_t tasks);

// Vectors along the innermost loop of a stage or the output; the last one shifts inwards, which is safe for what does
// not run in place, or, where the extent varies and may be less than a vector, is cut.
void vectorise(Halide::Func func, const Halide::Var& var, int64_t extent, bool varies, int64_t lanes, int64_t unroll);

// A reduced stage whose innermost reduced axis, of `extent` or with that as an example, is contiguous: `lanes · unroll`
// partial results side by side, computed at `at` and folded at the end.
void fold_lanes(const Stage& stage, const Halide::LoopLevel& at, int64_t extent, int64_t lanes, int64_t unroll);

// Logical dims of a window kernel's tensors.
enum Dim4 : int { kN, kC, kY, kX };

// For a Func that does not run in place: the last tile is shifted inwards where tiles do not divide the extent.
[[nodiscard]] inline Halide::TailStrategy shift_unless_exact(int64_t extent, int64_t tile, bool varies = false) {
  const bool exact = extent % tile == 0 && !varies;
  return exact ? Halide::TailStrategy::RoundUp : Halide::TailStrategy::ShiftInwards;
}
// The same where no iteration may be repeated, or what lies beyond may be neither read nor written.
[[nodiscard]] inline Halide::TailStrategy guard_unless_exact(int64_t extent, int64_t tile, bool varies) {
  const bool exact = extent % tile == 0 && !varies;
  return exact ? Halide::TailStrategy::RoundUp : Halide::TailStrategy::GuardWithIf;
}

// A step through an extent, of at most `most` tiles; where the extent varies, what makes its steps about equal, as a
// last one that shifts inwards repeats work. It fits where a tile does: 40 of a tile of 4 and at most 8 → 20, 38 → 20,
// 7 → 4.
[[nodiscard]] Halide::Expr even_step(const OutputVar& loop, int64_t tile, int64_t most);
// The same of any extent that varies.
[[nodiscard]] Halide::Expr even_step(const Halide::Expr& extent, int64_t tile, const Halide::Expr& most);

// Halide takes ints; extents were checked to fit when the kernel was lowered.
[[nodiscard]] inline int to_int(int64_t value) {
  return static_cast<int>(value);
}

}  // namespace oc
