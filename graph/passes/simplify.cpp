#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

constexpr int kMaxSweeps = 8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Rewriter {
  Graph& graph;
  const OpSet& ops;
  std::vector<int> uses = use_counts(graph);  // before the sweep

  [[nodiscard]] const Type& type(ValueId value) const { return graph[value].type; }
  // The node that makes `value` if it is an `op`, else null. Invalidated by add.
  [[nodiscard]] const Node* made_by(ValueId value, std::string_view op) const { return oc::made_by(graph, value, op); }
  // A node like `model` (its name and output type) with another op.
  ValueId add(const Node& model, std::string op, std::vector<ValueId> inputs, Attrs attrs) {
    Type out = type(model.outputs[0]);
    return graph.add_node(std::move(op), std::move(inputs), std::move(attrs), std::move(out), model.name);
  }
  [[nodiscard]] bool has_op(std::string_view op) const { return ops.contains(op); }
  // A view of `value` in another shape.
  ValueId reshaped(ValueId value, const Extents& shape) {
    if (type(value).extents() == shape) return value;
    if (const Tensor* data = plain_data(graph, value)) {
      Tensor copy = *data;
      copy.shape = shape;
      return graph.add_constant({}, std::make_shared<const Tensor>(std::move(copy)));
    }
    return graph.add_node("reshape", {value}, {{"shape", shape}}, make_type(type(value).dtype, shape));
  }
  // Given from outside or known.
  [[nodiscard]] bool is_leaf(ValueId value) const { return !graph[value].producer.valid(); }
  // An elementwise value for one reader alone: one kernel computes both, unless a view comes between.
  [[nodiscard]] bool fuses_with_reader(ValueId value) const {
    if (is_leaf(value) || value.index >= uses.size() || uses[value.index] > 1) return false;
    return traits(ops, graph[graph[value].producer].op).kind == OpKind::elementwise;
  }
};

// A rule looks at a node whose inputs are already rewritten and returns the value that replaces its output, or none.
using Rule = ValueId (*)(Rewriter&, const Node&);

// reshape, cast, expand, relayout to what it is already → x
ValueId same_type(Rewriter& r, const Node& n) {
  return r.type(n.inputs[0]) == r.type(n.outputs[0]) ? n.inputs[0] : ValueId();
}

ValueId identity_slice(Rewriter& r, const Node& n) {
  return std::ranges::all_of(n.attrs.integers("steps"), [](int64_t s) { return s == 1; }) ? same_type(r, n) : ValueId();
}

ValueId identity_resize(Rewriter& r, const Node& n) {
  return std::ranges::all_of(n.attrs.numbers("scales", std::vector<double>()), [](double s) { return s == 1; })
             ? same_type(r, n)
             : ValueId();
}

ValueId identity_pad(Rewriter& /*r*/, const Node& n) {
  return std::ranges::all_of(n.attrs.integers("pads"), [](int64_t p) { return p == 0; }) ? n.inputs[0] : ValueId();
}

ValueId concat_of_one(Rewriter& /*r*/, const Node& n) {
  return n.inputs.size() == 1 ? n.inputs[0] : ValueId();
}

ValueId identity_transpose(Rewriter& /*r*/, const Node& n) {
  return std::ranges::is_sorted(n.attrs.integers("perm")) ? n.inputs[0] : ValueId();
}

// transpose(transpose(x, p), q) → transpose(x, p∘q)
ValueId transpose_of_transpose(Rewriter& r, const Node& n) {
  const Node* inner = r.made_by(n.inputs[0], "transpose");
  if (inner == nullptr) return {};
  const std::vector<int64_t> perm = composed(inner->attrs.integers("perm"), n.attrs.integers("perm"));
  return r.add(n, "transpose", {inner->inputs[0]}, {{"perm", perm}});
}

// A transpose that moves only dims of extent 1 leaves memory as it is: → reshape, which costs nothing.
ValueId transpose_to_reshape(Rewriter& r, const Node& n) {
  const Type& out = r.type(n.outputs[0]);
  if (!r.has_op("reshape") || !out.is_static()) return {};
  const std::vector<int64_t> perm = n.attrs.integers("perm");
  int64_t last = -1;
  for (size_t d = 0; d < perm.size(); ++d) {
    if (out.shape[d] == Dim(1)) continue;
    if (perm[d] < last) return {};
    last = perm[d];
  }
  return r.add(n, "reshape", {n.inputs[0]}, {{"shape", out.extents()}});
}

// perm with every dim of `merged` replaced by the consecutive dims of `whole` whose product it is; empty if there are
// none such.
std::vector<int64_t> expanded_perm(const std::vector<int64_t>& perm, const Extents& whole, const Extents& merged) {
  std::vector<std::pair<size_t, size_t>> groups;  // of dims of `whole`, [begin, end)
  size_t at = 0;
  for (const int64_t extent : merged) {
    const size_t begin = at;
    int64_t product = 1;
    while (at < whole.size() && (at == begin || product < extent)) product *= whole[at++];
    if (product != extent || at == begin) return {};
    groups.emplace_back(begin, at);
  }
  if (at != whole.size()) return {};
  std::vector<int64_t> result;
  for (const int64_t p : perm)
    for (size_t d = groups[static_cast<size_t>(p)].first; d < groups[static_cast<size_t>(p)].second; ++d)
      result.push_back(static_cast<int64_t>(d));
  return result;
}

// reshape(transpose(reshape(x: [b, h, s, d]) to [b·h, s, d]) to [b·h, d, s]) to [b, h, d, s] → transpose(x)
ValueId transpose_between_reshapes(Rewriter& r, const Node& n) {
  const Node* transpose = r.made_by(n.inputs[0], "transpose");
  const Node* reshape = transpose == nullptr ? nullptr : r.made_by(transpose->inputs[0], "reshape");
  if (reshape == nullptr) return {};
  const ValueId x = reshape->inputs[0];
  if (!r.type(x).is_static() || !r.type(n.outputs[0]).is_static()) return {};
  const Extents whole = r.type(x).extents(), out = r.type(n.outputs[0]).extents();
  const std::vector<int64_t> perm =
      expanded_perm(transpose->attrs.integers("perm"), whole, r.type(transpose->inputs[0]).extents());
  if (perm.size() != out.size()) return {};
  for (size_t d = 0; d < out.size(); ++d)
    if (out[d] != whole[static_cast<size_t>(perm[d])]) return {};
  return r.add(n, "transpose", {x}, {{"perm", perm}});
}

// f(f(x)) → f(x)
ValueId outer_suffices(Rewriter& r, const Node& n) {
  const Node* inner = r.made_by(n.inputs[0], n.op);
  if (inner == nullptr) return {};
  const ValueId x = inner->inputs[0];
  return r.add(n, n.op, {x}, n.attrs);
}

// What `operand` of an elementwise node becomes when the node is computed in the shape `inner` instead of its output's:
// the same elements in the same order. Nullopt when broadcasting stands in the way.
std::optional<Extents> operand_in(const Extents& operand, const Extents& outer, const Extents& inner) {
  if (operand == outer) return inner;
  if (element_count(operand) == 1) return Extents();
  // Otherwise only extents 1 may come and go: the other dims correspond in order.
  Extents result(inner.size(), 1);
  size_t at = 0;
  for (size_t d = 0; d < outer.size(); ++d) {
    if (outer[d] == 1) continue;
    while (at < inner.size() && inner[at] == 1) ++at;
    if (at == inner.size() || inner[at] != outer[d]) return std::nullopt;
    if (d + operand.size() >= outer.size()) result[at] = operand[d + operand.size() - outer.size()];
    ++at;
  }
  return result;
}

// relu(reshape(x)) → reshape(relu(x)), add(reshape(x), y) → reshape(add(x, reshape(y))): views move away from what
// makes x, so that what follows can be fused with it.
ValueId elementwise_before_view(Rewriter& r, const Node& n) {
  const Type out = r.type(n.outputs[0]);
  const auto is_static = [&](ValueId value) { return r.type(value).is_static(); };
  if (traits(r.ops, n.op).kind != OpKind::elementwise || !std::ranges::all_of(n.inputs, is_static)) return {};
  for (const ValueId viewed : n.inputs) {
    const Node* view = r.made_by(viewed, "reshape");
    if (view == nullptr || r.type(viewed).shape != out.shape || r.is_leaf(view->inputs[0])) continue;
    const Extents inner = r.type(view->inputs[0]).extents();
    std::vector<std::optional<Extents>> shapes;
    for (const ValueId input : n.inputs) {
      const Extents operand = r.type(input).extents();
      shapes.push_back(operand_in(operand, out.extents(), inner));
      if (shapes.back() && *shapes.back() != operand && r.fuses_with_reader(input)) shapes.back() = std::nullopt;
    }
    if (std::ranges::any_of(shapes, [](const auto& shape) { return !shape; })) continue;
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < n.inputs.size(); ++i) inputs.push_back(r.reshaped(n.inputs[i], *shapes[i]));
    const ValueId result = r.graph.add_node(n.op, inputs, n.attrs, make_type(out.dtype, inner), n.name);
    return r.reshaped(result, out.extents());
  }
  return {};
}

// relu(relu(x)), abs(abs(x)) → the inner one
ValueId idempotent(Rewriter& r, const Node& n) {
  return r.made_by(n.inputs[0], n.op) != nullptr ? n.inputs[0] : ValueId();
}

// neg(neg(x)), not(not(x)) → x
ValueId involution(Rewriter& r, const Node& n) {
  const Node* inner = r.made_by(n.inputs[0], n.op);
  return inner != nullptr ? inner->inputs[0] : ValueId();
}

ValueId unbounded_clip(Rewriter& /*r*/, const Node& n) {
  return n.attrs.number("min") == -kInfinity && n.attrs.number("max") == kInfinity ? n.inputs[0] : ValueId();
}

// clip(x, 0, ∞) → relu(x)
ValueId clip_to_relu(Rewriter& r, const Node& n) {
  if (n.attrs.number("min") != 0 || n.attrs.number("max") != kInfinity || !r.has_op("relu")) return {};
  return r.add(n, "relu", {n.inputs[0]}, {});
}

struct Bounds {
  ValueId x;
  double min, max;
};

std::optional<Bounds> bounds(const Rewriter& r, ValueId value) {
  if (const Node* relu = r.made_by(value, "relu")) return Bounds{relu->inputs[0], 0, kInfinity};
  if (const Node* clip = r.made_by(value, "clip"))
    return Bounds{clip->inputs[0], clip->attrs.number("min"), clip->attrs.number("max")};
  return std::nullopt;
}

// clip(clip(x, a, b), c, d) → clip(x, max(a, c), min(b, d)) when the intervals meet; relu is clip(0, ∞).
ValueId clip_of_clip(Rewriter& r, const Node& n) {
  const auto inner = bounds(r, n.inputs[0]);
  const auto outer = bounds(r, n.outputs[0]);
  if (!inner || !outer || !r.has_op("clip")) return {};
  const double min = std::max(inner->min, outer->min), max = std::min(inner->max, outer->max);
  if (!(min <= max)) return {};
  return r.add(n, "clip", {inner->x}, {{"min", min}, {"max", max}});
}

// x + 0, x − 0, x · 1, x / 1, x ^ 1 → x, unless the constant broadcasts x
ValueId neutral_operand(Rewriter& r, const Node& n) {
  const double neutral = n.op == "add" || n.op == "sub" ? 0 : 1;
  const bool commutes = n.op == "add" || n.op == "mul";
  for (const size_t constant : {size_t{1}, size_t{0}}) {
    if (constant == 0 && !commutes) continue;
    const ValueId x = n.inputs[1 - constant];
    if (uniform_value(r.graph, n.inputs[constant]) == neutral && r.type(x) == r.type(n.outputs[0])) return x;
  }
  return {};
}

// pow(x, 2) → mul(x, x)
ValueId square(Rewriter& r, const Node& n) {
  if (uniform_value(r.graph, n.inputs[1]) != 2.0 || r.type(n.inputs[0]) != r.type(n.outputs[0]) || !r.has_op("mul"))
    return {};
  return r.add(n, "mul", {n.inputs[0], n.inputs[0]}, {});
}

// max(x, 0) → relu(x)
ValueId max_to_relu(Rewriter& r, const Node& n) {
  if (!r.has_op("relu") || r.type(n.outputs[0]).dtype != DType::f32) return {};
  for (const size_t constant : {size_t{1}, size_t{0}}) {
    const ValueId x = n.inputs[1 - constant];
    if (uniform_value(r.graph, n.inputs[constant]) == 0.0 && r.type(x) == r.type(n.outputs[0]))
      return r.add(n, "relu", {x}, {});
  }
  return {};
}

// Does every value of `narrow` exist in `wide`?
bool holds(DType wide, DType narrow) {
  constexpr std::array<std::pair<DType, DType>, 8> kWidenings{{{DType::f64, DType::f32},
                                                               {DType::f32, DType::f16},
                                                               {DType::f32, DType::bf16},
                                                               {DType::i64, DType::i32},
                                                               {DType::i64, DType::boolean},
                                                               {DType::i32, DType::boolean},
                                                               {DType::f32, DType::boolean},
                                                               {DType::f64, DType::i32}}};
  return std::ranges::find(kWidenings, std::pair(wide, narrow)) != kWidenings.end();
}

// cast(cast(x: i32, i64), i32) → x
ValueId cast_there_and_back(Rewriter& r, const Node& n) {
  const Node* inner = r.made_by(n.inputs[0], "cast");
  if (inner == nullptr || r.type(inner->inputs[0]) != r.type(n.outputs[0])) return {};
  return holds(r.type(n.inputs[0]).dtype, r.type(n.outputs[0]).dtype) ? inner->inputs[0] : ValueId();
}

// select(true, x, y) → x, select(c, x, x) → x. One that chooses an absent side stays: running it must fail, and whether
// it is run at all may hang on another select.
ValueId decided_select(Rewriter& r, const Node& n) {
  if (n.inputs[1] == n.inputs[2]) return n.inputs[1];
  const Tensor* condition = plain_data(r.graph, n.inputs[0]);
  if (condition == nullptr) return {};
  return n.inputs[condition->bytes[0] != std::byte{0} ? 1 : 2];
}

// add(expand(x), y) → add(x, y) when broadcasting gives the same shape
ValueId drop_expand(Rewriter& r, const Node& n) {
  const OpTraits& op = traits(r.ops, n.op);
  if (op.kind != OpKind::elementwise || n.inputs.size() < 2) return {};
  Node trial = n;
  bool changed = false;
  for (ValueId& input : trial.inputs) {
    const Node* expand = r.made_by(input, "expand");
    if (expand == nullptr) continue;
    const ValueId before = std::exchange(input, expand->inputs[0]);
    if (op.infer(view(r.graph, trial))[0] == r.type(n.outputs[0]))
      changed = true;
    else
      input = before;
  }
  return changed ? r.add(n, n.op, trial.inputs, n.attrs) : ValueId();
}

struct Entry {
  std::string_view op;  // "" = any
  Rule rule;
};

constexpr Entry kRules[] = {
    {"reshape", same_type},
    {"cast", same_type},
    {"expand", same_type},
    {"relayout", same_type},
    {"slice", identity_slice},
    {"resize", identity_resize},
    {"pad", identity_pad},
    {"concat", concat_of_one},
    {"transpose", identity_transpose},
    {"transpose", transpose_of_transpose},
    {"transpose", transpose_to_reshape},
    {"reshape", outer_suffices},
    {"reshape", transpose_between_reshapes},
    {"expand", outer_suffices},
    {"relayout", outer_suffices},
    {"relu", idempotent},
    {"abs", idempotent},
    {"floor", idempotent},
    {"ceil", idempotent},
    {"round", idempotent},
    {"neg", involution},
    {"not", involution},
    {"clip", unbounded_clip},
    {"clip", clip_to_relu},
    {"clip", clip_of_clip},
    {"relu", clip_of_clip},
    {"add", neutral_operand},
    {"sub", neutral_operand},
    {"mul", neutral_operand},
    {"div", neutral_operand},
    {"pow", neutral_operand},
    {"pow", square},
    {"max", max_to_relu},
    {"cast", cast_there_and_back},
    {"select", decided_select},
    {"", drop_expand},
    {"", elementwise_before_view},
};

bool sweep(Graph& graph, const OpSet& ops) {
  Redirects redirects(graph);
  Rewriter rewriter{graph, ops};
  bool changed = false;
  const size_t count = graph.nodes.size();
  for (size_t i = 0; i < count; ++i) {
    redirects.resolve(graph.nodes[i]);
    if (graph.nodes[i].outputs.size() != 1) continue;
    const Node node = graph.nodes[i];  // rules append to graph.nodes
    for (const Entry& entry : kRules) {
      if (!entry.op.empty() && entry.op != node.op) continue;
      const ValueId replacement = entry.rule(rewriter, node);
      if (!replacement.valid() || !redirects.redirect(graph, node.outputs[0], replacement)) continue;
      changed = true;
      break;
    }
  }
  redirects.finish(graph);
  return changed;
}

}  // namespace

Graph simplify(Graph graph, const PassContext& context) {
  for (int i = 0; i < kMaxSweeps && sweep(graph, context.ops); ++i) graph = compact(graph);
  return compact(graph);
}

}  // namespace oc
