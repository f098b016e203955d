// How well a cost model ranks schedules of workloads that it never saw.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autotune/cost_models/experience.h"

namespace oc {

inline constexpr size_t kTrialsToRank = 12;  // of a group: fewer say little about a ranking

struct RankedWorkload {
  std::string workload;  // id of its row
  Family family = Family::elementwise;
  size_t trials = 0;
  double spearman = 0;  // of scores and measured speed, failures being slowest; mean over machines, targets, threads
};

// For every workload with a group of kTrialsToRank trials or more: the rank correlation under a model that was trained
// on the trials of other workloads alone. Workloads are left out one by one, of very many some together.
[[nodiscard]] std::vector<RankedWorkload> rank_held_out(std::string_view model, std::span<const Experience> experience);

[[nodiscard]] double mean_spearman(std::span<const RankedWorkload> ranked);  // 0 when empty

}  // namespace oc
