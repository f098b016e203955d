#include "schedules/families/contraction.h"

#include "schedules/apply/common.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::LoopLevel;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

struct Tiling {
  const ApplyCall& call;
  Contraction shape = look_at_contraction(call.kernel, call.target, call.schedule);
  Func& out = call.lowered.output;
  Stage acc = *call.lowered.stage("acc");
  size_t rank = call.lowered.output_vars.size();
  Var m = call.lowered.output_vars[rank - 2].var, n = call.lowered.output_vars[rank - 1].var;  // of the output
  Var sum_m = acc.vars[rank - 2], sum_n = acc.vars[rank - 1];                                  // of acc
  int lanes = to_int(shape.lanes), rows = to_int(shape.rows), columns = to_int(shape.columns);
  bool m_varies = call.kernel.axis("m").varies, n_varies = call.kernel.axis("n").varies;
  int block_k = to_int(call.schedule["block.k"]), unroll_k = to_int(call.schedule["unroll.k"]);

  [[nodiscard]] bool chosen(std::string_view word) const { return call.schedule[word] != 0; }
  // Panels of packed b start at multiples of the tile, so a ragged last tile is cut at the store; a shifted one would
  // straddle two panels. Unpacked b must not be read past its end, so there the last tile shifts inwards.
  [[nodiscard]] TailStrategy n_tail(int64_t step) const {
    if (shape.n % step == 0 && !n_varies) return TailStrategy::RoundUp;
    return shape.panels ? TailStrategy::GuardWithIf : TailStrategy::ShiftInwards;
  }
};

// Loops over the batches, then over the blocks `m` and `n`, outermost first, as tasks; returns the innermost.
Var run_tasks(const Tiling& t, const Var& m, const Var& n) {
  std::vector<Var> outer;
  for (size_t i = 0; i + 2 < t.rank; ++i) outer.push_back(t.call.lowered.output_vars[i].var);
  outer.push_back(m);
  outer.push_back(n);
  const int64_t iterations = t.shape.batches * t.shape.m_blocks * t.shape.n_blocks;
  return run_parallel(t.out, outer, iterations, t.call.schedule["parallel.tasks"]);
}

// A register tile: rows × columns of `sum` over all of `k`, in vectors along n.
void hold_in_registers(const Tiling& t, Func sum, const RVar& k) {
  Var nv("nv"), no("no");
  sum.bound_extent(t.sum_n, t.columns).bound_extent(t.sum_m, t.rows);
  sum.vectorize(t.sum_n, t.lanes).unroll(t.sum_n).unroll(t.sum_m);
  sum.update().split(t.sum_n, no, nv, t.lanes);
  if (t.call.schedule["order.inner"] == kInnerM) {
    sum.update().reorder(nv, t.sum_m, no, k);
  } else {
    sum.update().reorder(nv, no, t.sum_m, k);
  }
  sum.update().vectorize(nv).unroll(no).unroll(t.sum_m);
  if (t.unroll_k > 1) {
    RVar ko("ko"), ki("ki");
    sum.update().split(k, ko, ki, t.unroll_k, TailStrategy::GuardWithIf).unroll(ki);
  }
}

// A register tile whose sums are vectors of partial sums along k, added up at the end.
void hold_dot_products(const Tiling& t, const LoopLevel& at) {
  Func sum = t.acc.func;
  sum.bound_extent(t.sum_n, t.columns).bound_extent(t.sum_m, t.rows).unroll(t.sum_n).unroll(t.sum_m);
  RVar ko("ko"), ki("ki");
  Var lane("lane"), vector("vector");
  sum.update().split(t.acc.reduced(0), ko, ki, t.lanes * t.unroll_k, TailStrategy::GuardWithIf);
  Func partial = sum.update().rfactor(ki, lane);
  sum.update().reorder(ki, t.sum_n, t.sum_m).atomic().vectorize(ki).unroll(t.sum_n).unroll(t.sum_m);
  partial.compute_at(at).reorder_storage(lane, t.sum_n, t.sum_m);
  partial.split(lane, vector, lane, t.lanes).reorder(lane, vector, t.sum_n, t.sum_m);
  partial.vectorize(lane).unroll(vector).unroll(t.sum_n).unroll(t.sum_m);
  partial.update().split(lane, vector, lane, t.lanes).reorder(lane, vector, t.sum_n, t.sum_m, ko);
  partial.update().vectorize(lane).unroll(vector).unroll(t.sum_n).unroll(t.sum_m);
}

// A copy of b that a tile reads as one stream: [k, columns]. An op may have no such stage, and then nothing to copy.
void copy_b(const Tiling& t, const LoopLevel& at) {
  const Stage* b = t.call.lowered.stage("b");
  if (!t.chosen("copy.b") || b == nullptr) return;
  const Var n = b->vars.back(), k = b->vars[b->vars.size() - 2];
  Func copy = b->func;
  copy.compute_at(at).bound_extent(n, t.columns);
  if (t.shape.streams_n) {
    copy.vectorize(n, t.lanes).unroll(n);
  } else {  // as many columns side by side as a cache set has ways
    const Var group("group"), column("column");
    copy.split(n, group, column, t.lanes).reorder(column, k, group).vectorize(column);
  }
}

// Each register tile sums over all of k.
void sum_at_once(const Tiling& t) {
  Func& out = t.out;
  Var no("no"), ni("ni"), nv("nv"), mo("mo"), mi("mi"), moo("moo"), moi("moi");
  out.split(t.n, no, ni, t.columns, t.n_tail(t.columns));
  out.split(t.m, mo, mi, t.rows, shift_unless_exact(t.shape.m, t.rows, t.m_varies));
  const int64_t tiles = ceil_div(t.shape.m, t.shape.rows);
  out.split(mo, moo, moi, to_int(t.shape.block_m), guard_unless_exact(tiles, t.shape.block_m, t.m_varies));
  out.split(ni, ni, nv, t.shape.along_k ? 1 : t.lanes).reorder(nv, ni, mi, moi, no, moo);
  out.vectorize(nv).unroll(ni).unroll(mi);
  const Var panel = run_tasks(t, moo, no);
  Func(t.acc.func).compute_at(out, moi);
  if (t.shape.along_k) {
    hold_dot_products(t, {out, moi});
  } else {
    hold_in_registers(t, t.acc.func, t.acc.reduced(0));
    copy_b(t, {out, panel});
  }
}

// Blocks of tiles, each summed over one block of k after the other: sum += a tile, held in registers, of the products
// of a block. The last block of m and n shifts inwards. Slices of k are summed apart and then added up.
void sum_in_blocks(const Tiling& t) {
  Func out = t.out, sum = t.acc.func;
  const OutputVar &m = t.call.lowered.output_vars[t.rank - 2], &n = t.call.lowered.output_vars[t.rank - 1];
  Var no("no"), ni("ni"), nv("nv"), mo("mo"), mi("mi"), block("block");
  out.split(t.n, no, ni, even_step(n, t.columns, t.shape.block_n), t.n_tail(t.shape.block_n * t.columns));
  out.split(t.m, mo, mi, even_step(m, t.rows, t.shape.block_m),
            shift_unless_exact(t.shape.m, t.shape.block_m * t.rows, t.m_varies));
  out.split(ni, ni, nv, t.lanes).reorder(nv, ni, mi, no, mo).vectorize(nv);
  sum.compute_at(out, run_tasks(t, mo, no)).vectorize(t.sum_n, t.lanes);

  RVar k = t.acc.reduced(0), slices("slices"), slice_k("slice_k"), ko("ko"), ki("ki");
  Var slice("slice");
  if (t.shape.slices > 1) {
    const int64_t blocks = ceil_div(t.shape.k, t.block_k);
    sum.update().split(k, slices, slice_k, to_int(ceil_div(blocks, t.shape.slices) * t.block_k),
                       TailStrategy::GuardWithIf);
    Func part = sum.update().rfactor(slices, slice);
    sum.update().vectorize(t.sum_n, t.lanes);
    part.compute_root().vectorize(t.sum_n, t.lanes);
    sum = part;
    k = slice_k;
  }
  sum.update().split(k, ko, ki, t.block_k, TailStrategy::GuardWithIf);
  Func tile = sum.update().rfactor(ko, block);
  sum.update().split(t.sum_n, no, ni, t.columns, TailStrategy::RoundUp);
  sum.update().split(t.sum_m, mo, mi, t.rows, TailStrategy::RoundUp);
  std::vector<Halide::VarOrRVar> loops{nv, ni, mi, mo, no, ko};
  if (t.shape.slices > 1) loops.emplace_back(slice);
  sum.update().split(ni, ni, nv, t.lanes).reorder(loops).vectorize(nv).unroll(ni).unroll(mi);
  if (t.shape.slices > 1) sum.update().parallel(slice);
  tile.compute_at(sum, mo);
  hold_in_registers(t, tile, ki);
  copy_b(t, {sum, no});
}

}  // namespace

void apply_contraction(const ApplyCall& call) {
  if (call.schedule["block.k"] == 0) {
    sum_at_once({call});
  } else {
    sum_in_blocks({call});
  }
}

}  // namespace oc
