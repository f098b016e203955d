// The forms of the window family that multiply matrices onto Halide.
#pragma once

#include "schedules/apply/common.h"

namespace oc {

void apply_products(const ApplyCall& call);
// The stage "pad" of a window kernel, inside loop `band` of the output or at root.
void schedule_padding(const ApplyCall& call, const Halide::Var& band);

}  // namespace oc
