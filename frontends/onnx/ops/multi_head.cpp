// Attention and MultiHeadAttention of com.microsoft: softmax(Q·Kᵀ·scale + what masks)·V, with what is before and behind
// it. Their caches that are written in place are not supported.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/ops/attention.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

struct Operands {
  ValueId q, k, v;     // [b, heads, s, d]
  int64_t cached = 0;  // keys and values that are from a cache, in front
};

// The mask of keys, [b, keys] or [b, queries, keys], 0 where one is not to be attended, as what is added to scores.
ValueId padding_bias(Call& n, size_t input, const Extents& scores) {
  Extents shape = n.shape(n.in(input));
  if (shape != Extents{scores[0], scores[3]} && shape != Extents{scores[0], scores[2], scores[3]})
    user_error("its mask (input {}) has the shape [{}]; [{}, {}] and [{}, {}, {}] are supported", input,
               fmt::join(shape, ", "), scores[0], scores[3], scores[0], scores[2], scores[3]);
  shape.insert(shape.begin() + 1, 4 - shape.size(), 1);
  const ValueId mask = n.reshape(n.in(input), shape);
  const ValueId attended = n.emit("greater", {mask, n.like(mask, 0)});
  return n.emit("where",
                {attended, n.scalar(DType::f32, 0), n.scalar(DType::f32, n.number("mask_filter_value", -10000.0))});
}

// `padding`, but the least number for keys behind the query, which itself stands behind those of the cache.
ValueId causal_bias(Call& n, const Extents& scores, int64_t cached, ValueId padding) {
  const ValueId distance = distances(n, scores[2], scores[3]);
  const ValueId allowed = n.emit("less_equal", {distance, n.scalar(DType::i64, static_cast<double>(cached))});
  const ValueId behind = n.scalar(DType::f32, std::numeric_limits<float>::lowest());
  return n.emit("where", {allowed, padding.valid() ? padding : n.scalar(DType::f32, 0), behind});
}

// [b, queries, heads · d]; `padding` and `bias` are the inputs that mask.
ValueId attended(Call& n, const Operands& x, size_t padding, size_t bias) {
  const double scale = n.number("scale", 0);
  const auto depth = static_cast<double>(n.shape(x.q)[3]);
  ValueId scores = n.emit("matmul", {x.q, n.transpose(x.k, {0, 1, 3, 2})});
  scores = times(n, scores, scale == 0 ? 1 / std::sqrt(depth) : scale);
  const Extents shape = n.shape(scores);
  const auto add = [&](ValueId value) { scores = n.emit("add", {scores, n.cast(value, n.dtype(scores))}); };
  ValueId mask = n.has(padding) ? padding_bias(n, padding, shape) : ValueId();
  if (n.flag("unidirectional", false)) mask = causal_bias(n, shape, x.cached, mask);
  if (mask.valid()) add(mask);
  if (n.has(bias)) add(n.in(bias));
  if (n.shape(scores) != shape) user_error("its attention_bias does not broadcast to the scores");
  return merge_heads(n, n.emit("matmul", {n.emit("softmax", {scores}, {{"axis", int64_t{3}}}), x.v}));
}

void refuse_flag(const Call& n, std::string_view attribute) {
  if (n.flag(attribute, false)) user_error("{} is not supported", attribute);
}

void refuse_input(const Call& n, size_t i, std::string_view what) {
  if (n.has(i)) user_error("its {} (input {}) is not supported", what, i);
}

// Keys or values behind those of the cache.
ValueId behind(Call& n, ValueId past, ValueId x) {
  Extents shape = n.shape(past), own = n.shape(x);
  if (shape.size() != 4) user_error("its past has rank {}", shape.size());
  shape[2] = own[2];
  if (shape != own) user_error("its past does not fit keys and values of [{}]", fmt::join(own, ", "));
  return n.emit("concat", {past, x}, {{"axis", int64_t{2}}});
}

void append_to_cache(Call& n, Operands& x, ValueId keys, ValueId values) {
  const int64_t own = n.shape(x.k)[2];
  x.k = behind(n, keys, x.k);
  x.v = behind(n, values, x.v);
  x.cached = n.shape(x.k)[2] - own;
}

// x + the columns of the vector `bias` from `start` on.
ValueId biased(Call& n, ValueId x, size_t bias, int64_t start) {
  return n.has(bias) ? n.emit("add", {x, part(n, n.in(bias), 0, start, n.shape(x).back())}) : x;
}

// How wide Q, K and V are together in their product with the input.
Extents widths_of(const Call& n, int64_t columns) {
  const Extents widths = n.integers("qkv_hidden_sizes", Extents(3, columns / 3));
  if (widths.size() != 3 || widths[0] != widths[1] || widths[0] < 1 || widths[2] < 1 || widths[0] > columns ||
      widths[2] > columns || 2 * widths[0] + widths[2] != columns)
    user_error("its weights have {} columns, which do not divide into Q, K and V", columns);
  return widths;
}

}  // namespace

Values multi_head_attention(Call& n) {
  if (!n.has(1) || !n.has(2)) user_error("Q, K and V packed in one input are not supported");
  for (size_t i : {size_t{0}, size_t{1}, size_t{2}})
    if (n.rank(n.in(i)) != 3) user_error("its input {} has rank {}, must be 3", i, n.rank(n.in(i)));
  refuse_input(n, 8, "past_sequence_length");
  refuse_input(n, 9, "cache_indirection");
  if (n.has(6) != n.has(7)) user_error("has only one of past_key and past_value");
  const int64_t q = n.shape(n.in(0))[2], k = n.shape(n.in(1))[2], v = n.shape(n.in(2))[2];
  if (n.has(3)) check_vector(n, 3, "bias", q + k + v);
  Operands x{split_heads(n, biased(n, n.in(0), 3, 0), "num_heads"),
             split_heads(n, biased(n, n.in(1), 3, q), "num_heads"),
             split_heads(n, biased(n, n.in(2), 3, q + k), "num_heads")};
  if (n.has(6)) append_to_cache(n, x, n.in(6), n.in(7));
  return {attended(n, x, 4, 5), x.k, x.v};
}

// Q, K and V are one product of the input; keys and values of the cache are one tensor [2, b, heads, s, d].
Values packed_attention(Call& n) {
  for (const char* attribute : {"do_rotary", "past_present_share_buffer"}) refuse_flag(n, attribute);
  refuse_input(n, 6, "past_sequence_length");
  if (n.rank(n.in(0)) != 3 || n.rank(n.in(1)) != 2)
    user_error("its input and weights have ranks {} and {}, must be 3 and 2", n.rank(n.in(0)), n.rank(n.in(1)));
  const int64_t columns = n.shape(n.in(1))[1];
  const Extents widths = widths_of(n, columns);
  if (n.has(2)) check_vector(n, 2, "bias", columns);
  const ValueId all = biased(n, n.emit("matmul", {n.in(0), n.in(1)}), 2, 0);
  const auto heads = [&](int64_t start, int64_t width) {
    return split_heads(n, part(n, all, 2, start, width), "num_heads");
  };
  Operands x{heads(0, widths[0]), heads(widths[0], widths[1]), heads(2 * widths[0], widths[2])};
  if (n.has(4)) {
    const Extents past = n.shape(n.in(4));
    if (past.size() != 5 || past[0] != 2) user_error("its past has the shape [{}]", fmt::join(past, ", "));
    append_to_cache(n, x, item(n, n.in(4), 0, 0), item(n, n.in(4), 0, 1));
  }
  const ValueId y = attended(n, x, 3, 5);
  return {y, n.wants(1) ? stacked(n, {x.k, x.v}, 0) : ValueId()};
}

}  // namespace oc::from_onnx
