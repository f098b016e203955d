#include <algorithm>

#include "base/error.h"
#include "graph/pass.h"
#include "graph/text.h"

namespace oc {
namespace {

// The op whose only meaning is a change of layout: its output's layout is its attribute.
constexpr std::string_view kRelayout = "relayout";

bool has_type(const Attr& attr, AttrSpec::Type type) {
  switch (type) {
    case AttrSpec::Type::integer: return std::holds_alternative<int64_t>(attr);
    case AttrSpec::Type::number: return std::holds_alternative<double>(attr);
    case AttrSpec::Type::text: return std::holds_alternative<std::string>(attr);
    case AttrSpec::Type::integers: return std::holds_alternative<std::vector<int64_t>>(attr);
    case AttrSpec::Type::numbers: return std::holds_alternative<std::vector<double>>(attr);
  }
  return false;
}

std::string_view type_word(AttrSpec::Type type) {
  constexpr std::string_view kWords[] = {"an integer", "a number", "a text", "a list of integers", "a list of numbers"};
  return kWords[static_cast<size_t>(type)];
}

std::string describe(const Type& type) {
  std::string text = fmt::format("{}[", dtype_name(type.dtype));
  for (size_t i = 0; i < type.shape.size(); ++i) {
    const Dim& dim = type.shape[i];
    text += fmt::format("{}{}", i > 0 ? "," : "",
                        dim.known()          ? std::to_string(dim.extent)
                        : dim.symbol.empty() ? "?"
                                             : dim.symbol);
  }
  return text + "]";
}

// Does a stated type say no less than, and nothing against, the inferred one?
bool agrees(const Type& stated, const Type& inferred) {
  if (stated.dtype != inferred.dtype || stated.shape.size() != inferred.shape.size()) return false;
  for (size_t i = 0; i < stated.shape.size(); ++i)
    if (inferred.shape[i].known() && stated.shape[i].extent != inferred.shape[i].extent) return false;
  return true;
}

struct Verifier {
  const Graph& graph;
  const OpSet& ops;
  bool user;  // a user's model: UserError
  std::vector<char> defined = std::vector<char>(graph.values.size(), 0);

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    const std::string message =
        fmt::format("graph '{}': {}", graph.name, fmt::format(format, std::forward<Args>(args)...));
    if (user) throw UserError(message);
    throw InternalError(message);
  }
  template <class... Args>
  [[noreturn]] void fail_node(size_t n, fmt::format_string<Args...> format, Args&&... args) const {
    const Node& node = graph.nodes[n];
    fail("node {} '{}' ({}): {}", n, node.name, node.op, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_leaves() {
    for (ValueId id : graph.inputs) {
      if (id.index >= graph.values.size()) fail("an input's id does not exist");
      // An analysed workload lists its weights among the inputs.
      const bool weight = graph[id].kind == ValueKind::constant && graph[id].data == nullptr;
      if (graph[id].kind != ValueKind::input && !weight) fail("an input's id is not that of an input");
      if (defined[id.index]) fail("input '{}' is listed twice", graph[id].name);
      defined[id.index] = 1;
    }
    for (size_t i = 0; i < graph.values.size(); ++i) {
      const Value& value = graph.values[i];
      if (value.type.shape.size() > kMaxRank && !value.producer.valid())
        fail("value {} '{}' has {} dims; at most {} are supported", i, value.name, value.type.shape.size(), kMaxRank);
      if (value.kind == ValueKind::node) {
        if (value.data != nullptr) fail("value {} '{}' is computed and yet has data", i, value.name);
        continue;
      }
      if (value.producer.valid()) fail("value {} '{}' is no node's output and yet has a producer", i, value.name);
      if (value.kind == ValueKind::input && !defined[i])
        fail("input value {} '{}' is not among the graph's inputs", i, value.name);
      if (value.kind == ValueKind::constant) check_constant(i, value);
      defined[i] = 1;
    }
  }

  void check_constant(size_t i, const Value& value) const {
    if (!value.type.is_static()) fail("constant {} '{}' has an unknown dim", i, value.name);
    if (value.data == nullptr) return;
    const Tensor& t = *value.data;
    if (make_type(t.dtype, t.shape, t.layout) != value.type)
      fail("constant {} '{}' is stated as {} but holds another type", i, value.name, describe(value.type));
    if (static_cast<int64_t>(t.bytes.size()) != value.type.bytes())
      fail("constant {} '{}' {} holds {} bytes", i, value.name, describe(value.type), t.bytes.size());
  }

  void check_links(size_t n) {
    const Node& node = graph.nodes[n];
    for (ValueId input : node.inputs) {
      if (!input.valid()) continue;
      if (input.index >= graph.values.size()) fail_node(n, "an input's id does not exist");
      if (!defined[input.index])
        fail_node(n, "reads value {} '{}' before it is computed", input.index, graph[input].name);
    }
    for (ValueId output : node.outputs) {
      if (output.index >= graph.values.size()) fail_node(n, "an output's id does not exist");
      if (graph[output].kind != ValueKind::node || graph[output].producer != NodeId(n))
        fail_node(n, "its output {} has another producer", output.index);
      if (defined[output.index]) fail_node(n, "value {} is computed twice", output.index);
      if (const size_t rank = graph[output].type.shape.size(); rank > kMaxRank)
        fail_node(n, "its result has {} dims; at most {} are supported", rank, kMaxRank);
      defined[output.index] = 1;
    }
  }

  const OpTraits& check_signature(size_t n) const {
    const Node& node = graph.nodes[n];
    const auto it = ops.find(node.op);
    if (it == ops.end()) fail_node(n, "unknown op");
    const OpTraits& op = *it->second;
    const auto count = static_cast<int>(node.inputs.size());
    if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs)) fail_node(n, "has {} inputs", count);
    const int required = op.max_inputs < 0 ? count : std::min(count, op.min_inputs);
    for (int i = 0; i < required; ++i)
      if (!node.inputs[i].valid()) fail_node(n, "input {} is absent but required", i);
    if (static_cast<int>(node.outputs.size()) != op.outputs)
      fail_node(n, "has {} outputs instead of {}", node.outputs.size(), op.outputs);
    for (const AttrSpec& spec : op.attrs) {
      const auto attr = node.attrs.find(spec.name);
      if (attr == node.attrs.end() && spec.required) fail_node(n, "attribute '{}' is missing", spec.name);
      if (attr != node.attrs.end() && !has_type(attr->second, spec.type))
        fail_node(n, "attribute '{}' is not {}", spec.name, type_word(spec.type));
    }
    for (const auto& [name, value] : node.attrs)
      if (std::ranges::find(op.attrs, name, &AttrSpec::name) == op.attrs.end())
        fail_node(n, "unknown attribute '{}'", name);
    return op;
  }

  void check_types(size_t n, const OpTraits& op) const {
    const Node& node = graph.nodes[n];
    std::vector<Type> inferred;
    try {
      inferred = op.infer(view(graph, node));
    } catch (const UserError& error) {
      fail_node(n, "{}", error.what());
    }
    if (inferred.size() != node.outputs.size()) fail_node(n, "its type rule gives {} outputs", inferred.size());
    for (size_t i = 0; i < inferred.size(); ++i)
      if (!agrees(graph[node.outputs[i]].type, inferred[i]))
        fail_node(n, "output {} is stated as {} but is {}", i, describe(graph[node.outputs[i]].type),
                  describe(inferred[i]));
  }

  void check_layouts(size_t n, const OpTraits& op) const {
    const Node& node = graph.nodes[n];
    for (ValueId output : node.outputs) {
      const Type& out = graph[output].type;
      if (!out.layout.plain() && out.layout.order.size() != out.shape.size())
        fail_node(n, "its output's layout is of another rank");
      if (node.op == kRelayout && out.layout != parse_layout(node.attrs.text("to"), out.shape.size()))
        fail_node(n, "its output has the layout {}", layout_tag(out.layout, out.shape.size()));
      if (op.layout == LayoutRule::converts) continue;
      if (op.layout == LayoutRule::plain && !out.layout.plain()) fail_node(n, "its output must be plain");
      for (ValueId input : node.inputs)
        if (input.valid()) check_operand_layout(n, op, graph[input].type, out);
    }
  }

  void check_operand_layout(size_t n, const OpTraits& op, const Type& in, const Type& out) const {
    if (in.layout == out.layout || (in.layout.plain() && out.layout.plain())) return;
    if (op.layout == LayoutRule::plain) fail_node(n, "its operands must be plain");
    // An operand that is broadcast along the channels has none to block.
    const size_t rank = out.shape.size();
    const bool broadcast = in.shape.size() + 1 < rank || (rank > 1 && in.shape[in.shape.size() + 1 - rank] == Dim(1));
    if (!in.layout.plain() || !broadcast)
      fail_node(n, "an operand {} of layout '{}' meets an output of layout '{}'", describe(in),
                layout_tag(in.layout, in.shape.size()), layout_tag(out.layout, rank));
  }

  void run() {
    check_leaves();
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      check_links(n);
      const OpTraits& op = check_signature(n);
      check_types(n, op);
      check_layouts(n, op);
    }
    for (size_t i = 0; i < graph.values.size(); ++i)
      if (!defined[i]) fail("value {} '{}' is never computed", i, graph.values[i].name);
    for (ValueId output : graph.outputs)
      if (output.index >= graph.values.size()) fail("an output's id does not exist");
  }
};

}  // namespace

void verify(const Graph& graph, const OpSet& ops) {
  Verifier{graph, ops, false}.run();
}
void verify_import(const Graph& graph, const OpSet& ops) {
  Verifier{graph, ops, true}.run();
}

}  // namespace oc
