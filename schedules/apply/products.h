// The forms of the window family that multiply matrices onto Halide.
#pragma once

#include "schedules/apply/common.h"

namespace oc {

void apply_products(const ApplyCall& call);
// The stage "pad" of a window kernel, at root or inside a loop of the output; kept inside one farther out, each step of
// the inner adds what is new.
struct PaddedLoops {
  Halide::Var made, kept;
};
void schedule_padding(const ApplyCall& call, const PaddedLoops& loops);
// Images and the bands of rows in each as tasks; returns the loop over bands. `vary`: the number of bands is an
// example, and the two are not one loop: dividing by what is not known, Halide finds no bounds of what a padded input
// is to hold.
Halide::Var share_bands(const ApplyCall& call, const OutputVar& n, const Halide::Var& band, int64_t bands, bool vary);

}  // namespace oc
