#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "graph/passes/passes.h"

namespace oc {

const std::vector<Pass>& pass_pipeline() {
  static const std::vector<Pass> kPasses{
      {"eliminate_dead", eliminate_dead, true},    // every node left becomes code
      {"eliminate_empty", eliminate_empty, true},  // kernels have elements
      {"fold_constants", fold_constants},
      {"simplify", simplify},
      {"eliminate_common", eliminate_common},
      {"fold_scale", fold_scale},
      {"sink_scale", sink_scale},
      {"shuffle_transposed", shuffle_transposed},
      {"fuse_norm", fuse_norm},
      {"fuse_attention", fuse_attention},
      {"absorb_transpose", absorb_transpose},
      {"assign_layout", assign_layout},
  };
  return kPasses;
}

namespace {

std::string known_passes() {
  std::string list;
  for (const Pass& pass : pass_pipeline())
    list += fmt::format("\n  {}{}", pass.name, pass.required ? " (required)" : "");
  return list;
}

void check_name(const std::string& name) {
  if (std::ranges::find(pass_pipeline(), name, &Pass::name) == pass_pipeline().end())
    user_error("there is no pass '{}'; the passes in order are{}", name, known_passes());
}

void check_options(const PipelineOptions& options) {
  if (!options.stop_after.empty()) check_name(options.stop_after);
  for (const std::string& name : options.disabled) {
    check_name(name);
    if (std::ranges::find(pass_pipeline(), name, &Pass::name)->required)
      user_error("the pass '{}' cannot be disabled: later stages rely on it; the passes in order are{}", name,
                 known_passes());
  }
}

bool same_value(const Value& a, const Value& b) {
  return a.name == b.name && a.type == b.type && a.kind == b.kind && a.producer == b.producer && a.data == b.data;
}
bool same_node(const Node& a, const Node& b) {
  return a.op == b.op && a.inputs == b.inputs && a.outputs == b.outputs && a.attrs == b.attrs && a.name == b.name;
}
bool same_graph(const Graph& a, const Graph& b) {
  return a.inputs == b.inputs && a.outputs == b.outputs && std::ranges::equal(a.values, b.values, same_value) &&
         std::ranges::equal(a.nodes, b.nodes, same_node);
}

}  // namespace

Graph optimize(Graph graph, const PassContext& context, const PipelineOptions& options) {
  check_options(options);
  verify(graph, context.ops);
  for (const Pass& pass : pass_pipeline()) {
    if (std::ranges::find(options.disabled, pass.name) == options.disabled.end()) {
      const Graph before = options.observe ? graph : Graph();
      PassRecord record{std::string(pass.name), 0, graph.nodes.size(), 0, false};
      const auto start = std::chrono::steady_clock::now();
      graph = pass.run(std::move(graph), context);
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
      try {
        verify(graph, context.ops);
      } catch (const InternalError& error) {
        internal_error("after the pass '{}': {}", pass.name, error.what());
      }
      record.milliseconds = elapsed.count();
      record.nodes_after = graph.nodes.size();
      if (options.observe) {
        record.changed = !same_graph(before, graph);
        options.observe(record, graph);
      }
    }
    if (pass.name == options.stop_after) break;
  }
  return graph;
}

}  // namespace oc
