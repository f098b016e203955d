#include <algorithm>

#include "schedules/apply/common.h"
#include "schedules/families/common.h"

namespace oc {
namespace {

using Halide::Func;
using Halide::LoopLevel;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

struct Scheduler {
  const ApplyCall& call;
  const Schedule& s = call.schedule;
  Lowered& lowered = call.lowered;
  Func& out = lowered.output;
  int64_t m = call.kernel.extent("m"), n = call.kernel.extent("n"), d = call.kernel.extent("d"),
          e = call.kernel.extent("e");
  bool m_varies = call.kernel.axis("m").varies, n_varies = call.kernel.axis("n").varies;
  int64_t lanes = call.target.lanes(static_cast<int>(dtype_size(call.kernel.output().dtype)));
  int64_t block = s["block.queries"];
  int64_t padded = ceil_div(block, lanes) * lanes;  // queries in whole vectors
  int value_lanes = to_int(vector_width(lanes, e));

  [[nodiscard]] Stage stage(std::string_view name) const { return *lowered.stage(name); }

  // The loop of the output over the axis "m", "e", "b0" …
  [[nodiscard]] const OutputVar& loop(std::string_view axis) const {
    const auto found = std::ranges::find(call.kernel.axes, axis, &Axis::name);
    return lowered.output_vars[static_cast<size_t>(found - call.kernel.axes.begin())];
  }

  // Tiles the output, runs it in parallel over batches and blocks of queries, and computes the accumulators of V inside
  // the tile. Returns where the rest of a block is computed.
  LoopLevel schedule_output() {
    const int rows = to_int(s["values.rows"]), columns = to_int(s["values.vectors"]) * value_lanes;
    const Var row = loop("m").var, column = loop("e").var;
    const Var mo("mo"), mt("mt"), mr("mr"), et("et"), ec("ec"), ev("ev");
    out.split(row, mo, mr, to_int(block), shift_unless_exact(m, block, m_varies));
    out.split(mr, mt, mr, rows, shift_unless_exact(block, rows));
    out.split(column, et, ec, columns, shift_unless_exact(e, columns)).split(ec, ec, ev, value_lanes);
    std::vector<VarOrRVar> order{ev, ec, mr, et, mt, mo};
    std::vector<Var> outer;
    int64_t iterations = ceil_div(m, block);
    for (const OutputVar& v : lowered.output_vars) {
      if (v.var.name() == row.name() || v.var.name() == column.name()) continue;
      outer.push_back(v.var);
      iterations *= v.extent;
    }
    for (size_t i = outer.size(); i-- > 0;) order.emplace_back(outer[i]);
    out.reorder(order).vectorize(ev).unroll(ec).unroll(mr);
    outer.push_back(mo);
    const LoopLevel level(out, run_parallel(out, outer, iterations, s["parallel.tasks"]));

    if (s["values.keys"] == 0) {
      values_tile(stage("acc").func, stage("acc").reduced(0), {out, et});
    } else {
      values_in_blocks(level);
    }
    return level;
  }

  // A register tile of the product with V.
  void values_tile(Func tile, const RVar& keys, const LoopLevel& at) const {
    const std::vector<Var>& vars = stage("acc").vars;
    const Var row = vars[vars.size() - 2], column = vars.back();
    const int rows = to_int(s["values.rows"]), columns = to_int(s["values.vectors"]) * value_lanes;
    tile.compute_at(at).bound_extent(column, columns).bound_extent(row, rows);
    register_tile(tile, keys, column, value_lanes, row, s["values.vectors"] <= rows, s["values.unroll"]);
  }

  // The product with V adds up block after block of keys: V and the weights of a block stay in L1 while all register
  // tiles of the queries pass by.
  void values_in_blocks(const LoopLevel& level) const {
    const Stage acc = stage("acc");
    const Var row = acc.vars[acc.vars.size() - 2], column = acc.vars.back();
    const Var mo("mo"), mr("mr"), eo("eo"), ec("ec"), ev("ev"), block_of_keys("block_of_keys");
    const RVar ko("ko"), ki("ki");
    Func sum = acc.func;
    sum.compute_at(level).vectorize(column, value_lanes);
    sum.update().split(acc.reduced(0), ko, ki, to_int(s["values.keys"]), TailStrategy::GuardWithIf);
    Func tile = sum.update().rfactor(ko, block_of_keys);
    sum.update()
        .split(column, eo, ec, to_int(s["values.vectors"]) * value_lanes)
        .split(ec, ec, ev, value_lanes)
        .split(row, mo, mr, to_int(s["values.rows"]))
        .reorder(ev, ec, mr, mo, eo, ko)
        .vectorize(ev)
        .unroll(ec)
        .unroll(mr);
    values_tile(tile, ki, {sum, mo});
  }

  // An accumulator tile of `across` × vectors along `along`, all unrolled.
  static void register_tile(Func func, const RVar& k, const Var& along, int width, const Var& across,
                            bool vectors_inside, int64_t unroll) {
    const Var vector("vector"), vectors("vectors");
    func.vectorize(along, width).unroll(along).unroll(across);
    Halide::Stage update = func.update();
    update.split(along, vectors, vector, width);
    if (vectors_inside) {
      update.reorder(vector, vectors, across, k);
    } else {
      update.reorder(vector, across, vectors, k);
    }
    update.vectorize(vector).unroll(vectors).unroll(across);
    if (unroll > 1) {
      const RVar ko("ko"), ki("ki");
      update.split(k, ko, ki, to_int(unroll), TailStrategy::GuardWithIf).unroll(ki);
    }
  }

  // The stage's dims in memory, `inner` first.
  static void store_innermost(const Stage& stage, const Var& inner) {
    std::vector<Var> storage{inner};
    for (size_t i = stage.vars.size(); i-- > 0;)
      if (stage.vars[i].name() != inner.name()) storage.push_back(stage.vars[i]);
    if (storage.size() > 1) Func(stage.func).reorder_storage(storage);
  }

  void along_queries() {
    const LoopLevel level = schedule_output();
    for (const char* name : {"query", "scores", "exp"}) {
      const Stage each = stage(name);
      const Var row = each.vars[each.vars.size() - 2], column = each.vars.back();
      store_innermost(each, row);
      Func(each.func).compute_at(level).bound_extent(row, to_int(padded)).reorder(row, column);
    }
    scores_by_tiles();
    for (const char* name : {"query", "exp"}) {
      const Stage each = stage(name);
      const Var row = each.vars[each.vars.size() - 2], vectors("vectors");
      Func(each.func).split(row, vectors, row, to_int(lanes)).vectorize(row).unroll(vectors);
    }
    for (const char* name : {"max", "sum"}) {
      const Stage each = stage(name);
      Func func = each.func;
      const Var all = each.vars.back(), vectors("vectors"), vector("vector");
      func.compute_at(level).bound_extent(all, to_int(padded)).vectorize(all, to_int(lanes));
      func.update().split(all, vectors, vector, to_int(lanes)).reorder(vector, vectors, each.reduced(0));
      func.update().vectorize(vector).unroll(vectors);
    }
  }

  void scores_by_tiles() {
    const Stage scores = stage("scores"), product = stage("product");
    const int64_t keys = s["scores.keys"], vectors = s["scores.vectors"];
    const Var row = scores.vars[scores.vars.size() - 2], key = scores.vars.back();
    const Var mo("mo"), mv("mv"), no("no"), ni("ni");
    Func(scores.func)
        .split(row, mo, row, to_int(vectors * lanes))
        .split(row, row, mv, to_int(lanes))
        .split(key, no, ni, to_int(keys), shift_unless_exact(n, keys, n_varies))
        .reorder(mv, row, ni, mo, no)
        .vectorize(mv)
        .unroll(row)
        .unroll(ni);
    const Var pm = product.vars[product.vars.size() - 2], pn = product.vars.back();
    store_innermost(product, pm);
    Func(product.func)
        .compute_at(scores.func, mo)
        .bound_extent(pm, to_int(vectors * lanes))
        .bound_extent(pn, to_int(keys));
    register_tile(product.func, product.reduced(0), pm, to_int(lanes), pn, vectors <= keys, s["scores.unroll"]);
  }

  void along_depth() {
    const LoopLevel level = schedule_output();
    const Stage scores = stage("scores"), product = stage("product");
    for (const char* name : {"query", "scores", "exp", "max", "sum"}) Func(stage(name).func).compute_at(level);
    vectorise(stage("query").func, stage("query").vars.back(), d, false, lanes, 1);
    vectorise(stage("exp").func, stage("exp").vars.back(), n, n_varies, lanes, 2);
    fold_lanes(stage("max"), level, n, lanes, 2);
    fold_lanes(stage("sum"), level, n, lanes, 2);
    const int keys = to_int(vector_width(s["scores.keys"], n));
    const Var key = scores.vars.back(), no("no");
    Func(scores.func).split(key, no, key, keys, shift_unless_exact(n, keys, n_varies)).vectorize(key);
    dots(product, LoopLevel(scores.func, no), keys);
  }

  // Products of one query with `keys` keys: lanes along the depth first, folded in halves down to four, the rest of it
  // for all keys side by side.
  void dots(const Stage& product, const LoopLevel& at, int keys) const {
    constexpr int kLast = 4;
    const Var key = product.vars.back(), lane("lane");
    Func func = product.func;
    func.compute_at(at).bound_extent(key, keys).vectorize(key);
    const RVar whole("whole");
    RVar part("part");
    const auto partial = [&](const RVar& rest, int width) {
      Func folded = func.update().rfactor(part, lane);
      std::vector<Var> storage{lane};
      for (const Var& var : folded.args())
        if (var.name() != lane.name()) storage.push_back(var);
      folded.compute_at(at).reorder_storage(storage).bound_extent(key, keys).vectorize(lane, width);
      folded.update().reorder(lane, rest, key).vectorize(lane, width);
      return folded;
    };
    int width = to_int(vector_width(lanes, d));
    func.update().split(product.reduced(0), whole, part, width, TailStrategy::GuardWithIf);
    partial(whole, width);
    for (; width > kLast; width /= 2) {
      const RVar half("half"), narrow("narrow");
      func.update().split(part, half, narrow, width / 2);
      part = narrow;
      partial(half, width / 2).update().unroll(half);
    }
    func.update().reorder(key, part).vectorize(key).unroll(part);
  }
};

}  // namespace

void apply_attention(const ApplyCall& call) {
  Scheduler scheduler{call};
  if (call.schedule["vector.along"] == 0) {
    scheduler.along_queries();
  } else {
    scheduler.along_depth();
  }
}

}  // namespace oc
