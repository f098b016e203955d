// reduce_sum, reduce_mean, reduce_max, reduce_min over the attribute `axes`; reduced dims stay with extent 1.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

struct ReduceRow {
  std::function<Expr(Halide::Type)> init;
  Expr (*combine)(const Expr& self, const Expr& value);
  double host_init;
  double (*host)(double, double);
  bool mean;
};

Extents reduced_axes(const NodeView& node) {
  Extents axes = node.attrs().integers("axes");
  for (int64_t axis : axes) check_axis(node.node.op, axis, node.in(0).shape.size());
  if (!std::ranges::is_sorted(axes) || std::ranges::adjacent_find(axes) != axes.end())
    user_error("{}: axes must be sorted and unique", node.node.op);
  return axes;
}

std::vector<Type> infer(const NodeView& node) {
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

std::vector<Tensor> evaluate(const NodeView& node, const ReduceRow& row) {
  const Type type = infer(node)[0];
  const Tensor& in = *node.constants[0];
  Tensor out = make_tensor(type.dtype, type.extents());
  const auto count = static_cast<size_t>(element_count(out.shape));
  std::vector<double> sums(count, row.host_init);
  for_each_index(in.shape, [&](const Extents& index, int64_t linear) {
    double& sum = sums[static_cast<size_t>(broadcast_offset(index, out.shape))];
    sum = row.host(sum, load_scalar(in, linear).real());
  });
  const double share =
      row.mean ? static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, element_count(in.shape))) : 1;
  for (size_t i = 0; i < count; ++i) store_scalar(out, static_cast<int64_t>(i), {true, 0, sums[i] * share});
  return {std::move(out)};
}

Expr define(OpCall& call, const ReduceRow& row) {
  const Operand& x = call.inputs[0];
  const std::vector<int64_t> axes = call.attrs().integers("axes");
  std::vector<int64_t> extents;
  int64_t count = 1;
  for (int64_t axis : axes) {
    extents.push_back(x.extent(static_cast<size_t>(axis)));
    count *= extents.back();
  }
  const Halide::Type type = x.at(Index(x.rank(), Expr(0))).type();
  const Stage& acc = call.reduce("acc", call.vars, extents, row.init(type), [&](const Expr& self, const Index& r) {
    Index at = call.index;
    for (size_t i = 0; i < axes.size(); ++i) at[static_cast<size_t>(axes[i])] = r[i];
    return row.combine(self, x.at(at));
  });
  if (!row.mean) return acc.at(call.index);
  return type.is_float() ? acc.at(call.index) * Halide::Internal::make_const(type, 1.0 / static_cast<double>(count))
                         : acc.at(call.index) / Halide::Internal::make_const(type, count);
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

// NaN is not promised to survive here (nor is it by onnxruntime): a form that keeps it could not be split into lanes.
Expr keep_max(const Expr& self, const Expr& value) {
  return Halide::max(self, value);
}
Expr keep_min(const Expr& self, const Expr& value) {
  return Halide::min(self, value);
}
Expr add_to(const Expr& self, const Expr& value) {
  return self + value;
}
Expr zero(Halide::Type type) {
  return Halide::Internal::make_zero(type);
}
Expr lowest(Halide::Type type) {
  return type.is_float() ? Halide::Internal::make_const(type, -std::numeric_limits<double>::infinity()) : type.min();
}
Expr highest(Halide::Type type) {
  return type.is_float() ? Halide::Internal::make_const(type, std::numeric_limits<double>::infinity()) : type.max();
}

constexpr double kInf = std::numeric_limits<double>::infinity();

}  // namespace

#define REDUCE(name, ...)                                                 \
  const OpInfo& op_##name() {                                             \
    static const OpInfo info = make_reduce(#name, ReduceRow __VA_ARGS__); \
    return info;                                                          \
  }

REDUCE(reduce_sum, {zero, add_to, 0, [](double a, double b) { return a + b; }, false})
REDUCE(reduce_mean, {zero, add_to, 0, [](double a, double b) { return a + b; }, true})
REDUCE(reduce_max, {lowest, keep_max, -kInf, [](double a, double b) { return a > b ? a : b; }, false})
REDUCE(reduce_min, {highest, keep_min, kInf, [](double a, double b) { return a < b ? a : b; }, false})
#undef REDUCE

}  // namespace oc
