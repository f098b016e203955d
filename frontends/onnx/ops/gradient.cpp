// Gradient: the derivative of one value of the graph by others, in reverse, for the ops that kRules names.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

// What `g`, the derivative by a node's output, is by its input `i`; `x` are the inputs, y the output.
struct Step {
  Call& n;
  const Values& x;
  ValueId y, g;
  size_t i;

  ValueId mul(ValueId a, ValueId b) const { return n.emit("mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) const { return n.emit("div", {a, b}); }
  ValueId neg(ValueId a) const { return n.emit("neg", {a}); }
};

using Rule = ValueId (*)(const Step& s);

// Of elementwise ops; operands broadcast.
const std::map<std::string_view, Rule> kRules{
    {"add", [](const Step& s) { return s.g; }},
    {"sub", [](const Step& s) { return s.i == 0 ? s.g : s.neg(s.g); }},
    {"mul", [](const Step& s) { return s.mul(s.g, s.x[1 - s.i]); }},
    {"div", [](const Step& s) { return s.i == 0 ? s.div(s.g, s.x[1]) : s.neg(s.div(s.mul(s.g, s.y), s.x[1])); }},
    {"neg", [](const Step& s) { return s.neg(s.g); }},
    {"exp", [](const Step& s) { return s.mul(s.g, s.y); }},
    {"log", [](const Step& s) { return s.div(s.g, s.x[0]); }},
    {"sqrt", [](const Step& s) { return s.div(s.g, s.n.emit("add", {s.y, s.y})); }},
    {"tanh", [](const Step& s) { return s.n.emit("sub", {s.g, s.mul(s.g, s.mul(s.y, s.y))}); }},
    {"reshape", [](const Step& s) { return s.n.reshape(s.g, s.n.shape(s.x[0])); }},
};

// The sum over all that one element of `shape` was broadcast to.
ValueId summed_to(Call& n, ValueId g, const Extents& shape) {
  const Extents from = n.shape(g);
  const size_t more = from.size() - shape.size();
  std::vector<int64_t> axes;
  for (size_t d = 0; d < from.size(); ++d)
    if (from[d] != 1 && (d < more || shape[d - more] == 1)) axes.push_back(static_cast<int64_t>(d));
  return n.reshape(reduce_over(n, "reduce_sum", g, axes), shape);
}

std::vector<std::string> names(const Call& n, std::string_view attribute) {
  const ::onnx::AttributeProto* list = n.attribute(attribute);
  if (list == nullptr) return {};
  return {list->strings().begin(), list->strings().end()};
}

// Which values depend on one of `xs`.
std::vector<bool> dependent(const Graph& graph, const Values& xs) {
  std::vector<bool> result(graph.values.size());
  for (ValueId x : xs) result[x.index] = true;
  for (const Node& node : graph.nodes)
    if (std::ranges::any_of(node.inputs, [&](ValueId input) { return input.valid() && result[input.index]; }))
      for (ValueId output : node.outputs) result[output.index] = true;
  return result;
}

// Derivatives of y by all values between it and xs.
std::map<uint32_t, ValueId> derivatives(Call& n, ValueId y, const Values& xs) {
  const std::vector<bool> between = dependent(n.import.graph, xs);
  std::map<uint32_t, ValueId> result{{y.index, n.expand(n.like(y, 1), n.shape(y))}};
  for (size_t at = n.import.graph.nodes.size(); at-- > 0;) {
    const Node node = n.import.graph.nodes[at];  // the graph grows
    const auto found = result.find(node.outputs[0].index);
    const bool is_end = std::ranges::find(xs, node.outputs[0]) != xs.end();
    if (found == result.end() || !between[node.outputs[0].index] || is_end) continue;
    const ValueId g = found->second;
    const auto rule = kRules.find(node.op);
    if (rule == kRules.end()) user_error("the derivative of '{}' ({}) is not supported", node.name, node.op);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (!between[input.index]) continue;
      const ValueId by_input = summed_to(n, rule->second({n, node.inputs, node.outputs[0], g, i}), n.shape(input));
      const auto [sum, fresh] = result.emplace(input.index, by_input);
      if (!fresh) sum->second = n.emit("add", {sum->second, by_input});
    }
  }
  return result;
}

}  // namespace

// The inputs are the values of what "xs" and "zs" name: here those values themselves.
Values gradient(Call& n) {
  std::vector<std::string> variables = names(n, "xs");
  const size_t count = variables.size();
  for (std::string& other : names(n, "zs")) variables.push_back(std::move(other));
  Values xs;
  for (size_t i = 0; i < variables.size(); ++i) {
    if (n.in(i) != n.named(variables[i]))
      user_error("its input {} is not '{}'; a derivative at other values is not supported", i, printable(variables[i]));
    if (i >= count) continue;
    if (n.known(n.in(i)) != nullptr) user_error("'{}' is a constant", printable(variables[i]));
    xs.push_back(n.in(i));
  }
  const ::onnx::AttributeProto* name = n.attribute("y");
  const ValueId y = name == nullptr ? ValueId() : n.named(name->s());
  if (!y.valid() || n.list(y) != nullptr || n.known(y) != nullptr || product(n.shape(y)) != 1)
    user_error("its y must be one number that depends on the data");
  const std::map<uint32_t, ValueId> by = derivatives(n, y, xs);
  Values results;
  for (ValueId x : xs) {
    const auto found = by.find(x.index);
    results.push_back(found != by.end() ? found->second : n.expand(n.like(x, 0), n.shape(x)));
  }
  return results;
}

}  // namespace oc::from_onnx
