#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace oc {
namespace {

struct Fuser {
  Graph& graph;
  const PassContext& context;
  std::span<const int> uses;

  [[nodiscard]] const Node* made_only_by(ValueId value, std::string_view op, int readings = 1) const {
    return oc::made_only_by(graph, uses, value, op, readings);
  }

  // The first of the last dims, when the mean is over these and no others.
  [[nodiscard]] std::optional<int64_t> first_axis(const Node& mean) const {
    const std::vector<int64_t> axes = mean.attrs.integers("axes");
    const auto rank = static_cast<int64_t>(graph[mean.inputs[0]].type.shape.size());
    for (size_t i = 0; i < axes.size(); ++i)
      if (axes[i] != rank - static_cast<int64_t>(axes.size() - i)) return std::nullopt;
    return axes.empty() ? std::nullopt : std::optional(axes[0]);
  }

  // The axis and ε when `value` = √(mean of x² over the dims from the axis on + ε).
  struct RootMeanSquare {
    int64_t axis;
    double epsilon;
  };
  [[nodiscard]] std::optional<RootMeanSquare> root_mean_square(ValueId value, ValueId x) const {
    const Node* root = made_only_by(value, "sqrt");
    const Node* sum = root != nullptr ? made_only_by(root->inputs[0], "add") : nullptr;
    if (sum == nullptr) return std::nullopt;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const Node* mean = made_only_by(sum->inputs[side], "reduce_mean");
      const auto epsilon = uniform_value(graph, sum->inputs[1 - side]);
      if (mean == nullptr || !epsilon || graph[sum->outputs[0]].type != graph[mean->outputs[0]].type) continue;
      const Node* square = made_only_by(mean->inputs[0], "mul");
      if (square == nullptr || square->inputs[0] != x || square->inputs[1] != x) continue;
      const auto axis = first_axis(*mean);
      return axis ? std::optional(RootMeanSquare{*axis, *epsilon}) : std::nullopt;
    }
    return std::nullopt;
  }

  // x / √…, x · (1 / √…): the operand that is scaled, and what divides it.
  struct Quotient {
    ValueId x, divisor;
  };
  [[nodiscard]] std::vector<Quotient> quotients(const Node& node) const {
    if (node.op == "div") return {{node.inputs[0], node.inputs[1]}};
    std::vector<Quotient> found;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const ValueId inverse = node.inputs[side];
      if (const Node* reciprocal = made_only_by(inverse, "reciprocal")) {
        found.push_back({node.inputs[1 - side], reciprocal->inputs[0]});
      } else if (const Node* div = made_only_by(inverse, "div");
                 div != nullptr && uniform_value(graph, div->inputs[0]) == 1.0) {
        found.push_back({node.inputs[1 - side], div->inputs[1]});
      }
    }
    return found;
  }

  // y when x = y − mean of y over the dims from `axis` on, and nothing but the norm reads x.
  [[nodiscard]] ValueId centred(ValueId x, int64_t axis) const {
    const Node* sub = made_only_by(x, "sub", 3);  // twice by its square
    const Node* mean = sub != nullptr ? made_only_by(sub->inputs[1], "reduce_mean") : nullptr;
    return mean != nullptr && mean->inputs[0] == sub->inputs[0] && first_axis(*mean) == axis ? sub->inputs[0]
                                                                                             : ValueId();
  }

  // What replaces the node; invalid if it is no normalisation.
  ValueId fuse(const Node& node) {
    for (const Quotient& q : quotients(node)) {
      const auto found = root_mean_square(q.divisor, q.x);
      if (!found || !dtype_is_float(graph[q.x].type.dtype) || !graph[q.x].type.layout.plain()) continue;
      const Attrs attrs{{"axis", found->axis}, {"epsilon", found->epsilon}};
      const ValueId y = centred(q.x, found->axis);
      if (y.valid()) return add_op(graph, context.ops, "layer_norm", {y}, attrs, node.name);
      return add_op(graph, context.ops, "rms_norm", {q.x}, attrs, node.name);
    }
    return {};
  }
};

}  // namespace

Graph fuse_norm(Graph graph, const PassContext& context) {
  if (!context.ops.contains("layer_norm") || !context.ops.contains("rms_norm")) return graph;
  const std::vector<int> uses = use_counts(graph);
  return replace_nodes(std::move(graph), {"div", "mul"}, [&](Graph& g, const Node& node) {
    const ValueId replacement = Fuser{g, context, uses}.fuse(node);
    if (replacement.valid()) g[replacement].name = g[node.outputs[0]].name;
    return replacement;
  });
}

}  // namespace oc
