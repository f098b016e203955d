// Random small models, for properties that hold of every graph.
#pragma once

#include "graph/graph.h"

namespace oc::test {

// A legal static f32 graph of about `nodes` nodes: convolutions, pooling, reductions, products, movement, views and
// elementwise ops over values of rank 4, every input and constant known by its seed. Values stay near ±1.
// `with_branches`: also selects, nested ones too, on bool inputs.
[[nodiscard]] Graph random_graph(uint32_t seed, int nodes, bool with_branches = false);

}  // namespace oc::test
