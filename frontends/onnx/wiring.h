// Who defines and who reads which name: checks single definition, sorts the nodes, leaves out what no output needs.
#pragma once

#include <onnx-ml.pb.h>

#include <functional>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace oc::from_onnx {

struct Wiring {
  std::vector<int> order;                     // live nodes, producers first, otherwise as in the file
  std::unordered_set<std::string_view> used;  // names that a live node reads or the graph returns
  int64_t size = 0;                           // live nodes and all names there are: what importing the graph costs
};

// Is a name defined around a subgraph?
using DefinedOutside = std::function<bool(std::string_view)>;

// Near linear in the graph's size times the depth of its subgraphs. The names point into `graph`; those of `outside`
// are leaves. UserError on a name defined twice or never, and on a cycle.
[[nodiscard]] Wiring wire(const ::onnx::GraphProto& graph, const DefinedOutside& outside = {});

// "node 'name' (Op)", or "node #12 (Op)" without a name: for messages.
[[nodiscard]] std::string describe_node(const ::onnx::GraphProto& graph, int index);

}  // namespace oc::from_onnx
