#include "schedules/apply.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"

namespace oc {

Lowered apply_schedule(const Kernel& kernel, const OpTable& ops, const Target& target, const Schedule& schedule) {
  if (const std::string reason = why_illegal(kernel, target, schedule); !reason.empty())
    user_error("schedule: {}", reason);
  Lowered lowered = lower(kernel, ops, weight_packings(kernel, target, schedule), schedule.values);
  const ApplyCall call{kernel, target, schedule, lowered};
  switch (kernel.family) {
#define OC_FAMILY(name) \
  case Family::name: apply_##name(call); break;
#include "schedules/families.inc"
#undef OC_FAMILY
  }
  return lowered;
}

std::string print_loop_nest(const Kernel& kernel, const OpTable& ops, const Target& target, const Schedule& schedule) {
  Lowered lowered = apply_schedule(kernel, ops, target, schedule);
  const TempDir folder;
  const std::string path = (folder.path() / "nest").string();
  if (std::freopen(path.c_str(), "w", stderr) == nullptr) internal_error("{}: cannot be written", path);
  lowered.output.print_loop_nest();
  std::fflush(stderr);
  return read_file(path);
}

Lowered unscheduled(const Kernel& kernel, const OpTable& ops) {
  Lowered lowered = lower(kernel, ops);
  for (Stage& stage : lowered.stages) stage.func.compute_root();
  return lowered;
}

}  // namespace oc
