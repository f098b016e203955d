// Formulas shared by the families. Register tiles: an accumulator tile of
// `rows` × `vectors` vector registers needs rows·vectors + min(vectors + 1, rows + 1) of them (arm64: rows·vectors +
// rows + vectors), hides the FMA latency from about 8 accumulators on, and reads (rows + vectors) / (rows·vectors)
// operands per FMA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedules/schedule.h"

namespace oc {

inline constexpr int64_t kCacheLine = 64;     // bytes
inline constexpr double kMemoryBytes = 8;     // that a core reads from memory in a cycle
inline constexpr int64_t kMaxUnrolled = 256;  // statements in an inner loop body; beyond, LLVM takes minutes
inline constexpr int64_t kMaxTasks = 1024;    // that a kernel is cut into, however many threads there are

[[nodiscard]] int64_t ceil_div(int64_t a, int64_t b);
// At most `most` of `total`, so that as many pieces as that takes are of about one size: a last piece that is shifted
// inwards repeats work. 56 by at most 36 → 28; 17 by at most 9 → 9.
[[nodiscard]] int64_t even_piece(int64_t total, int64_t most);
[[nodiscard]] bool fits_registers(int64_t rows, int64_t vectors, const Target& target);
// Registers for operands beside the sums of such a tile.
[[nodiscard]] int64_t operands_held(int64_t rows, int64_t vectors, const Target& target);
// Share of useful work when `extent` is covered by tiles of `tile`: 15 by 7 → 15/21. Of an extent that varies, what is
// to be expected near this example, whose own last tile says nothing: 14 by 7 → 14/17.
[[nodiscard]] double coverage(int64_t extent, int64_t tile, bool varies = false);

struct RegisterTile {
  int64_t rows = 1, vectors = 1;
};
struct TileLimits {
  int64_t row_multiple = 1;  // rows must be a multiple of it, or all of them
  int64_t most_vectors = 6;
  double vector_cost = 1;  // what a vector that is read costs beside the number of a row
  bool rows_vary = false, vectors_vary = false;
};
// 0 … 1: how close a register tile over extents rows_total × vectors_total comes to the FMA peak.
[[nodiscard]] double tile_score(const RegisterTile& tile, int64_t rows_total, int64_t vectors_total,
                                const TileLimits& limits = {});
// The best-scoring tile within the register budget and the limits.
[[nodiscard]] RegisterTile best_tile(int64_t rows_total, int64_t vectors_total, const Target& target,
                                     const TileLimits& limits = {});

// How many parallel tasks for a kernel whose outer loops have so many iterations: as many as give every thread the same
// number of iterations, or nearly; 1 when the kernel is too small to be worth waking threads.
[[nodiscard]] int64_t default_tasks(const Kernel& kernel, const Target& target, int threads, int64_t iterations);
// Rows of a band, at most `most`, such that the bands of each image cover its rows without repeating many and those of
// all images come out even over the threads: 28 rows by at most 4 on two threads → 2 (14 bands, not 7).
[[nodiscard]] int64_t even_band(int64_t images, int64_t rows, int64_t most, int threads);
// The fewest tasks that cut loops of so many iterations into the same pieces as `tasks` do.
[[nodiscard]] int64_t fewest_tasks(int64_t tasks, const std::vector<int64_t>& loops);
// The choices for parallel.tasks with more than one thread.
[[nodiscard]] Knob tasks_knob(int threads);
// `fallback` overwritten by the given values.
[[nodiscard]] Schedule make_schedule(const FamilyInfo& info,
                                     const std::vector<std::pair<std::string, int64_t>>& values);
// The values of `wanted` that lie in 1 … limit, and limit itself; sorted, unique.
[[nodiscard]] std::vector<int64_t> up_to(int64_t limit, std::vector<int64_t> wanted);
// The largest power of two ≤ min(lanes, extent): the vector width along a dim that is not padded.
[[nodiscard]] int64_t vector_width(int64_t lanes, int64_t extent);
// Empty if all of the schedule's values lie within the grammar's limits.
[[nodiscard]] std::string outside_limits(const FamilyInfo& info, const Schedule& schedule);

}  // namespace oc
