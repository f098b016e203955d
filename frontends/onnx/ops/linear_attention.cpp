// LinearAttention: a state [b, heads, d, e] that each position of the sequence changes and is answered from,
//   S ← S·e^decay + k ⊗ v',  v' = v or beta·(v − k·S),  y = scale·q·S
// in f32, the positions one after the other.
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/call.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kMostPositions = 512;

struct Rule {
  bool gated, delta;
};

Rule rule_of(const Call& n) {
  const std::string rule = n.text("update_rule", "gated_delta");
  if (rule == "linear") return {false, false};
  if (rule == "gated") return {true, false};
  if (rule == "delta") return {false, true};
  if (rule == "gated_delta") return {true, true};
  user_error("update_rule '{}' is unknown; linear, gated, delta and gated_delta are", rule);
}

// [b, t, heads · d] → [b, heads, t, d] in f32.
ValueId heads_of(Call& n, ValueId x, int64_t heads) {
  const Extents s = n.shape(x);
  if (s.size() != 3 || s[2] % heads != 0)
    user_error("an input of rank {} cannot be divided into {} heads", s.size(), heads);
  return n.cast(n.transpose(n.reshape(x, {s[0], s[1], heads, s[2] / heads}), {0, 2, 1, 3}), DType::f32);
}

// Position i of [b, heads, t, d], as [b, heads, 1, d] or standing: [b, heads, d, 1].
ValueId at(Call& n, ValueId x, int64_t i, bool standing) {
  const ValueId one = part(n, x, 2, i, 1);
  const Extents s = n.shape(one);
  return standing ? n.reshape(one, {s[0], s[1], s[3], 1}) : one;
}

}  // namespace

Values linear_attention(Call& n) {
  const Rule rule = rule_of(n);
  const int64_t query_heads = n.integer("q_num_heads"), heads = n.integer("kv_num_heads");
  if (heads < 1 || query_heads < heads || query_heads % heads != 0)
    user_error("q_num_heads {} must be a multiple of kv_num_heads {}", query_heads, heads);
  if (rule.gated != n.has(4) || rule.delta != n.has(5))
    user_error("its update_rule does not go with its decay and beta");
  const ValueId q = heads_of(n, n.in(0), query_heads), k = heads_of(n, n.in(1), heads), v = heads_of(n, n.in(2), heads);
  const Extents keys = n.shape(k), values = n.shape(v);
  const int64_t batch = keys[0], count = keys[2], size = keys[3], width = values[3], group = query_heads / heads;
  if (count > kMostPositions) user_error("sequences of {} are not supported; up to {} are", count, kMostPositions);
  if (n.shape(q) != Extents{batch, query_heads, count, size} || values[0] != batch || values[2] != count)
    user_error("its query, key and value do not agree in their shapes");
  const ValueId decay = rule.gated ? n.emit("exp", {heads_of(n, n.in(4), heads)}) : ValueId();
  const ValueId beta = rule.delta ? heads_of(n, n.in(5), n.shape(n.in(5)).back() == 1 ? 1 : heads) : ValueId();
  const Extents state_shape{batch, heads, size, width};
  const DType state_type = n.dtype(n.has(3) ? n.in(3) : n.in(0));
  ValueId state = n.has(3) ? n.cast(n.in(3), DType::f32) : n.expand(n.scalar(DType::f32, 0), state_shape);
  if (n.shape(state) != state_shape) user_error("its past_state does not fit its keys and values");
  const double given = n.number("scale", 0);
  const ValueId scale = n.scalar(DType::f32, given == 0 ? 1 / std::sqrt(static_cast<double>(size)) : given);
  Values answers;
  for (int64_t i = 0; i < count; ++i) {
    if (rule.gated) state = n.emit("mul", {state, at(n, decay, i, true)});
    ValueId written = at(n, v, i, false);
    if (rule.delta) {
      const ValueId held = n.emit("matmul", {at(n, k, i, false), state});
      written = n.emit("mul", {at(n, beta, i, false), n.emit("sub", {written, held})});
    }
    state = n.emit("add", {state, n.emit("mul", {at(n, k, i, true), written})});
    // The query heads of a group ask the same state.
    const ValueId asked = n.reshape(at(n, q, i, false), {batch, heads, group, size});
    answers.push_back(
        n.reshape(n.emit("mul", {n.emit("matmul", {asked, state}), scale}), {batch, 1, query_heads * width}));
  }
  const ValueId y = answers.size() == 1 ? answers[0] : n.emit("concat", answers, {{"axis", int64_t{1}}});
  return {n.cast(y, n.dtype(n.in(0))), n.cast(state, state_type)};
}

}  // namespace oc::from_onnx
