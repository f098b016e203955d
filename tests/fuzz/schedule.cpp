// The text of a schedule: what is taken prints as a text that is taken for the same, and a kernel can be asked whether
// it fits.
#include "schedules/schedule.h"

#include "dsl/kernel.h"
#include "opencompiler/dsl.h"
#include "tests/fuzz/target.h"

namespace {

// A kernel of each kind of family with knobs that depend on extents.
const std::vector<oc::Kernel>& kernels() {
  static const std::vector<oc::Kernel> all = [] {
    std::vector<oc::Kernel> made;
    for (const char* text :
         {"graph { %0: f32[33,65] = input %1: f32[65,31] = weight %2: f32[33,31] = matmul(%0, %1) return %2 }",
          "graph { %0: f32[1,32,15,17] aBcd16b = input %1: f32[32,32,3,3] = weight %2: f32[1,32,15,17] aBcd16b = "
          "conv(%0, %1) {dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]} return %2 }",
          "graph { %0: f32[7,300] = input %1: f32[7,300] = relu(%0) return %1 }"})
      made.push_back(oc::analyse({text}, oc::builtin_ops()));
    return made;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return oc::fuzz::feed(data, size, [](std::string_view text) {
    const oc::Schedule schedule = oc::parse_schedule(text);
    oc::fuzz::require(oc::parse_schedule(oc::print_schedule(schedule)) == schedule, "prints as another schedule");
    static const oc::Target target = oc::parse_target("x86-64-avx2");
    for (const oc::Kernel& kernel : kernels()) {
      const auto fitting = oc::fitting_schedule(kernel, target, text);
      if (!fitting) continue;
      oc::fuzz::require(oc::why_illegal(kernel, target, *fitting).empty(), "settles into one that does not fit");
      (void)oc::loop_nests(kernel, target, *fitting);
      (void)oc::weight_packings(kernel, target, *fitting);
    }
  });
}
