#include "autotune/limit.h"

#include <algorithm>

#include "schedules/schedule.h"

namespace oc {

double limit_ns(const Kernel& kernel, const Target& target, const Calibration& calibration) {
  const int64_t weights = kernel.weight_bytes_read();
  const auto activations = static_cast<double>(kernel.bytes - weights);
  const bool cached = activations <= static_cast<double>(std::max(target.l2_bytes, target.l3_bytes));
  const double bytes = static_cast<double>(weights) / calibration.bandwidth +
                       activations / (cached ? calibration.cached_bandwidth : calibration.bandwidth);
  return 1e9 * std::max(least_flops(kernel) / calibration.flops, bytes);
}

}  // namespace oc
