#include "dsl/ops/elementwise.h"

#include <cmath>

namespace oc {

using Halide::Expr;

Expr constant_of(Halide::Type type, double value) {
  if (type.is_float() || std::isfinite(value)) return Halide::Internal::make_const(type, value);
  return value < 0 ? type.min() : type.max();
}

Expr mean_of(const Expr& sum, const Expr& count) {
  return Halide::strict_float(sum / Halide::cast(sum.type(), count));
}

// The bits' minimum with all but the last of the NaNs: that one becomes another NaN, the rest stay.
Expr opaque(const Expr& narrow) {
  const Expr x = widened(narrow);
  const Halide::Type bits = x.type().with_code(Halide::Type::UInt);
  const Expr last = Halide::Internal::make_const(bits, bits.bits() == 64 ? ~uint64_t{1} : uint64_t{0xfffffffe});
  return Halide::reinterpret(x.type(), Halide::min(Halide::reinterpret(bits, x), last));
}

Expr nan_test(const Expr& x) {
  return Halide::strict_float(Halide::is_nan(opaque(x)));
}
Expr inf_test(const Expr& x) {
  return Halide::strict_float(Halide::is_inf(opaque(x)));
}

Expr truncated_quotient(const Expr& a, const Expr& b) {
  if (a.type().is_uint()) return a / b;
  const Expr zero = Halide::Internal::make_zero(a.type());
  const Expr magnitude = Halide::cast(a.type(), Halide::abs(a) / Halide::abs(b));
  return Halide::select((a < zero) == (b < zero), magnitude, -magnitude);
}

Expr libm(const std::string& name, const std::vector<Expr>& arguments) {
  const Halide::Type type = arguments[0].type();
  return Halide::Internal::Call::make(type, type.bits() == 64 ? name : name + "f", arguments,
                                      Halide::Internal::Call::PureExtern);
}

std::vector<Tensor> evaluate_elementwise(const NodeView& node, const Type& out,
                                         const std::function<Scalar(const std::vector<Scalar>&)>& f) {
  Tensor result = make_tensor(out.dtype, out.extents());
  std::vector<Scalar> arguments(node.constants.size());
  for_each_index(result.shape, [&](const Extents& index, int64_t linear) {
    for (size_t i = 0; i < arguments.size(); ++i)
      arguments[i] = load_scalar(*node.constants[i], broadcast_offset(index, node.constants[i]->shape));
    store_scalar(result, linear, f(arguments));
  });
  return {std::move(result)};
}

OpInfo elementwise_op(std::string name, int inputs) {
  OpInfo op;
  op.name = std::move(name);
  op.kind = OpKind::elementwise;
  op.layout = LayoutRule::same;
  op.min_inputs = op.max_inputs = inputs;
  op.family = Family::elementwise;
  op.takes_sizes = true;
  return op;
}

std::vector<OpCase> elementwise_cases(int inputs, double low, double high, DType dtype) {
  std::vector<OpCase> cases;
  for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127}) {
    OpCase c;
    for (int i = 0; i < inputs; ++i) c.inputs.push_back({.dtype = dtype, .shape = {n, n}, .low = low, .high = high});
    cases.push_back(c);
    if (inputs < 2) continue;
    c.inputs[1].shape = {n};
    cases.push_back(c);
  }
  OpCase blocked;
  for (int i = 0; i < inputs; ++i)
    blocked.inputs.push_back({.dtype = dtype, .shape = {1, 21, 5, 7}, .low = low, .high = high, .layout = "aBcd8b"});
  blocked.out_layout = "aBcd8b";
  cases.push_back(blocked);
  return cases;
}

}  // namespace oc
