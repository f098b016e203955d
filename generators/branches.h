// Which groups only one side of a `select` needs: they are run only when its condition takes that side.
#pragma once

#include <vector>

#include "graph/partition.h"

namespace oc {

// "condition == when"; the condition is a computed or given value of one bool.
struct Guard {
  ValueId condition;
  bool when = true;
  bool operator==(const Guard&) const = default;
};
// All must hold, outermost first; empty: always.
using Guards = std::vector<Guard>;

// Of each group. A condition that is computed only after the group cannot guard it.
[[nodiscard]] std::vector<Guards> find_guards(const Graph& graph, const Partition& partition);

// The guards of what side `input` (1 or 2) of `select` alone needs; `own` are those of the group it stands in.
[[nodiscard]] Guards side_guards(const Graph& graph, const Node& select, size_t input, const Guards& own);

}  // namespace oc
