// Passes: [[nodiscard]] Graph f(Graph, const PassContext&). pipeline.cpp alone knows the order.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc {

struct PassContext {
  const OpSet& ops;
  const Target& target;
};

struct Pass {
  std::string_view name;  // as in --disable-pass=NAME
  Graph (*run)(Graph, const PassContext&);
  bool required = false;  // cannot be disabled (later stages rely on it)
};

// The passes in order; see passes/*.h for what each does.
[[nodiscard]] const std::vector<Pass>& pass_pipeline();

struct PassRecord {
  std::string name;
  double milliseconds = 0;
  size_t nodes_before = 0, nodes_after = 0;
  bool changed = false;
};

struct PipelineOptions {
  std::vector<std::string> disabled;
  std::string stop_after;                                        // "" = run all
  std::function<void(const PassRecord&, const Graph&)> observe;  // after each pass (timing, dump-if-changed)
};

// Runs the pipeline, verifying after every pass. UserError on an unknown pass name (lists them) or a required pass
// disabled.
[[nodiscard]] Graph optimize(Graph graph, const PassContext& context, const PipelineOptions& options = {});

// Checks ids, topological order, single definition, arity, attribute presence and type, inferred types against stated
// ones, ranks, layouts by rule, constants' sizes. Throws InternalError naming the node; the importer's graphs are
// checked with `verify_import`, which throws UserError instead.
void verify(const Graph& graph, const OpSet& ops);
void verify_import(const Graph& graph, const OpSet& ops);

}  // namespace oc
