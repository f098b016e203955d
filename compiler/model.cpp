#include "compiler/model.h"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "base/error.h"
#include "generators/plan.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc {

namespace {

// The outputs of groups as outputs of the graph, plain. Groups end where they did: an output that only a relayout reads
// more is taken into no other group.
void expose_groups(Model& model, const OpSet& traits) {
  Graph& graph = model.graph;
  std::set<std::string> known;
  for (const ValueId output : graph.outputs) known.insert(graph[output].name);
  std::vector<ValueId> exposed;
  for (const Group& group : model.partition.groups) {
    const ValueId made = group.output;
    const std::string name = graph[made].name;
    if (name.empty() || !known.insert(name).second) continue;
    if (graph[made].type.layout.plain()) {
      exposed.push_back(made);
      continue;
    }
    Type type = graph[made].type;
    type.layout = {};
    const size_t rank = type.shape.size();
    exposed.push_back(graph.add_node("relayout", {made}, {{"to", layout_tag({}, rank)}}, std::move(type)));
    graph[exposed.back()].name = name;
    graph[made].name += " as it lies";
  }
  graph.outputs.insert(graph.outputs.begin(), exposed.begin(), exposed.end());
  model.partition = partition(graph, traits);
}

// Kernels count elements in 32 bits.
void check_sizes(const Model& model, size_t group, const std::filesystem::path& file) {
  const Group& g = model.partition.groups[group];
  std::vector<ValueId> values = g.inputs;
  values.push_back(g.output);
  for (const ValueId id : values) {
    const Value& value = model.graph[id];
    const int64_t elements = physical_size(value.type.layout, value.type.extents());
    if (elements > std::numeric_limits<int32_t>::max())
      user_error("{}: {}: '{}' has {} elements; at most 2^31 - 1 are supported: split it, or make the inputs smaller",
                 file.string(), group_label(model, group), value.name, elements);
  }
}

}  // namespace

Model load_model(const std::filesystem::path& file, const OpTable& ops, const Target& target,
                 const ModelOptions& options) {
  OnnxModel source(file);
  return load_model(source, file, ops, target, options);
}

Model load_model(OnnxModel& source, const std::filesystem::path& file, const OpTable& ops, const Target& target,
                 const ModelOptions& options) {
  const OpSet traits = op_set(ops);
  Model model;
  ImportOptions import_options{.shapes = options.shapes, .constants = options.constants};
  import_options.warn = [&](const std::string& warning) {
    model.warnings.push_back(fmt::format("{}: {}", file.string(), warning));
  };
  Graph imported = source.import(traits, import_options);
  model.graph = optimize(std::move(imported), {traits, target}, options.passes);
  model.partition = partition(model.graph, traits);
  if (options.all_values) expose_groups(model, traits);
  std::map<std::string, size_t> known;
  const std::vector<bool> moves_nothing = groups_without_kernel(model.graph, model.partition);
  for (size_t g = 0; g < model.partition.groups.size(); ++g) {
    if (moves_nothing[g]) {
      model.kernel_of.push_back(kNoKernel);
      continue;
    }
    check_sizes(model, g, file);
    const Group& group = model.partition.groups[g];
    Workload workload{print_graph(group_graph(model.graph, group, traits), {.names = false, .weights = true})};
    const auto [at, fresh] = known.emplace(workload.text, model.kernels.size());
    if (fresh) {
      model.kernels.push_back(analyse(workload, ops));
      model.uses.push_back(0);
    }
    model.kernel_of.push_back(at->second);
    ++model.uses[at->second];
  }
  return model;
}

std::string group_label(const Model& model, size_t group) {
  const Group& g = model.partition.groups[group];
  std::string ops;
  for (NodeId id : g.nodes) ops += (ops.empty() ? "" : "+") + model.graph[id].op;
  const NodeId named = g.anchor.valid() ? g.anchor : g.nodes.front();
  const std::string& name = model.graph[named].name;
  return name.empty() ? ops : fmt::format("{} ({})", ops, name);
}

}  // namespace oc
