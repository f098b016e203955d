// is_nan(x), is_inf(x) {negative, positive: which infinities count, both unless 0}: ONNX IsNaN, IsInf.
#include <cmath>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

std::vector<Type> infer(const NodeView& node) {
  require_float(node);
  return {{DType::boolean, node.in(0).shape, {}}};
}

OpInfo make_classifier(std::string name, Expr (*define)(const Expr&, const Attrs&),
                       bool (*host)(double, const Attrs&)) {
  OpInfo op = elementwise_op(std::move(name), 1);
  op.cheap = true;
  op.infer = infer;
  op.define = [define](OpCall& call) { return define(call.in(0), call.attrs()); };
  op.evaluate = [host](const NodeView& node) {
    return evaluate_elementwise(node, infer(node)[0], [&](const std::vector<Scalar>& x) {
      return Scalar{false, host(x[0].f, node.attrs()), 0};
    });
  };
  op.cases = elementwise_cases(1, -2, 2);
  return op;
}

bool counts(const Attrs& attrs, const char* sign) {
  return attrs.integer(sign, 1) != 0;
}

Expr is_inf(const Expr& x, const Attrs& attrs) {
  if (!counts(attrs, "negative") && !counts(attrs, "positive")) return Halide::Internal::const_false();
  const Halide::Type bits = x.type().with_code(Halide::Type::Int);
  const Expr below = Halide::reinterpret(bits, x) < Halide::Internal::make_zero(bits);
  if (!counts(attrs, "negative")) return inf_test(x) && !below;
  return counts(attrs, "positive") ? inf_test(x) : inf_test(x) && below;
}

}  // namespace

const OpInfo& op_is_nan() {
  static const OpInfo info = make_classifier(
      "is_nan", [](const Expr& x, const Attrs&) { return nan_test(x); },
      [](double x, const Attrs&) { return std::isnan(x); });
  return info;
}

const OpInfo& op_is_inf() {
  static const OpInfo info = [] {
    OpInfo op = make_classifier("is_inf", is_inf, [](double x, const Attrs& attrs) {
      return std::isinf(x) && counts(attrs, x < 0 ? "negative" : "positive");
    });
    op.attrs = {{"negative", AttrSpec::Type::integer, false}, {"positive", AttrSpec::Type::integer, false}};
    return op;
  }();
  return info;
}

}  // namespace oc
