#include "autotune/limit.h"

#include <algorithm>

#include "schedules/schedule.h"

namespace oc {

double limit_ns(const Kernel& kernel, const Target& target, const Calibration& calibration) {
  int64_t weights = 0;
  for (size_t i = 0; i < kernel.graph.inputs.size(); ++i)
    if (kernel.is_weight(i)) weights += kernel.bytes_read(i);
  const auto activations = static_cast<double>(kernel.bytes - weights);
  const bool cached = activations <= static_cast<double>(std::max(target.l2_bytes, target.l3_bytes));
  const double bytes = static_cast<double>(weights) / calibration.bandwidth +
                       activations / (cached ? calibration.cached_bandwidth : calibration.bandwidth);
  return 1e9 * std::max(least_flops(kernel) / calibration.flops, bytes);
}

}  // namespace oc
