#include "schedules/families/common.h"

#include <fmt/format.h>

#include <algorithm>

namespace oc {

namespace {
constexpr double kAccumulatorsToHideLatency = 8;  // 4 cycles × 2 pipes
constexpr double kSerialFlops = 4e5;              // about 4 µs of one core, below which sharing costs more
constexpr double kSerialBytes = 100e3;            // the same for kernels that only move memory
constexpr int64_t kMostTasksPerThread = 8;        // at most: more cost more than the balance they bring

// Iterations that the busiest of `threads` gets when they take one task after the other.
int64_t busiest(int64_t iterations, int64_t tasks, int threads) {
  const int64_t per_task = ceil_div(iterations, tasks), full = iterations / per_task, rest = iterations % per_task;
  return full / threads * per_task + (full % threads != 0 ? per_task : rest);
}
}  // namespace

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int64_t even_piece(int64_t total, int64_t most) {
  return ceil_div(total, ceil_div(total, most));
}

int64_t operands_held(int64_t rows, int64_t vectors, const Target& target) {
  // x86 reads one operand of an FMA from memory; arm64 multiplies by an element of a register, so both are held.
  return target.arch == "arm-64" ? rows + vectors : std::min(vectors + 1, rows + 1);
}

bool fits_registers(int64_t rows, int64_t vectors, const Target& target) {
  return rows * vectors + operands_held(rows, vectors, target) <= target.vector_registers;
}

double coverage(int64_t extent, int64_t tile, bool varies) {
  if (varies) return static_cast<double>(extent) / (static_cast<double>(extent) + static_cast<double>(tile - 1) / 2);
  return static_cast<double>(extent) / static_cast<double>(ceil_div(extent, tile) * tile);
}

double tile_score(const RegisterTile& tile, int64_t rows_total, int64_t vectors_total, const TileLimits& limits) {
  const auto accumulators = static_cast<double>(tile.rows * tile.vectors);
  const double latency = std::min(1.0, accumulators / kAccumulatorsToHideLatency);
  const double operands_per_fma =
      (static_cast<double>(tile.rows) + limits.vector_cost * static_cast<double>(tile.vectors)) / accumulators;
  const double loads = 1.0 / (1.0 + 0.15 * operands_per_fma);  // loads run beside FMAs; more of them cost a little
  return latency * loads * coverage(rows_total, tile.rows, limits.rows_vary) *
         coverage(vectors_total, tile.vectors, limits.vectors_vary);
}

RegisterTile best_tile(int64_t rows_total, int64_t vectors_total, const Target& target, const TileLimits& limits) {
  RegisterTile best;
  double best_score = -1;
  for (int64_t rows = 1; rows <= std::min<int64_t>(rows_total, target.vector_registers); ++rows) {
    if (rows % limits.row_multiple != 0 && rows != rows_total) continue;
    for (int64_t vectors = 1; vectors <= std::min(vectors_total, limits.most_vectors); ++vectors) {
      if (!fits_registers(rows, vectors, target)) continue;
      const double score = tile_score({rows, vectors}, rows_total, vectors_total, limits);
      if (score > best_score) {
        best_score = score;
        best = {rows, vectors};
      }
    }
  }
  return best;
}

int64_t default_tasks(const Kernel& kernel, const Target&, int threads, int64_t iterations) {
  if (threads <= 1 || (kernel.flops < kSerialFlops && static_cast<double>(kernel.bytes) < kSerialBytes)) return 1;
  const int64_t by_work = std::max<int64_t>(threads, static_cast<int64_t>(kernel.flops / kSerialFlops));
  const int64_t most = std::min({iterations, by_work, kMostTasksPerThread * threads, kMaxTasks});
  // Many small tasks also make good for a thread that is held up, so of equally even ones the most.
  int64_t best = std::max<int64_t>(1, most);
  for (int64_t tasks = best - 1; tasks >= threads; --tasks)
    if (busiest(iterations, tasks, threads) < busiest(iterations, best, threads)) best = tasks;
  return best;
}

int64_t even_band(int64_t images, int64_t rows, int64_t most, int threads) {
  const auto even = [&](int64_t band) {
    return coverage(rows, band) * coverage(images * ceil_div(rows, band), threads);
  };
  int64_t best = 1;
  for (int64_t band = 2; band <= most; ++band)
    if (even(band) >= even(best)) best = band;
  return best;
}

int64_t fewest_tasks(int64_t tasks, const std::vector<int64_t>& loops) {
  int64_t fewest = 1;
  for (const int64_t iterations : loops)
    fewest = std::max(fewest, ceil_div(iterations, std::max<int64_t>(1, ceil_div(iterations, tasks))));
  return fewest;
}

Knob tasks_knob(int threads) {
  const int64_t t = threads;
  Knob knob{"parallel.tasks", {1, t, 2 * t, 5 * t}};
  std::erase_if(knob.values, [](int64_t tasks) { return tasks > kMaxTasks; });
  return knob;
}

Schedule make_schedule(const FamilyInfo& info, const std::vector<std::pair<std::string, int64_t>>& values) {
  Schedule schedule{info.family, info.version, {}};
  for (const Argument& argument : info.grammar) schedule.values[argument.name] = argument.fallback;
  for (const auto& [name, value] : values) schedule.values.at(name) = value;
  return schedule;
}

std::vector<int64_t> up_to(int64_t limit, std::vector<int64_t> wanted) {
  limit = std::max<int64_t>(limit, 1);
  std::erase_if(wanted, [&](int64_t v) { return v < 1 || v > limit; });
  wanted.push_back(limit);
  std::ranges::sort(wanted);
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  return wanted;
}

int64_t vector_width(int64_t lanes, int64_t extent) {
  int64_t width = 1;
  while (width * 2 <= std::min(lanes, extent)) width *= 2;
  return width;
}

std::string outside_limits(const FamilyInfo& info, const Schedule& schedule) {
  for (const Argument& argument : info.grammar) {
    const auto found = schedule.values.find(argument.name);
    if (found == schedule.values.end()) return fmt::format("'{}' is missing", argument.name);
    const int64_t max = argument.words.empty() ? argument.max : static_cast<int64_t>(argument.words.size()) - 1;
    const int64_t min = argument.words.empty() ? argument.min : 0;
    if (found->second < min || found->second > max)
      return fmt::format("'{}' is {}, must be {} to {}", argument.name, found->second, min, max);
  }
  return {};
}

}  // namespace oc
