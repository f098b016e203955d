#include "schedules/apply/common.h"
#include "schedules/families/common.h"

namespace oc {

using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

void apply_contraction(const ApplyCall& call) {
  const Schedule& s = call.schedule;
  Lowered& lowered = call.lowered;
  Halide::Func& out = lowered.output;
  Stage acc = *lowered.stage("acc");
  const size_t rank = acc.vars.size();
  const int64_t m_extent = call.kernel.extent("m"), n_extent = call.kernel.extent("n");
  const int b = call.kernel.input_of_anchor(1);
  const bool packed = b >= 0 && call.kernel.is_weight(static_cast<size_t>(b));
  const int64_t all_lanes = call.target.lanes(static_cast<int>(dtype_size(call.kernel.output().dtype)));
  const int lanes = to_int(packed ? all_lanes : vector_width(all_lanes, n_extent));
  const int rows = to_int(s["tile.m"]), columns = lanes * to_int(s["tile.n"]);
  const Var m = lowered.output_vars[rank - 2].var, n = lowered.output_vars[rank - 1].var;

  // Panels of packed b start at multiples of the tile, so a ragged last tile is cut at the store; a shifted one would
  // straddle two panels. Unpacked b must not be read past its end, so there the last tile shifts inwards.
  const TailStrategy n_tail = n_extent % columns == 0 ? TailStrategy::RoundUp
                              : packed                ? TailStrategy::GuardWithIf
                                                      : TailStrategy::ShiftInwards;
  const TailStrategy m_tail = m_extent % rows == 0 ? TailStrategy::RoundUp : TailStrategy::ShiftInwards;
  Var no("no"), ni("ni"), nv("nv"), mo("mo"), mi("mi"), moo("moo"), moi("moi");
  out.split(n, no, ni, columns, n_tail).split(m, mo, mi, rows, m_tail);
  out.split(ni, ni, nv, lanes);
  const int64_t m_tiles = std::max<int64_t>(1, ceil_div(m_extent, rows)), n_tiles = ceil_div(n_extent, columns);
  const int64_t block = s["block.m"] == 0 ? m_tiles : std::min<int64_t>(s["block.m"], m_tiles);
  out.split(mo, moo, moi, to_int(block), m_tiles % block == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
  out.reorder(nv, ni, mi, moi, no, moo).vectorize(nv).unroll(ni).unroll(mi);

  std::vector<Var> outer;  // outermost first
  int64_t iterations = n_tiles * ceil_div(m_tiles, block);
  for (size_t i = 0; i + 2 < rank; ++i) {
    outer.emplace_back(lowered.output_vars[i].var);
    iterations *= lowered.output_vars[i].extent;
  }
  outer.emplace_back(moo);
  outer.emplace_back(no);
  run_parallel(out, outer, iterations, s["parallel.tasks"]);

  const Var am = acc.vars[rank - 2], an = acc.vars[rank - 1];
  Var av("av"), ao("ao");
  acc.func.compute_at(out, moi).bound_extent(an, columns).bound_extent(am, rows);
  acc.func.vectorize(an, lanes).unroll(an).unroll(am);
  const RVar k = acc.reduced(0);
  const bool m_inner = s["order.inner"] == 0;
  acc.func.update().split(an, ao, av, lanes);
  if (m_inner) {
    acc.func.update().reorder(av, am, ao, k);
  } else {
    acc.func.update().reorder(av, ao, am, k);
  }
  acc.func.update().vectorize(av).unroll(ao).unroll(am);
  if (s["unroll.k"] > 1) {
    RVar ko("ko"), ki("ki");
    acc.func.update().split(k, ko, ki, to_int(s["unroll.k"]), TailStrategy::GuardWithIf).unroll(ki);
  }
}

}  // namespace oc
