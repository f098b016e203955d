// The caller's shapes meet the declared ones: every dim of every input becomes a number.
#pragma once

#include <onnx-ml.pb.h>

#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"

namespace oc::from_onnx {

struct BoundInput {
  std::string_view name;  // points into the model
  Type type;              // static
};

// The graph's inputs in order, initializers left out. UserError on shapes for unknown inputs, of another rank or
// against a declared extent, and one that lists all inputs whose unknown dims are left open.
[[nodiscard]] std::vector<BoundInput> bind_inputs(const ::onnx::GraphProto& graph,
                                                  const std::map<std::string, Extents>& shapes);

}  // namespace oc::from_onnx
