#include "graph/passes/passes.h"

namespace oc {

Graph eliminate_dead(Graph graph, const PassContext& /*context*/) {
  return compact(graph);
}

}  // namespace oc
