#include "schedules/families/reduction.h"

#include <algorithm>

#include "schedules/apply/common.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::LoopLevel;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

// `row`: numbers along the last axis of a row.
void reduce_along_rows(const ApplyCall& call, int64_t lanes, int64_t row, int64_t iterations) {
  Lowered& lowered = call.lowered;
  Func& out = lowered.output;
  const int64_t unroll = call.schedule["vector.unroll"];
  std::vector<VarOrRVar> order;  // innermost first
  std::vector<Var> kept;         // outermost first
  for (size_t i = lowered.output_vars.size(); i-- > 0;) {
    const OutputVar& v = lowered.output_vars[i];
    if (is_reduced(call.kernel, v.dim)) {
      order.emplace_back(v.var);
    } else {
      kept.insert(kept.begin(), v.var);
    }
  }
  for (size_t i = kept.size(); i-- > 0;) order.push_back(kept[i]);
  out.reorder(order);
  const OutputVar& inner = lowered.output_vars.back();
  vectorise(out, inner.var, inner.extent, inner.varies, lanes, unroll);
  const LoopLevel at = kept.empty()
                           ? LoopLevel::root()
                           : LoopLevel(out, run_parallel(out, kept, iterations, call.schedule["parallel.tasks"]));
  for (Stage& stage : lowered.stages) {
    stage.func.compute_at(at);
    if (stage.domain.defined()) {
      fold_lanes(stage, at, row, lanes, unroll);
    } else if (stage.vars.size() == call.kernel.output().shape.size()) {
      vectorise(stage.func, stage.vars.back(), inner.extent, inner.varies, lanes, unroll);
    }
  }
}

void reduce_across_rows(const ApplyCall& call, int64_t lanes, int64_t iterations) {
  Lowered& lowered = call.lowered;
  Func& out = lowered.output;
  const OutputVar& inner = lowered.output_vars.back();
  const int64_t width = vector_width(lanes, inner.extent);
  Var outer("outer"), vector("vector");
  out.split(inner.var, outer, vector, to_int(width), shift_unless_exact(inner.extent, width, inner.varies));
  std::vector<VarOrRVar> order{vector};
  std::vector<Var> kept;
  for (size_t i = lowered.output_vars.size() - 1; i-- > 0;) {
    const OutputVar& v = lowered.output_vars[i];
    if (is_reduced(call.kernel, v.dim)) {
      order.emplace_back(v.var);
    } else {
      kept.insert(kept.begin(), v.var);
    }
  }
  kept.emplace_back(outer);
  for (size_t i = kept.size(); i-- > 0;) order.push_back(kept[i]);
  out.reorder(order).vectorize(vector);
  const LoopLevel at(out, run_parallel(out, kept, iterations, call.schedule["parallel.tasks"]));
  for (Stage& stage : lowered.stages) {
    const auto var =
        std::ranges::find_if(stage.vars, [&](const Var& v) { return v.name() == fmt::format("d{}", inner.dim); });
    stage.func.compute_at(at);
    if (var == stage.vars.end()) continue;
    const Var lane = *var;
    std::vector<Var> storage{lane};
    for (size_t i = stage.vars.size(); i-- > 0;)
      if (stage.vars[i].name() != lane.name()) storage.push_back(stage.vars[i]);
    stage.func.bound_extent(lane, to_int(width)).vectorize(lane, to_int(width));
    if (storage.size() > 1) stage.func.reorder_storage(storage);
    if (stage.domain.defined()) {
      std::vector<VarOrRVar> loops{lane};
      for (int i = 0; i < stage.domain.dimensions(); ++i) loops.emplace_back(stage.domain[i]);
      for (size_t i = 1; i < storage.size(); ++i) loops.emplace_back(storage[i]);
      stage.func.update().reorder(loops).vectorize(lane, to_int(width));
    }
  }
}

}  // namespace

void apply_reduction(const ApplyCall& call) {
  const int64_t lanes = call.target.lanes(static_cast<int>(dtype_size(call.kernel.output().dtype)));
  const ReductionRows rows = look_at_rows(call.kernel, call.target);
  if (call.lowered.output_vars.empty()) {
    for (Stage& stage : call.lowered.stages) stage.func.compute_root();
  } else if (rows.along) {
    reduce_along_rows(call, lanes, rows.inner, rows.iterations);
  } else {
    reduce_across_rows(call, lanes, rows.iterations);
  }
}

}  // namespace oc
