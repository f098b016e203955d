#include "schedules/apply.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"

namespace oc {
namespace {

constexpr int kReferenceLanes = 8;

// Sums side by side in memory grow together, each in the order of its terms: one after the other, sums over the rows of
// a large matrix take minutes.
void sum_by_vectors(const Halide::Func& func, Halide::Stage update) {
  const std::string side = func.args().empty() ? "" : func.args().front().name();
  std::vector<Halide::VarOrRVar> order{Halide::Var(side)};
  bool pure = false;
  for (const Halide::Internal::Dim& dim : update.get_schedule().dims()) {
    if (dim.var == side && dim.is_pure()) {
      pure = true;
    } else if (dim.is_rvar()) {
      order.emplace_back(Halide::RVar(dim.var));
    }
  }
  if (pure && order.size() > 1)
    update.reorder(order).vectorize(order.front(), kReferenceLanes, Halide::TailStrategy::GuardWithIf);
}

}  // namespace

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
  for (Stage& stage : lowered.stages) {
    stage.func.compute_root();
    for (int i = 0; i < stage.func.num_update_definitions(); ++i) sum_by_vectors(stage.func, stage.func.update(i));
  }
  return lowered;
}

}  // namespace oc
