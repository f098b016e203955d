// What tuning gave the whole model, and, should it have become slower, by which kernels: from timings passed in.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "autotune/stats.h"

namespace oc {

// A kernel whose schedule is another than before.
struct ChangedKernel {
  size_t kernel = 0;
  double gain_ns = 0;  // that its own timings promise the model
};

// Times two ways to schedule the model in turns. With nullopt the new schedules are the candidate and the old ones the
// incumbent. With a kernel: the new ones with that kernel's old one put back, against the new ones. nullopt: it could
// not be timed, or there is no more time.
using TimeModels = std::function<std::optional<Duel>(std::optional<size_t> put_back)>;

struct WholeModel {
  double before_ns = 0, now_ns = 0;  // medians
  Speedup speedup;
  bool slower = false;         // by more than 1 %, beyond the spread
  std::vector<size_t> losers;  // if so: kernels of which each, put back alone, makes the model faster beyond the spread
};

inline constexpr size_t kMaxPutBack = 8;  // kernels, those that promised most

// nullopt when the two could not be timed.
[[nodiscard]] std::optional<WholeModel> judge_model(std::span<const ChangedKernel> changed, const TimeModels& time);

}  // namespace oc
