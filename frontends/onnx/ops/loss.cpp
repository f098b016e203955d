// Losses over classes: x [n, classes, …], targets [n, …] of class numbers.
#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

// Per target: is it the one to ignore? Invalid: none is.
ValueId ignored(Call& n, ValueId targets) {
  if (n.attribute("ignore_index") == nullptr) return {};
  return n.emit("equal", {targets, n.like(targets, static_cast<double>(n.integer("ignore_index")))});
}

ValueId all_sum(Call& n, ValueId x) {
  return reduce_over(n, "reduce_sum", x, axes_from(0, n.rank(x)), false);
}

// −x[target] · weight[target], reduced as the node asks.
ValueId likelihood_loss(Call& n, ValueId x, ValueId targets) {
  const int64_t rank = n.rank(x);
  if (rank < 2) user_error("its input has rank {}, needs a class dim", rank);
  const Extents shape = n.shape(x);
  Extents kept = shape;
  kept.erase(kept.begin() + 1);
  if (n.shape(targets) != kept) user_error("its targets do not have the shape of its input without the class dim");
  targets = n.cast(targets, DType::i64);
  Extents beside = shape;
  beside[1] = 1;
  const ValueId chosen = n.emit("equal", {positions(n, shape[1], 1, rank), n.reshape(targets, beside)});
  const auto of_target = [&](ValueId values) {
    const ValueId picked = n.emit("where", {chosen, values, n.like(values, 0)});
    return n.reshape(reduce_over(n, "reduce_sum", picked, {1}), kept);
  };
  const ValueId skip = ignored(n, targets);
  const auto unless_skipped = [&](ValueId value) {
    return skip.valid() ? n.emit("where", {skip, n.like(value, 0), value}) : value;
  };
  ValueId loss = n.emit("neg", {of_target(x)}), weight;
  if (n.has(2)) {
    if (n.shape(n.in(2)) != Extents{shape[1]}) user_error("its weights must have the shape [{}]", shape[1]);
    Extents along(static_cast<size_t>(rank), 1);
    along[1] = shape[1];
    weight = unless_skipped(of_target(n.reshape(n.in(2), along)));
    loss = n.emit("mul", {loss, weight});
  } else if (skip.valid()) {
    weight = unless_skipped(n.expand(n.like(x, 1), kept));
  }
  loss = unless_skipped(loss);
  const std::string reduction = n.text("reduction", "mean");
  if (reduction == "none") return loss;
  if (reduction == "sum") return all_sum(n, loss);
  if (reduction != "mean") user_error("reduction '{}' is unknown; none, sum and mean are", reduction);
  if (weight.valid()) return n.emit("div", {all_sum(n, loss), all_sum(n, weight)});
  return reduce_over(n, "reduce_mean", loss, axes_from(0, n.rank(loss)), false);
}

}  // namespace

Values negative_log_likelihood(Call& n) {
  return {likelihood_loss(n, n.in(0), n.in(1))};
}

// Its second output is the logarithm of the softmax.
Values softmax_cross_entropy(Call& n) {
  if (n.rank(n.in(0)) < 2) user_error("its input has rank {}, needs a class dim", n.rank(n.in(0)));
  const ValueId logarithms = n.emit("log_softmax", {n.in(0)}, {{"axis", int64_t{1}}});
  return {likelihood_loss(n, logarithms, n.in(1)), logarithms};
}

}  // namespace oc::from_onnx
