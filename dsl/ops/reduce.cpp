// reduce_sum, reduce_mean, reduce_max, reduce_min over the attribute `axes`; reduced dims stay with extent 1.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

enum class Kind : uint8_t { sum, mean, max, min };

struct ReduceRow {
  Kind kind;
  // Floats by their order(): a maximum of floats that keeps NaN could not be split into lanes, one of integers can.
  [[nodiscard]] bool ordered() const { return kind == Kind::max || kind == Kind::min; }
};

Extents reduced_axes(const NodeView& node) {
  Extents axes = node.attrs().integers("axes");
  for (int64_t axis : axes) check_axis(node.node.op, axis, node.in(0).shape.size());
  if (!std::ranges::is_sorted(axes) || std::ranges::adjacent_find(axes) != axes.end())
    user_error("{}: axes must be sorted and unique", node.node.op);
  return axes;
}

std::vector<Type> infer(const NodeView& node) {
  if (node.in(0).dtype == DType::boolean) user_error("{} of bool: needs numbers", node.node.op);
  Type out{node.in(0).dtype, node.in(0).shape, {}};
  for (int64_t axis : reduced_axes(node)) out.shape[static_cast<size_t>(axis)] = Dim(1);
  return {out};
}

std::vector<Axis> axes(const NodeView& node) {
  const Extents in = node.in(0).extents(), out = infer(node)[0].extents();
  std::vector<Axis> result;
  for (size_t d = 0; d < out.size(); ++d) result.push_back({fmt::format("d{}", d), Role::spatial, out[d]});
  for (int64_t axis : reduced_axes(node))
    result.push_back({fmt::format("r{}", axis), Role::k, in[static_cast<size_t>(axis)]});
  return result;
}

// Two neighbours both reduced, or both kept, read alike when merged.
bool collapsible(const NodeView& node, size_t dim) {
  const Extents axes = reduced_axes(node);
  const auto is_reduced = [&](size_t d) { return std::ranges::find(axes, static_cast<int64_t>(d)) != axes.end(); };
  return is_reduced(dim) == is_reduced(dim + 1);
}

// What the host reduces in: floats as doubles, integers exactly, wrapping like the machine does.
struct Accumulator {
  Kind kind;
  Scalar value;
  bool empty = true;

  void add(const Scalar& x) {
    if (std::exchange(empty, false)) {
      value = x;
    } else if (kind == Kind::sum || kind == Kind::mean) {
      value.f += x.f;
      value.i = static_cast<int64_t>(static_cast<uint64_t>(value.i) + static_cast<uint64_t>(x.i));
    } else if (kind == Kind::max ? less(value, x) : less(x, value)) {
      value = x;
    }
  }
  // NaN goes before and after everything, so that it wins.
  [[nodiscard]] bool less(const Scalar& a, const Scalar& b) const {
    if (std::isnan(a.f) || std::isnan(b.f)) return kind == Kind::max ? std::isnan(b.f) : std::isnan(a.f);
    if (a.is_float) return a.f < b.f;
    return a.is_unsigned ? static_cast<uint64_t>(a.i) < static_cast<uint64_t>(b.i) : a.i < b.i;
  }
  [[nodiscard]] Scalar result(int64_t count) const {
    if (kind != Kind::mean) return value;
    if (value.is_float) return {true, 0, value.f / static_cast<double>(count)};
    if (count == 0) return {};
    if (value.is_unsigned)
      return {false, static_cast<int64_t>(static_cast<uint64_t>(value.i) / static_cast<uint64_t>(count)), 0, true};
    return {false, value.i / count, 0};
  }
};

// Of no elements: the sum is 0, the mean NaN, the maximum the lowest value there is.
Scalar neutral(Kind kind, DType dtype) {
  const bool is_float = dtype_is_float(dtype);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (kind == Kind::sum || kind == Kind::mean) return {is_float, 0, 0};
  const double bound = kind == Kind::max ? -kInfinity : kInfinity;
  if (is_float) return {true, 0, bound};
  return integer_bound(dtype, kind == Kind::min);
}

std::vector<Tensor> evaluate(const NodeView& node, const ReduceRow& row) {
  const Type type = infer(node)[0];
  const Tensor& in = *node.constants[0];
  Tensor out = make_tensor(type.dtype, type.extents());
  const auto outputs = static_cast<size_t>(element_count(out.shape));
  std::vector<Accumulator> results(outputs, Accumulator{row.kind, neutral(row.kind, type.dtype)});
  for_each_index(in.shape, [&](const Extents& index, int64_t linear) {
    results[static_cast<size_t>(broadcast_offset(index, out.shape))].add(load_scalar(in, linear));
  });
  int64_t count = 1;
  for (int64_t axis : reduced_axes(node)) count *= in.shape[static_cast<size_t>(axis)];
  for (size_t i = 0; i < outputs; ++i) store_scalar(out, static_cast<int64_t>(i), results[i].result(count));
  return {std::move(out)};
}

// Integers that compare as the floats do, with NaN above all (`last`) or below all; `unordered` goes back.
Halide::Type ordered_type(Halide::Type type) {
  return type.with_code(Halide::Type::Int);
}
Expr flip(const Expr& bits) {
  const Halide::Type type = bits.type();
  return bits ^ ((bits >> Halide::Internal::make_const(type, type.bits() - 1)) & type.max());
}
Expr order(const Expr& narrow, bool last) {
  const Expr x = opaque(narrow);
  const Halide::Type type = ordered_type(x.type());
  return Halide::select(Halide::strict_float(Halide::is_nan(x)), last ? type.max() : type.min(),
                        flip(Halide::reinterpret(type, x)));
}
Expr unordered(const Expr& key) {
  return Halide::reinterpret(key.type().with_code(Halide::Type::Float), flip(key));
}

Expr reduced(OpCall& call, const ReduceRow& row, const std::vector<int64_t>& axes, const std::vector<Expr>& extents) {
  const Operand& x = call.inputs[0];
  const Halide::Type type = widened(x.at(Index(x.rank(), Expr(0)))).type();
  const bool by_order = row.ordered() && type.is_float(), is_max = row.kind == Kind::max;
  Expr init = Halide::Internal::make_zero(type);
  if (row.ordered()) init = is_max ? type.min() : type.max();
  if (by_order) {
    const double infinity = std::numeric_limits<double>::infinity();
    init = order(Halide::Internal::make_const(type, is_max ? -infinity : infinity), is_max);
  }
  const Stage& acc = call.reduce("acc", call.vars, extents, init, [&](const Expr& self, const Index& r) -> Expr {
    Index at = call.index;
    for (size_t i = 0; i < axes.size(); ++i) at[static_cast<size_t>(axes[i])] = r[i];
    const Expr value = by_order ? order(x.at(at), is_max) : widened(x.at(at));
    if (!row.ordered()) return self + value;
    return is_max ? Halide::max(self, value) : Halide::min(self, value);
  });
  return by_order ? unordered(acc.at(call.index)) : acc.at(call.index);
}

Expr define(OpCall& call, const ReduceRow& row) {
  const std::vector<int64_t> axes = call.attrs().integers("axes");
  std::vector<Expr> extents;
  Expr count = 1;
  for (int64_t axis : axes) {
    extents.push_back(call.inputs[0].size(static_cast<size_t>(axis)));
    count *= extents.back();
  }
  const Expr value = reduced(call, row, axes, extents);
  if (row.kind != Kind::mean) return value;
  const Halide::Type type = value.type();
  if (type.is_float()) return mean_of(value, count);
  return truncated_quotient(value, Halide::cast(type, count));
}

OpInfo make_reduce(std::string name, const ReduceRow& row) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::anchor;
  op.layout = LayoutRule::same;
  op.reads_once = true;
  op.attrs = {{"axes", AttrSpec::Type::integers, true}};
  op.infer = infer;
  op.evaluate = [row](const NodeView& node) { return evaluate(node, row); };
  op.collapsible = collapsible;
  op.flops = [](const NodeView& node) { return static_cast<double>(element_count(node.in(0).extents())); };
  op.family = Family::reduction;
  op.takes_sizes = true;
  op.define = [row](OpCall& call) { return define(call, row); };
  op.axes = axes;
  auto add = [&](Extents shape, Extents axes_attr, std::string layout = {}) {
    OpCase c;
    c.inputs = {{.shape = std::move(shape), .layout = layout}};
    c.attrs = {{"axes", std::move(axes_attr)}};
    c.out_layout = std::move(layout);
    op.cases.push_back(c);
  };
  for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127}) {
    add({n, n}, {1});
    add({n, n}, {0});
    add({1, n, 3, 5}, {2, 3}, "aBcd8b");
  }
  add({2, 5, 6, 7}, {1, 3});
  add({1, 40, 1, 49}, {2, 3}, "aBcd16b");
  add({3, 200}, {0, 1});
  return op;
}

}  // namespace

#define REDUCE(name, ...)                                                 \
  const OpInfo& op_##name() {                                             \
    static const OpInfo info = make_reduce(#name, ReduceRow __VA_ARGS__); \
    return info;                                                          \
  }

REDUCE(reduce_sum, {Kind::sum})
REDUCE(reduce_mean, {Kind::mean})
REDUCE(reduce_max, {Kind::max})
REDUCE(reduce_min, {Kind::min})
#undef REDUCE

}  // namespace oc
