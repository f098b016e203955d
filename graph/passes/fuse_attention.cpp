#include <algorithm>
#include <numeric>

#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

using Perm = std::vector<int64_t>;

Perm identity(size_t rank) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  return perm;
}

// An operand as it lies in memory: value = factor · transpose(source, perm).
struct Source {
  ValueId value;
  Perm perm;
  double factor = 1;
};

struct Fuser {
  Graph& graph;
  const PassContext& context;
  std::span<const int> uses;

  [[nodiscard]] const Type& type(ValueId value) const { return graph[value].type; }
  [[nodiscard]] const Node* made_by(ValueId value, std::string_view op) const { return oc::made_by(graph, value, op); }
  [[nodiscard]] const Node* made_only_by(ValueId value, std::string_view op) const {
    return oc::made_only_by(graph, uses, value, op);
  }

  // x and c when value = x · c or x / c with one number c; type unchanged.
  struct Scaled {
    ValueId x;
    double factor;
  };
  [[nodiscard]] std::optional<Scaled> scaled(ValueId value) const {
    if (const Node* mul = made_by(value, "mul")) {
      for (const size_t side : {size_t{0}, size_t{1}})
        if (const auto c = uniform_value(graph, mul->inputs[1 - side]); c && type(mul->inputs[side]) == type(value))
          return Scaled{mul->inputs[side], *c};
    } else if (const Node* div = made_by(value, "div")) {
      if (const auto c = uniform_value(graph, div->inputs[1]); c && *c != 0 && type(div->inputs[0]) == type(value))
        return Scaled{div->inputs[0], 1 / *c};
    }
    return std::nullopt;
  }

  [[nodiscard]] Source source(ValueId value) const {
    Source result{value, identity(type(value).shape.size())};
    for (;;) {
      if (const Node* transpose = made_by(result.value, "transpose")) {
        result.perm = composed(transpose->attrs.integers("perm"), result.perm);
        result.value = transpose->inputs[0];
      } else if (const auto s = scaled(result.value); s && uses[result.value.index] == 1) {
        result.factor *= s->factor;
        result.value = s->x;
      } else {
        return result;
      }
    }
  }

  // where(is_nan(p), 0, p) → p
  [[nodiscard]] ValueId without_nan(ValueId value) const {
    const Node* where = made_only_by(value, "where");
    if (where == nullptr || uniform_value(graph, where->inputs[1]) != 0.0) return {};
    const ValueId p = where->inputs[2];
    const Node* test = made_only_by(where->inputs[0], "is_nan");
    return test != nullptr && test->inputs[0] == p && uses[p.index] == 2 ? p : ValueId();
  }

  // scores = product · factor + mask; mask may be absent.
  struct Scores {
    const Node* product = nullptr;
    double factor = 1;
    ValueId mask;
  };
  [[nodiscard]] std::optional<Scores> scores(ValueId value) const {
    if (uses[value.index] != 1) return std::nullopt;
    Scores result;
    if (const Node* add = made_by(value, "add")) {
      for (const size_t side : {size_t{0}, size_t{1}}) {
        result = {};
        if (type(add->inputs[side]) != type(value) || !scaled_product(add->inputs[side], result)) continue;
        result.mask = add->inputs[1 - side];
        return result;
      }
      return std::nullopt;
    }
    return scaled_product(value, result) ? std::optional(result) : std::nullopt;
  }
  bool scaled_product(ValueId value, Scores& result) const {
    if (const auto s = scaled(value); s && uses[value.index] == 1) {
      result.factor = s->factor;
      value = s->x;
    }
    result.product = made_only_by(value, "matmul");
    return result.product != nullptr && result.product->attrs.empty();
  }

  // A block of queries keeps its scores in L2; where not even one vector of rows fits, three kernels are no worse.
  [[nodiscard]] bool pays(const Type& scores) const {
    const auto size = static_cast<int64_t>(dtype_size(scores.dtype));
    const int64_t rows = context.target.lanes(static_cast<int>(size));
    return scores.shape.back().known() && scores.shape.back().extent * rows * size <= context.target.l2_bytes;
  }

  // What replaces matmul(softmax(scores), v); invalid if the node is no such thing.
  ValueId fuse(const Node& node) {
    if (!node.attrs.empty()) return {};
    ValueId weights = node.inputs[0];
    const ValueId checked = without_nan(weights);
    if (checked.valid()) weights = checked;
    const Node* softmax = checked.valid() ? made_by(weights, "softmax") : made_only_by(weights, "softmax");
    const size_t rank = type(node.outputs[0]).shape.size();
    if (softmax == nullptr || softmax->attrs.integer("axis") != static_cast<int64_t>(rank) - 1) return {};
    const auto found = scores(softmax->inputs[0]);
    if (!found || !pays(type(weights))) return {};
    const Node& product = *found->product;
    const ValueId v_value = node.inputs[1], q_value = product.inputs[0], k_value = product.inputs[1];
    for (const ValueId operand : {v_value, q_value, k_value})
      if (type(operand).shape.size() != rank || !type(operand).layout.plain() ||
          graph[operand].kind == ValueKind::constant)
        return {};
    // Queries give the leading extents: neither keys nor values have more.
    const Shape& q_shape = type(q_value).shape;
    for (const ValueId broader : {weights, node.outputs[0]})
      if (!std::equal(q_shape.begin(), q_shape.end() - 2, type(broader).shape.begin())) return {};
    const Source q = source(q_value), v = source(v_value);
    Source k = source(k_value);
    std::swap(k.perm[rank - 1], k.perm[rank - 2]);
    if (v.factor != 1) return {};
    std::vector<ValueId> inputs{q.value, k.value, v.value};
    if (found->mask.valid()) inputs.push_back(found->mask);
    Attrs attrs{{"q_perm", q.perm}, {"k_perm", k.perm}, {"v_perm", v.perm}, {"out_perm", identity(rank)}};
    attrs["scale"] = found->factor * q.factor * k.factor;
    if (checked.valid()) attrs["nan_as_zero"] = int64_t{1};
    return add_op(graph, context.ops, "attention", std::move(inputs), std::move(attrs), node.name);
  }

  // transpose(attention) → attention that writes in that order
  ValueId absorb(const Node& transpose) {
    const Node* attention = made_only_by(transpose.inputs[0], "attention");
    if (attention == nullptr) return {};
    Attrs attrs = attention->attrs;
    attrs["out_perm"] = composed(attrs.integers("out_perm"), transpose.attrs.integers("perm"));
    return add_op(graph, context.ops, "attention", attention->inputs, std::move(attrs), attention->name);
  }
};

template <class Rewrite>
Graph rewritten(Graph graph, const PassContext& context, std::string_view op, Rewrite rewrite) {
  const std::vector<int> uses = use_counts(graph);
  return replace_nodes(std::move(graph), {op},
                       [&](Graph& g, const Node& node) { return (Fuser{g, context, uses}.*rewrite)(node); });
}

}  // namespace

Graph fuse_attention(Graph graph, const PassContext& context) {
  if (!context.ops.contains("attention")) return graph;
  graph = rewritten(std::move(graph), context, "matmul", &Fuser::fuse);
  return rewritten(std::move(graph), context, "transpose", &Fuser::absorb);
}

}  // namespace oc
