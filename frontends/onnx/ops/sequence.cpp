// Ops on sequences: rotary positions, causal convolution, reversal.
#include "base/error.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {

// The first `rotary_embedding_dim` elements of each head are pairs, turned by the angle of their position. x is
// [b, heads, s, d], or [b, s, heads · d] with the attribute num_heads.
Values rotary_embedding(Call& n) {
  const Extents shape = n.shape(n.in(0));
  if (shape.size() != 3 && shape.size() != 4) user_error("its input has rank {}, must be 3 or 4", shape.size());
  const bool flat = shape.size() == 3;
  ValueId x = n.in(0);
  if (flat) {
    const int64_t heads = n.integer("num_heads");
    if (heads < 1 || shape[2] % heads != 0) user_error("{} elements cannot be divided into {} heads", shape[2], heads);
    x = n.reshape(x, {shape[0], shape[1], heads, shape[2] / heads});
  }
  const int64_t size = n.shape(x)[3], given = n.integer("rotary_embedding_dim", 0);
  const int64_t turned = given == 0 ? size : given, half = turned / 2;
  if (turned < 0 || turned > size || turned % 2 != 0) user_error("{} of {} elements cannot be turned", turned, size);
  const auto angles = [&](size_t i) {
    const ValueId cache = n.has(3) ? n.emit("gather", {n.in(i), n.in(3)}, {{"axis", int64_t{0}}}) : n.in(i);
    Extents s = n.shape(cache);
    if (s.size() != 3 || s[2] != half) user_error("its input {} must hold {} numbers a position", i, half);
    s.insert(s.begin() + (flat ? 2 : 1), 1);
    return n.reshape(cache, s);
  };
  const ValueId cos = angles(1), sin = angles(2);
  const bool interleaved = n.flag("interleaved", false);
  const ValueId a = interleaved ? part(n, x, 3, 0, half, 2) : part(n, x, 3, 0, half);
  const ValueId b = interleaved ? part(n, x, 3, 1, half, 2) : part(n, x, 3, half, half);
  const auto product = [&](ValueId p, ValueId q) { return n.emit("mul", {p, q}); };
  Values pair{n.emit("sub", {product(cos, a), product(sin, b)}), n.emit("add", {product(sin, a), product(cos, b)})};
  Extents rotated = n.shape(x);
  rotated[3] = turned;
  if (interleaved) {
    Extents single = n.shape(pair[0]);
    single.push_back(1);
    for (ValueId& each : pair) each = n.reshape(each, single);
  }
  ValueId y = n.reshape(n.emit("concat", pair, {{"axis", n.rank(pair[0]) - 1}}), rotated);
  if (turned < size) y = n.emit("concat", {y, part(n, x, 3, turned, size - turned)}, {{"axis", int64_t{3}}});
  return {n.reshape(y, shape)};
}

// x [b, c, s] behind the last k − 1 positions of before, each channel with its own filter of k taps.
Values causal_conv(Call& n) {
  const Extents shape = n.shape(n.in(0)), filter = n.shape(n.in(1));
  if (shape.size() != 3 || filter.size() != 3 || filter[0] != shape[1] || filter[1] != 1 || filter[2] < 1)
    user_error("its input must have rank 3 and its weight the shape [channels, 1, taps]");
  const int64_t channels = shape[1], before = filter[2] - 1;
  const Extents state{shape[0], channels, before};
  const ValueId past = n.has(3) ? n.in(3) : n.expand(n.like(n.in(0), 0), state);
  if (n.shape(past) != state)
    user_error("its past_state must have the shape [{}, {}, {}]", state[0], state[1], state[2]);
  const ValueId whole = before > 0 ? n.emit("concat", {past, n.in(0)}, {{"axis", int64_t{2}}}) : n.in(0);
  Values operands{n.reshape(whole, {shape[0], channels, 1, shape[2] + before}),
                  n.reshape(n.in(1), {channels, 1, 1, filter[2]})};
  if (n.has(2)) operands.push_back(n.in(2));
  ValueId y = n.emit(
      "conv", operands,
      {{"strides", Extents{1, 1}}, {"pads", Extents{0, 0, 0, 0}}, {"dilations", Extents{1, 1}}, {"group", channels}});
  const std::string activation = n.text("activation", "none");
  if (activation == "silu" || activation == "swish")
    y = n.emit("mul", {y, n.emit("sigmoid", {y})});
  else if (activation != "none")
    user_error("activation '{}' is unknown; none, silu and swish are", activation);
  return {n.reshape(y, shape), part(n, whole, 2, shape[2], before)};
}

// The cache with the update written from a place along `axis` on that each batch has for itself.
Values tensor_scatter(Call& n) {
  const ValueId cache = n.in(0), update = n.in(1);
  const int64_t rank = n.rank(cache), axis = normal_axis(n.integer("axis", -2), rank);
  const Extents shape = n.shape(cache);
  Extents wanted = shape;
  if (n.rank(update) == rank) wanted[static_cast<size_t>(axis)] = n.shape(update)[static_cast<size_t>(axis)];
  const int64_t size = wanted[static_cast<size_t>(axis)], most = shape[static_cast<size_t>(axis)];
  if (n.shape(update) != wanted || axis == 0 || size > most || size < 1)
    user_error("its update must have the shape of its cache but for axis {}", axis);
  const std::string mode = n.text("mode", "linear");
  if (mode != "linear" && mode != "circular") user_error("mode '{}' is unknown; linear and circular are", mode);
  Extents batch(shape.size(), 1);
  batch[0] = shape[0];
  ValueId from = positions(n, most, axis, rank);
  if (n.has(2)) from = n.emit("sub", {from, n.reshape(n.cast(n.in(2), DType::i64), batch)});
  if (mode == "circular") from = n.emit("mod", {from, n.like(from, static_cast<double>(most))});
  const ValueId inside = n.emit("and", {n.emit("greater_equal", {from, n.like(from, 0)}),
                                        n.emit("less", {from, n.like(from, static_cast<double>(size))})});
  const ValueId safe = n.expand(n.emit("where", {inside, from, n.like(from, 0)}), shape);
  return {n.emit("where", {inside, take_along(n, update, safe, axis), cache})};
}

// Along the time axis the first `sequence_lens` elements of each batch in reverse.
Values reverse_sequence(Call& n) {
  const ValueId x = n.in(0);
  const Extents shape = n.shape(x);
  const int64_t batch = n.integer("batch_axis", 1), time = n.integer("time_axis", 0), rank = n.rank(x);
  if (rank < 2 || batch < 0 || batch > 1 || time != 1 - batch)
    user_error("its batch and time axes must be 0 and 1, or 1 and 0");
  Extents along(shape.size(), 1);
  along[static_cast<size_t>(batch)] = shape[static_cast<size_t>(batch)];
  const ValueId length = n.reshape(n.cast(n.in(1), DType::i64), along);
  const ValueId at = positions(n, shape[static_cast<size_t>(time)], time, rank);
  const ValueId mirrored = n.emit("sub", {n.emit("sub", {length, n.like(at, 1)}), at});
  const ValueId from = n.emit("where", {n.emit("less", {at, length}), mirrored, at});
  return {take_along(n, x, n.expand(from, shape), time)};
}

}  // namespace oc::from_onnx
