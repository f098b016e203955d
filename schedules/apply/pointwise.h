// The loop structure that elementwise and movement kernels share.
#pragma once

#include "schedules/apply/common.h"

namespace oc {

void apply_pointwise(const ApplyCall& call);

}  // namespace oc
