// Activations, expressed with our elementwise ops.
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

// log(1 + eˣ) without overflow: max(x, 0) + log(1 + e^−|x|).
ValueId softplus_of(Call& n, ValueId x) {
  const ValueId tail = n.emit("exp", {n.emit("neg", {n.emit("abs", {x})})});
  return n.emit("add", {n.emit("relu", {x}), n.emit("log", {plus(n, tail, 1)})});
}

// x/2 · (1 + erf(x/√2))
ValueId exact_gelu(Call& n, ValueId x) {
  const ValueId erf = n.emit("erf", {times(n, x, std::numbers::sqrt2 / 2)});
  return n.emit("mul", {times(n, x, 0.5), plus(n, erf, 1)});
}

// The input and, when there is one, the bias of its last dim.
ValueId biased(Call& n) {
  const Extents shape = n.shape(n.in(0));
  if (!n.has(1)) return n.in(0);
  if (shape.empty()) user_error("its input must not be a scalar");
  check_vector(n, 1, "bias", shape.back());
  return n.emit("add", {n.in(0), n.in(1)});
}

// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))
ValueId tanh_gelu(Call& n, ValueId x) {
  const ValueId inner = plus(n, times(n, n.emit("mul", {x, x}), 0.044715), 1);
  const ValueId tanh = n.emit("tanh", {times(n, n.emit("mul", {x, inner}), std::sqrt(2 / std::numbers::pi))});
  return n.emit("mul", {times(n, x, 0.5), plus(n, tanh, 1)});
}

}  // namespace

Values leaky_relu(Call& n) {
  return {n.emit("leaky_relu", {n.in(0)}, {{"alpha", n.number("alpha", 0.01)}})};
}
Values elu(Call& n) {
  return {n.emit("elu", {n.in(0)}, {{"alpha", n.number("alpha", 1)}})};
}

Values selu(Call& n) {
  const double alpha = n.number("alpha", 1.67326319217681884765625),
               gamma = n.number("gamma", 1.05070102214813232421875);
  return {times(n, n.emit("elu", {n.in(0)}, {{"alpha", alpha}}), gamma)};
}

// max(0, x) + min(0, α(e^{x/α} − 1)); for α > 0 that is α·elu(x/α).
Values celu(Call& n) {
  const double alpha = n.number("alpha", 1);
  if (alpha == 0) user_error("alpha must not be 0");
  if (alpha < 0) {
    const ValueId x = n.in(0), growth = plus(n, n.emit("exp", {times(n, x, 1 / alpha)}), -1);
    return {n.emit("sub", {n.emit("relu", {x}), n.emit("relu", {times(n, growth, -alpha)})})};
  }
  return {times(n, n.emit("elu", {times(n, n.in(0), 1 / alpha)}, {{"alpha", 1.0}}), alpha)};
}

Values hard_sigmoid(Call& n) {
  const ValueId line = plus(n, times(n, n.in(0), n.number("alpha", 0.2f)), n.number("beta", 0.5));
  return {bounded(n, line, 0, 1)};
}

Values hard_swish(Call& n) {
  const ValueId line = plus(n, times(n, n.in(0), 1.0 / 6), 0.5);
  return {n.emit("mul", {n.in(0), bounded(n, line, 0, 1)})};
}

Values swish(Call& n) {
  const double alpha = n.number("alpha", 1);
  const ValueId scaled = alpha == 1 ? n.in(0) : times(n, n.in(0), alpha);
  return {n.emit("mul", {n.in(0), n.emit("sigmoid", {scaled})})};
}

Values swiglu(Call& n) {
  if (n.shape(n.in(0)) != n.shape(n.in(1))) user_error("its inputs must have one shape");
  return {n.emit("mul", {swish(n)[0], n.in(1)})};
}

Values quick_gelu(Call& n) {
  const ValueId scaled = times(n, n.in(0), n.number("alpha", 1.702));
  return {n.emit("mul", {n.in(0), n.emit("sigmoid", {scaled})})};
}

Values gelu(Call& n) {
  const std::string approximate = n.text("approximate", "none");
  if (approximate == "none") return {exact_gelu(n, n.in(0))};
  if (approximate == "tanh") return {tanh_gelu(n, n.in(0))};
  user_error("approximate '{}' is unknown; none and tanh are", approximate);
}

Values fast_gelu(Call& n) {
  return {tanh_gelu(n, biased(n))};
}
Values bias_gelu(Call& n) {
  static_cast<void>(n.in(1));
  return {exact_gelu(n, biased(n))};
}

Values softplus(Call& n) {
  return {softplus_of(n, n.in(0))};
}
Values mish(Call& n) {
  return {n.emit("mul", {n.in(0), n.emit("tanh", {softplus_of(n, n.in(0))})})};
}
Values softsign(Call& n) {
  return {n.emit("div", {n.in(0), plus(n, n.emit("abs", {n.in(0)}), 1)})};
}

Values thresholded_relu(Call& n) {
  const ValueId x = n.in(0);
  return {n.emit("where", {n.emit("greater", {x, n.like(x, n.number("alpha", 1))}), x, n.like(x, 0)})};
}

// x < −λ: x + bias; x > λ: x − bias; else 0.
Values shrink(Call& n) {
  const ValueId x = n.in(0);
  const double bias = n.number("bias", 0), lambda = n.number("lambd", 0.5);
  const ValueId right = n.emit("where", {n.emit("greater", {x, n.like(x, lambda)}), plus(n, x, -bias), n.like(x, 0)});
  return {n.emit("where", {n.emit("less", {x, n.like(x, -lambda)}), plus(n, x, bias), right})};
}

// A slope per channel or element: where(x < 0, slope·x, x). One slope for all is a leaky relu.
Values prelu(Call& n) {
  const ValueId x = n.in(0);
  ValueId slope = n.in(1);
  if (n.opset < 7 && n.rank(slope) == 1 && n.rank(x) > 2) {  // of the channels, wherever numpy would have them
    Extents shape(static_cast<size_t>(n.rank(x)) - 1, 1);
    shape[0] = product(n.shape(slope));
    slope = n.reshape(slope, shape);
  }
  if (product(n.shape(slope)) == 1 && dtype_is_float(n.dtype(x)))
    if (const auto values = n.known_numbers(slope)) return {n.emit("leaky_relu", {x}, {{"alpha", values->at(0)}})};
  return {n.emit("where", {n.emit("less", {x, n.like(x, 0)}), n.emit("mul", {x, slope}), x})};
}

}  // namespace oc::from_onnx
