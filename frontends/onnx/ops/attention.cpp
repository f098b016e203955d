// Attention: softmax(Q·Kᵀ·scale + bias)·V with the heads, the mask and the cache around it. The graph passes make one
// op of its core again.
#include "frontends/onnx/ops/attention.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {

ValueId split_heads(Call& n, ValueId x, std::string_view attr) {
  const Extents shape = n.shape(x);
  if (shape.size() == 4) return x;
  const int64_t heads = n.integer(attr);
  if (shape.size() != 3 || heads < 1 || shape[2] % heads != 0)
    user_error("an operand of rank {} cannot be divided into {} heads", shape.size(), heads);
  return n.transpose(n.reshape(x, {shape[0], shape[1], heads, shape[2] / heads}), {0, 2, 1, 3});
}

ValueId merge_heads(Call& n, ValueId x) {
  const Extents s = n.shape(x);
  return n.reshape(n.transpose(x, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

ValueId distances(Call& n, int64_t queries, int64_t keys) {
  n.spend(DType::i64, queries * keys);
  Tensor result = make_tensor(DType::i64, {queries, keys});
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j) result.as<int64_t>()[static_cast<size_t>(i * keys + j)] = j - i;
  return n.constant(std::move(result));
}

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum Input : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kValidKeys };

// Each head of keys or values serves a group of neighbouring query heads.
ValueId repeat_heads(Call& n, ValueId x, int64_t heads) {
  const Extents s = n.shape(x);
  if (s[1] == heads) return x;
  if (s[1] < 1 || heads % s[1] != 0) user_error("{} query heads cannot share {} heads of keys", heads, s[1]);
  const int64_t group = heads / s[1];
  return n.reshape(n.expand(n.reshape(x, {s[0], s[1], 1, s[2], s[3]}), {s[0], s[1], group, s[2], s[3]}),
                   {s[0], heads, s[2], s[3]});
}

ValueId integer(Call& n, int64_t value) {
  return n.constant(int64_tensor({&value, 1}, {}));
}

ValueId both(Call& n, ValueId a, ValueId b) {
  return a.valid() ? n.emit("and", {a, b}) : b;
}

// Which keys a query may attend, as far as the attributes and the cache say; invalid: all.
ValueId allowed_keys(Call& n, int64_t queries, int64_t keys) {
  const bool causal = n.flag("is_causal", false);
  const int64_t left = n.integer("left_window_size", -1), right = n.integer("right_window_size", -1);
  // Keys before the first query: those of the cache.
  ValueId valid_keys, before = integer(n, n.has(kPastKey) ? n.shape(n.in(kPastKey)).at(2) : 0);
  if (n.has(kValidKeys)) {
    valid_keys = n.reshape(n.cast(n.in(kValidKeys), DType::i64), {product(n.shape(n.in(kValidKeys))), 1, 1, 1});
    before = n.emit("sub", {valid_keys, integer(n, queries)});
  }
  ValueId allowed;
  if (causal || left >= 0 || right >= 0) {
    const ValueId distance = distances(n, queries, keys);
    if (causal) allowed = n.emit("less_equal", {distance, before});
    if (left >= 0)
      allowed = both(n, allowed, n.emit("greater_equal", {distance, n.emit("sub", {before, integer(n, left)})}));
    if (right >= 0)
      allowed = both(n, allowed, n.emit("less_equal", {distance, n.emit("add", {before, integer(n, right)})}));
  }
  if (valid_keys.valid()) allowed = both(n, allowed, n.emit("less", {distances(n, 1, keys), valid_keys}));
  return allowed;
}

// The mask with as many keys as there are; those it does not name are masked.
ValueId whole_mask(Call& n, int64_t keys) {
  const ValueId mask = n.in(kMask);
  Extents rest = n.shape(mask);
  if (rest.empty() || rest.back() >= keys || rest.back() == 1) return mask;
  rest.back() = keys - rest.back();
  const ValueId masked = n.like(mask, n.dtype(mask) == DType::boolean ? 0 : -kInfinity);
  return n.emit("concat", {mask, n.expand(masked, rest)}, {{"axis", n.rank(mask) - 1}});
}

// What is added to the scores; invalid: nothing.
ValueId bias_of(Call& n, DType dtype, int64_t queries, int64_t keys) {
  ValueId allowed = allowed_keys(n, queries, keys), bias;
  if (n.has(kMask)) {
    bias = whole_mask(n, keys);
    if (n.dtype(bias) == DType::boolean) {
      allowed = both(n, allowed, bias);
      bias = {};
    }
  }
  if (!allowed.valid()) return bias;
  const ValueId hard = n.emit("where", {allowed, n.scalar(dtype, 0), n.scalar(dtype, -kInfinity)});
  return bias.valid() ? n.emit("add", {bias, hard}) : hard;
}

// The softmax, 0 in rows that may attend nothing.
ValueId weights_of(Call& n, ValueId scores, bool masked) {
  const DType dtype = n.dtype(scores);
  const int64_t given = n.integer("softmax_precision", 0);
  const ValueId precise = given == 0 ? scores : n.cast(scores, known_dtype(given));
  const ValueId weights = n.cast(n.emit("softmax", {precise}, {{"axis", n.rank(scores) - 1}}), dtype);
  return masked ? n.emit("where", {n.emit("is_nan", {weights}), n.like(weights, 0), weights}) : weights;
}

}  // namespace

Values attention(Call& n) {
  const bool flat = n.rank(n.in(kQ)) == 3;
  const ValueId q = split_heads(n, n.in(kQ), "q_num_heads");
  ValueId k = split_heads(n, n.in(kK), "kv_num_heads"), v = split_heads(n, n.in(kV), "kv_num_heads");
  if (n.rank(q) != 4 || n.rank(k) != 4 || n.rank(v) != 4) user_error("its operands must have rank 3 or 4");
  if (n.has(kPastKey)) k = n.emit("concat", {n.in(kPastKey), k}, {{"axis", int64_t{2}}});
  if (n.has(kPastValue)) v = n.emit("concat", {n.in(kPastValue), v}, {{"axis", int64_t{2}}});
  const Values present{k, v};
  const Extents queries = n.shape(q);
  const int64_t keys = n.shape(k)[2];
  k = repeat_heads(n, k, queries[1]);
  v = repeat_heads(n, v, queries[1]);

  const double scale = n.number("scale", 1 / std::sqrt(static_cast<double>(queries[3])));
  ValueId scores = n.emit("matmul", {q, n.transpose(k, {0, 1, 3, 2})});
  scores = n.emit("mul", {scores, n.like(scores, scale)});
  Values stages{scores};  // what qk_matmul_output_mode chooses from
  if (const double cap = n.number("softcap", 0); cap > 0)
    scores = n.emit("mul", {n.emit("tanh", {n.emit("div", {scores, n.like(scores, cap)})}), n.like(scores, cap)});
  stages.push_back(scores);
  const ValueId bias = bias_of(n, n.dtype(q), queries[2], keys);
  if (bias.valid()) scores = n.emit("add", {scores, bias});
  if (n.shape(scores) != Extents{queries[0], queries[1], queries[2], keys})
    user_error("its mask does not broadcast to the scores");
  stages.push_back(scores);
  const ValueId weights = weights_of(n, scores, bias.valid());
  stages.push_back(weights);
  ValueId y = n.emit("matmul", {weights, v});
  if (flat) y = merge_heads(n, y);
  const int64_t mode = n.integer("qk_matmul_output_mode", 0);
  if (mode < 0 || mode >= static_cast<int64_t>(stages.size())) user_error("qk_matmul_output_mode {} is unknown", mode);
  return {y, present[0], present[1], stages[static_cast<size_t>(mode)]};
}

// Attention whose scores and weights pass through graphs of the model's.
Values flex_attention(Call& n) {
  const ValueId q = n.in(kQ);
  if (n.rank(q) != 4 || n.rank(n.in(kK)) != 4 || n.rank(n.in(kV)) != 4) user_error("its operands must have rank 4");
  const Extents shape = n.shape(q);
  const ValueId k = repeat_heads(n, n.in(kK), shape[1]), v = repeat_heads(n, n.in(kV), shape[1]);
  const DType given = n.dtype(q) == DType::f64 ? DType::f64 : DType::f32;
  const DType precise =
      n.attribute("softmax_precision") != nullptr ? known_dtype(n.integer("softmax_precision")) : given;
  const auto changed = [&](std::string_view attribute, ValueId x) {
    if (n.attribute(attribute) == nullptr) return x;
    const Values result = n.body(attribute, {x});
    if (result.size() != 1 || n.list(result[0]) != nullptr || n.import.graph[result[0]].type != n.import.graph[x].type)
      user_error("its {} must give one tensor of the type that it takes", attribute);
    return result[0];
  };
  const double scale = n.number("scale", 1 / std::sqrt(static_cast<double>(shape[3])));
  const ValueId products = n.emit("matmul", {q, n.transpose(k, {0, 1, 3, 2})});
  const ValueId scores = n.cast(n.emit("mul", {products, n.like(products, scale)}), precise);
  const ValueId weights = n.emit("softmax", {changed("score_mod", scores)}, {{"axis", int64_t{3}}});
  const ValueId y = n.emit("matmul", {changed("prob_mod", weights), n.cast(v, precise)});
  return {n.cast(y, n.dtype(q))};
}

}  // namespace oc::from_onnx
