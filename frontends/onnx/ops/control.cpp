// If: both branches are computed in place, pure as they are, and `select` takes the one the condition chooses. What
// only one side needs is run only when that side is taken: the planner sees to it.
#include <optional>

#include "base/error.h"
#include "frontends/onnx/call.h"

namespace oc::from_onnx {
namespace {

struct Branch {
  std::string_view attribute;
  std::optional<Values> results;
  std::string refusal;  // why there are none
};

Branch try_branch(Call& n, std::string_view attribute) {
  Branch branch{attribute, {}, {}};
  try {
    branch.results = n.body(attribute);
  } catch (const UserError& error) {
    branch.refusal = error.what();
  }
  return branch;
}

// Sides of one output; an invalid one is that of a branch that cannot be imported.
ValueId merge(Call& n, size_t output, ValueId condition, ValueId then, ValueId otherwise) {
  if (then == otherwise) return then;
  if (then.valid() && otherwise.valid() && n.import.graph[then].type != n.import.graph[otherwise].type)
    user_error(
        "its branches give {} of [{}] and {} of [{}] for output {}; a library has static shapes: fix what the "
        "condition depends on, with --freeze INPUT=VALUE",
        dtype_name(n.dtype(then)), fmt::join(n.shape(then), ", "), dtype_name(n.dtype(otherwise)),
        fmt::join(n.shape(otherwise), ", "), output);
  return n.emit("select", {condition, then, otherwise});
}

}  // namespace

Values conditional(Call& n) {
  if (n.dtype(n.in(0)) != DType::boolean || product(n.shape(n.in(0))) != 1)
    user_error("its condition must be one element of type bool");
  const ValueId condition = n.reshape(n.in(0), {});
  if (const Tensor* known = n.known(condition))
    return n.body(known->bytes[0] != std::byte{0} ? "then_branch" : "else_branch");
  const Branch then = try_branch(n, "then_branch"), otherwise = try_branch(n, "else_branch");
  if (!then.results && !otherwise.results) user_error("{}; and {}", then.refusal, otherwise.refusal);
  for (const Branch* branch : {&then, &otherwise})
    if (!branch->results && n.import.warn)
      n.import.warn(fmt::format("{}: running fails when its {} is chosen, which cannot be compiled: {}", n.name,
                                branch->attribute, branch->refusal));
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
