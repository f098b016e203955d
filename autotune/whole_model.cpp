#include "autotune/whole_model.h"

#include <algorithm>

namespace oc {
namespace {

constexpr double kWorthALook = 0.99;

std::vector<size_t> find_losers(std::span<const ChangedKernel> changed, const TimeModels& time) {
  std::vector<ChangedKernel> order(changed.begin(), changed.end());
  std::ranges::stable_sort(order, std::greater(), &ChangedKernel::gain_ns);
  order.resize(std::min(order.size(), kMaxPutBack));
  std::vector<size_t> losers;
  for (const ChangedKernel& suspect : order) {
    const std::optional<Duel> duel = time(suspect.kernel);
    if (!duel) break;
    if (speedup(*duel).low > 1) losers.push_back(suspect.kernel);
  }
  return losers;
}

}  // namespace

std::optional<WholeModel> judge_model(std::span<const ChangedKernel> changed, const TimeModels& time) {
  const std::optional<Duel> duel = time(std::nullopt);
  if (!duel || duel->candidate_ns.empty()) return std::nullopt;
  WholeModel model{
      .before_ns = median(duel->incumbent_ns), .now_ns = median(duel->candidate_ns), .speedup = speedup(*duel)};
  model.slower = model.speedup.high < kWorthALook;
  if (model.slower) model.losers = find_losers(changed, time);
  return model;
}

}  // namespace oc
