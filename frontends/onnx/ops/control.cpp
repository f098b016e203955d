// If: both branches are computed in place, pure as they are, and `select` takes the one the condition chooses. What
// only one side needs is run only when that side is taken: the planner sees to it.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "frontends/onnx/call.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/import.h"

namespace oc::from_onnx {
namespace {

struct Branch {
  std::string_view attribute;
  std::optional<Values> results;
  std::string refusal;              // why there are none
  std::vector<std::string> needed;  // inputs of the model whose values may change that
};

Branch try_branch(Call& n, std::string_view attribute) {
  Branch branch{attribute, {}, {}, {}};
  try {
    branch.results = n.body(attribute, {});
  } catch (const ValuesNeeded& error) {
    branch.refusal = error.what();
    branch.needed = error.inputs;
  } catch (const UserError& error) {
    branch.refusal = error.what();
  }
  return branch;
}

// May these inputs be sizes, bounds or axes, which a caller can give as constants? Others are data, which it cannot.
bool may_be_sizes(const Graph& graph, const std::vector<std::string>& inputs) {
  return std::ranges::all_of(graph.values, [&](const Value& value) {
    const bool named = value.kind == ValueKind::input && std::ranges::find(inputs, value.name) != inputs.end();
    return !named || (!dtype_is_float(value.type.dtype) && value.type.shape.size() <= 1);
  });
}

// UserError when nothing can be run; ValuesNeeded when a branch that is missing can be had. A branch that is missing
// for good only makes a warning: it may never be chosen.
void check_branches(const Call& n, const Branch& then, const Branch& otherwise) {
  std::vector<std::string> needed = then.needed;
  for (const std::string& input : otherwise.needed)
    if (std::ranges::find(needed, input) == needed.end()) needed.push_back(input);
  const bool none = !then.results && !otherwise.results;
  const std::string refusal = then.refusal + (none ? "; and " : "") + otherwise.refusal;
  if (!needed.empty() && (none || may_be_sizes(n.import.graph, needed))) throw ValuesNeeded(refusal, needed);
  if (none) throw UserError(refusal);
  for (const Branch* branch : {&then, &otherwise})
    if (!branch->results && n.import.warn)
      n.import.warn(fmt::format("{}: running fails when its {} is chosen, which cannot be compiled: {}", n.name,
                                branch->attribute, branch->refusal));
}

std::string_view type_name(const Call& n, ValueId value) {
  const Format* format = n.format(value);
  return format != nullptr ? format->name : dtype_name(n.dtype(value));
}

constexpr std::string_view kStatic = "a library has static shapes, so that its condition must follow from the shapes";

ValueId merge(Call& n, size_t output, ValueId condition, ValueId then, ValueId otherwise);

std::string describe(const List* side) {
  if (side == nullptr) return "no sequence";
  return side->nothing ? "an optional without a value" : fmt::format("a sequence of {}", side->elements.size());
}

// Sides that are no tensors. How many elements there are must be known, so that both must be.
ValueId merge_lists(Call& n, size_t output, ValueId condition, const List* then, const List* otherwise) {
  if (then == nullptr || otherwise == nullptr || then->nothing != otherwise->nothing ||
      then->elements.size() != otherwise->elements.size())
    n.refuse_unknown(condition, fmt::format("its branches give {} and {} for output {}; {}", describe(then),
                                            describe(otherwise), output, kStatic));
  List merged{.elements = {}, .nothing = then->nothing};
  for (size_t i = 0; i < then->elements.size(); ++i)
    merged.elements.push_back(merge(n, output, condition, then->elements[i], otherwise->elements[i]));
  return add_list(n.import, std::move(merged));
}

// Sides of one output; an invalid one is that of a branch that cannot be imported.
ValueId merge(Call& n, size_t output, ValueId condition, ValueId then, ValueId otherwise) {
  if (then == otherwise) return then;
  if (n.list(then) != nullptr || n.list(otherwise) != nullptr)
    return merge_lists(n, output, condition, n.list(then), n.list(otherwise));
  if (then.valid() && otherwise.valid()) {
    const bool same = n.dtype(then) == n.dtype(otherwise) && n.format(then) == n.format(otherwise);
    const std::string sides = fmt::format("its branches give {} of [{}] and {} of [{}] for output {}",
                                          type_name(n, then), fmt::join(n.shape(then), ", "), type_name(n, otherwise),
                                          fmt::join(n.shape(otherwise), ", "), output);
    if (!same) throw UserError(sides);  // which no value of the condition would mend
    if (n.shape(then) != n.shape(otherwise)) n.refuse_unknown(condition, fmt::format("{}; {}", sides, kStatic));
  }
  return n.with_format(n.emit("select", {condition, then, otherwise}), n.format(then.valid() ? then : otherwise));
}

}  // namespace

Values conditional(Call& n) {
  if (n.dtype(n.in(0)) != DType::boolean || product(n.shape(n.in(0))) != 1)
    user_error("its condition must be one element of type bool");
  const ValueId condition = n.reshape(n.in(0), {});
  if (const Tensor* known = n.known(condition))
    return n.body(known->bytes[0] != std::byte{0} ? "then_branch" : "else_branch", {});
  const Branch then = try_branch(n, "then_branch"), otherwise = try_branch(n, "else_branch");
  check_branches(n, then, otherwise);
  Values results;
  for (size_t i = 0; i < n.wanted.size(); ++i) {
    const auto side = [&](const Branch& branch) {
      if (!branch.results) return ValueId();
      if (i >= branch.results->size()) user_error("its {} has no output {}", branch.attribute, i);
      return branch.results->at(i);
    };
    results.push_back(n.wants(i) ? merge(n, i, condition, side(then), side(otherwise)) : ValueId());
  }
  return results;
}

}  // namespace oc::from_onnx
