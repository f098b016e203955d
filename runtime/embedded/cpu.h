// Does this CPU, and the system on it, have what the kernels need? Runs on any CPU of the architecture.
#pragma once

#include "abi.h"
#include "system.h"

// Null, or the name of the first need that is not met.
OC_INTERNAL const char* oc_missing_feature(const oc_cpu_need* needs, uint32_t count);
