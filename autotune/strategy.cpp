#include "autotune/strategy.h"

#include <string>

#include "base/error.h"

namespace oc {

std::unique_ptr<Strategy> make_strategy(std::string_view name, StrategyInputs inputs) {
#define OC_STRATEGY(row) \
  if (name == #row) return make_##row##_strategy(std::move(inputs));
#include "autotune/strategies.inc"
#undef OC_STRATEGY
  std::string names;
#define OC_STRATEGY(row) names += " " #row;
#include "autotune/strategies.inc"
#undef OC_STRATEGY
  user_error("unknown search strategy '{}'; known are:{}", name, names);
}

}  // namespace oc
