#include "autotune/cost_models/cost_model.h"

#include <string>

#include "base/error.h"

namespace oc {

std::unique_ptr<CostModel> make_cost_model(std::string_view name) {
#define OC_COST_MODEL(row) \
  if (name == #row) return make_##row##_cost_model();
#include "autotune/cost_models/cost_models.inc"
#undef OC_COST_MODEL
  std::string names;
#define OC_COST_MODEL(row) names += " " #row;
#include "autotune/cost_models/cost_models.inc"
#undef OC_COST_MODEL
  user_error("unknown cost model '{}'; known are:{}", name, names);
}

}  // namespace oc
