// Who defines and who reads which name: checks single definition, sorts the nodes, leaves out what no output needs.
#pragma once

#include <onnx-ml.pb.h>

#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace oc::from_onnx {

struct Wiring {
  std::vector<int> order;                     // live nodes, producers first, otherwise as in the file
  std::unordered_set<std::string_view> used;  // names that a live node reads or the model returns
};

// Near linear in the model's size, without recursion. The names point into `graph`. UserError on a name defined twice
// or never, and on a cycle.
[[nodiscard]] Wiring wire(const ::onnx::GraphProto& graph);

// "node 'name' (Op)", or "node #12 (Op)" without a name: for messages.
[[nodiscard]] std::string describe_node(const ::onnx::GraphProto& graph, int index);

}  // namespace oc::from_onnx
