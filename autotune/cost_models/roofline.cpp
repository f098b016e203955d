#include "autotune/cost_models/estimate.h"

namespace oc {
namespace {

// Arithmetic alone, with nothing to learn: for a start without trials, and the baseline of models that learn.
class RooflineCostModel final : public CostModel {
 public:
  std::vector<double> predict(const Setting& setting, std::span<const Schedule> schedules) const override {
    std::vector<double> scores;
    const double least = least_flops(setting.kernel);
    for (const Schedule& schedule : schedules)
      scores.push_back(look_at(setting, least, schedule).estimate.efficiency());
    return scores;
  }
  void learn(const Setting&, std::string_view, const Schedule&, std::optional<double>) override {}
  void train() override {}
};

}  // namespace

std::unique_ptr<CostModel> make_roofline_cost_model() {
  return std::make_unique<RooflineCostModel>();
}

}  // namespace oc
