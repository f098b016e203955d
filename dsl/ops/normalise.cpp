// softmax, log_softmax, layer_norm and rms_norm along one axis (softmax) or all axes from one on (the norms).
//   layer_norm(x, scale?, bias?) = (x − mean) / √(mean of (x − mean)² + ε) · scale + bias
//   rms_norm(x, scale?) = x / √(mean of x² + ε) · scale
#include <limits>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

size_t axis_of(const NodeView& node) {
  const int64_t axis = node.attrs().integer("axis");
  check_axis(node.node.op, axis, node.in(0).shape.size());
  return static_cast<size_t>(axis);
}

std::vector<Type> infer_same(const NodeView& node) {
  static_cast<void>(axis_of(node));
  require_float(node);
  return {{node.in(0).dtype, node.in(0).shape, {}}};
}

// The dims of a row come last: the kept ones and the reduced one.
std::vector<Axis> axes_from(const NodeView& node, size_t first, size_t last) {
  const Extents out = node.in(0).extents();
  std::vector<Axis> result;
  for (size_t d = 0; d < out.size(); ++d) result.push_back({fmt::format("d{}", d), Role::spatial, out[d]});
  for (size_t d = first; d <= last; ++d) result.push_back({fmt::format("r{}", d), Role::k, out[d]});
  return result;
}

// A statistic of the row: a stage over the kept dims.
struct Row {
  OpCall& call;
  size_t first, last;  // reduced dims, inclusive

  [[nodiscard]] std::vector<Halide::Var> kept_vars() const {
    std::vector<Halide::Var> vars;
    for (size_t d = 0; d < call.vars.size(); ++d)
      if (d < first || d > last) vars.push_back(call.vars[d]);
    return vars;
  }
  [[nodiscard]] Index kept(const Index& index) const {
    Index result;
    for (size_t d = 0; d < index.size(); ++d)
      if (d < first || d > last) result.push_back(index[d]);
    return result;
  }
  Expr reduce(const char* name, const Expr& init, const std::function<Expr(const Expr&, const Index&)>& combine) {
    std::vector<Expr> extents;
    for (size_t d = first; d <= last; ++d) extents.push_back(call.inputs[0].size(d));
    const Stage& stage = call.reduce(name, kept_vars(), extents, init, [&](const Expr& self, const Index& r) {
      Index at = call.index;
      for (size_t d = first; d <= last; ++d) at[d] = r[d - first];
      return combine(self, at);
    });
    return stage.at(kept(call.index));
  }
};

// The maximum need not keep NaN: the sum does.
Expr define_softmax(OpCall& call, bool logarithm) {
  const auto axis = static_cast<size_t>(call.attrs().integer("axis"));
  Row row{call, axis, axis};
  const auto x = [&](const Index& at) { return widened(call.inputs[0].at(at)); };
  const Halide::Type type = x(call.index).type();
  const Expr zero = Halide::Internal::make_zero(type);
  const Expr lowest = Halide::Internal::make_const(type, -std::numeric_limits<double>::infinity());
  const Expr max =
      row.reduce("max", lowest, [&](const Expr& self, const Index& at) { return Halide::max(self, x(at)); });
  if (logarithm) {
    const Expr sum =
        row.reduce("sum", zero, [&](const Expr& self, const Index& at) { return self + exp_expr(x(at) - max); });
    return x(call.index) - max - log_expr(sum);
  }
  const Stage& exp = call.stage("exp", call.vars, exp_of_nonpositive(x(call.index) - max));
  const Expr sum = row.reduce("sum", zero, [&](const Expr& self, const Index& at) { return self + exp.at(at); });
  const Stage& inverse = call.stage("inverse", row.kept_vars(), Halide::Internal::make_one(type) / sum);
  return exp.at(call.index) * inverse.at(row.kept(call.index));
}

OpInfo make_row_op(std::string name, int min_inputs, int max_inputs) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::anchor;
  op.layout = LayoutRule::plain;
  op.reads_once = true;
  op.min_inputs = min_inputs;
  op.max_inputs = max_inputs;
  op.attrs = {{"axis", AttrSpec::Type::integer, true}};
  op.family = Family::reduction;
  op.takes_sizes = true;
  op.flops = [](const NodeView& node) { return 8.0 * static_cast<double>(element_count(node.in(0).extents())); };
  return op;
}

OpInfo make_softmax(std::string name, bool logarithm) {
  OpInfo op = make_row_op(std::move(name), 1, 1);
  op.infer = infer_same;
  op.axes = [](const NodeView& node) { return axes_from(node, axis_of(node), axis_of(node)); };
  op.collapsible = [](const NodeView& node, size_t dim) { return axis_of(node) != dim && axis_of(node) != dim + 1; };
  op.define = [logarithm](OpCall& call) { return define_softmax(call, logarithm); };
  for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127})
    for (int64_t axis : {0, 1})
      op.cases.push_back(
          {.inputs = {{.shape = {n, n + 1}, .low = -4, .high = 4}}, .attrs = {{"axis", axis}}, .out_layout = {}});
  op.cases.push_back({.inputs = {{.shape = {2, 3, 130, 5}}}, .attrs = {{"axis", int64_t{2}}}, .out_layout = {}});
  op.cases.push_back({.inputs = {{.shape = {4, 1000}}}, .attrs = {{"axis", int64_t{1}}}, .out_layout = {}});
  return op;
}

std::vector<Type> infer_norm(const NodeView& node) {
  const std::vector<Type> out = infer_same(node);
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (node.inputs[i] != nullptr && node.in(i).dtype != out[0].dtype)
      user_error("{}: the input is {}, scale or bias {}", node.node.op, dtype_name(out[0].dtype),
                 dtype_name(node.in(i).dtype));
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (node.inputs[i] != nullptr && broadcast_shapes(out[0].shape, node.in(i).shape) != out[0].shape)
      user_error("{}: scale and bias must broadcast to the input", node.node.op);
  return out;
}

Expr define_norm(OpCall& call, bool centred) {
  const auto x = [&](const Index& at) { return widened(call.inputs[0].at(at)); };
  const Halide::Type type = x(call.index).type();
  const auto number = [&](double value) { return Halide::Internal::make_const(type, value); };
  const auto axis = static_cast<size_t>(call.attrs().integer("axis"));
  Row row{call, axis, call.index.size() - 1};
  Expr count = 1;
  for (size_t d = axis; d < call.index.size(); ++d) count *= call.inputs[0].size(d);
  const auto sum = [&](const char* name, const std::function<Expr(const Index&)>& term) {
    return row.reduce(name, number(0), [&](const Expr& self, const Index& at) { return self + term(at); });
  };
  Expr mean;
  if (centred) mean = call.stage("mean", row.kept_vars(), mean_of(sum("sum", x), count)).at(row.kept(call.index));
  const auto deviation = [&](const Index& at) { return centred ? x(at) - mean : x(at); };
  const Expr variance = mean_of(sum("squares",
                                    [&](const Index& at) {
                                      const Expr d = deviation(at);
                                      return d * d;
                                    }),
                                count);
  const Expr epsilon = number(call.attrs().number("epsilon", 1e-5));
  const Stage& inverse = call.stage("inverse", row.kept_vars(), number(1) / Halide::sqrt(variance + epsilon));
  Expr value = deviation(call.index) * inverse.at(row.kept(call.index));
  if (call.has(1)) value = value * widened(call.in(1));
  if (call.has(2)) value = value + widened(call.in(2));
  return value;
}

OpInfo make_norm(std::string name, bool centred) {
  OpInfo op = make_row_op(std::move(name), 1, centred ? 3 : 2);
  op.attrs.push_back({"epsilon", AttrSpec::Type::number, false});
  op.infer = infer_norm;
  op.axes = [](const NodeView& node) { return axes_from(node, axis_of(node), node.in(0).shape.size() - 1); };
  op.collapsible = [](const NodeView& node, size_t dim) { return dim + 1 < axis_of(node); };
  op.define = [centred](OpCall& call) { return define_norm(call, centred); };
  for (int64_t n : {2, 3, 7, 15, 17, 31, 33, 127}) {
    OpCase c;
    c.inputs = {{.shape = {3, n}}, {.shape = {n}, .weight = true}};
    if (centred) c.inputs.push_back({.shape = {n}, .weight = true});
    c.attrs = {{"axis", int64_t{1}}, {"epsilon", 1e-5}};
    op.cases.push_back(c);
  }
  return op;
}

}  // namespace

const OpInfo& op_softmax() {
  static const OpInfo info = make_softmax("softmax", false);
  return info;
}

const OpInfo& op_log_softmax() {
  static const OpInfo info = make_softmax("log_softmax", true);
  return info;
}

const OpInfo& op_layer_norm() {
  static const OpInfo info = make_norm("layer_norm", true);
  return info;
}

const OpInfo& op_rms_norm() {
  static const OpInfo info = make_norm("rms_norm", false);
  return info;
}

}  // namespace oc
