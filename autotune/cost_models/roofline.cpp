#include "autotune/cost_models/estimate.h"

namespace oc {
namespace {

// Arithmetic alone, with nothing to learn: for a start without trials, and the baseline of models that learn.
class RooflineCostModel final : public CostModel {
 public:
  std::vector<double> predict(const Setting& setting, std::span<const Schedule> schedules) const override {
    std::vector<double> scores;
    const double least = least_flops(setting.kernel);
    for (const Schedule& schedule : schedules) {
      const std::vector<Nest> of_schedule = loop_nests(setting.kernel, setting.target, schedule);
      std::vector<Traffic> traffic;
      for (const Nest& nest : of_schedule) traffic.push_back(traffic_of(nest, setting.target));
      scores.push_back(estimate(setting, least, of_schedule, traffic).efficiency());
    }
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
