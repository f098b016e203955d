#include "frontends/onnx/import.h"

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "frontends/onnx/bind.h"
#include "frontends/onnx/call.h"
#include "frontends/onnx/model.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"
#include "frontends/onnx/wiring.h"
#include "graph/pass.h"

namespace oc {
namespace from_onnx {
namespace {

using Opsets = std::map<std::string, int64_t, std::less<>>;

std::string op_label(const ::onnx::NodeProto& node) {
  const std::string_view domain = canonical_domain(node.domain());
  return domain.empty() ? printable(node.op_type()) : printable(domain) + "." + printable(node.op_type());
}

// One error for all ops that have no row, so that a user learns the whole distance at once.
void check_supported(const ::onnx::GraphProto& graph, const std::vector<int>& order) {
  std::map<std::string, int> unsupported;
  for (int n : order) {
    const ::onnx::NodeProto& node = graph.node(n);
    if (find_op(canonical_domain(node.domain()), node.op_type()) == nullptr) ++unsupported[op_label(node)];
  }
  if (unsupported.empty()) return;
  constexpr size_t kShown = 100;
  std::string list;
  for (const auto& [label, count] : unsupported)
    if (static_cast<size_t>(std::ranges::count(list, '\n')) < kShown) list += fmt::format("\n  {} ×{}", label, count);
  if (unsupported.size() > kShown) list += fmt::format("\n  and {} more", unsupported.size() - kShown);
  user_error(
      "these ops of the model are not supported; export it without them (model functions can be inlined with "
      "onnx.inliner):{}",
      list);
}

struct Importer {
  ::onnx::ModelProto& model;
  const Opsets opsets;
  const Wiring wiring;
  Import import;
  std::unordered_map<std::string_view, ValueId> values;

  ::onnx::GraphProto& graph() { return *model.mutable_graph(); }

  void add_inputs(const ImportOptions& options) {
    for (const BoundInput& input : bind_inputs(graph(), options.shapes))
      values[input.name] = import.graph.add_input(printable(input.name), input.type);
  }

  void add_initializers() {
    if (graph().sparse_initializer_size() > 0)
      user_error("holds sparse initializers, which are not supported; save them as dense tensors");
    for (::onnx::TensorProto& initializer : *graph().mutable_initializer()) {
      if (!wiring.used.contains(initializer.name())) continue;
      const std::string name = printable(initializer.name());
      try {
        values[initializer.name()] = import.graph.add_constant(name, take_tensor(initializer, import.folder));
      } catch (const UserError& error) {
        throw UserError(fmt::format("initializer '{}': {}", name, error.what()));
      }
    }
  }

  int64_t opset_of(const ::onnx::NodeProto& node) const {
    const auto found = opsets.find(canonical_domain(node.domain()));
    if (found == opsets.end()) user_error("the model imports no opset for its domain '{}'", printable(node.domain()));
    return found->second;
  }

  Call make_call(int index) {
    ::onnx::NodeProto& node = *graph().mutable_node(index);
    Call call{import, node, *find_op(canonical_domain(node.domain()), node.op_type()), opset_of(node), {}, {}, {}};
    for (const std::string& input : node.input()) call.inputs.push_back(input.empty() ? ValueId() : values.at(input));
    for (const std::string& output : node.output())
      call.wanted.push_back(!output.empty() && wiring.used.contains(output));
    call.name = node.name().empty() ? fmt::format("{}_{}", printable(node.op_type()), index) : printable(node.name());
    return call;
  }

  void add_node(int index) {
    try {
      Call call = make_call(index);
      const Values results = call.row.convert(call);
      for (size_t i = 0; i < call.wanted.size(); ++i) {
        if (!call.wanted[i]) continue;
        if (i >= results.size() || !results[i].valid()) user_error("its output {} is not supported", i);
        const std::string& name = call.proto.output(static_cast<int>(i));
        values[name] = results[i];
        Value& value = import.graph[results[i]];
        if (value.name.empty()) value.name = printable(name);
      }
    } catch (const UserError& error) {
      throw UserError(fmt::format("{}: {}", describe_node(graph(), index), error.what()));
    }
  }

  // Values carry their outputs' names. One that has a name already (an input or weight returned as it is, a value
  // returned twice) is returned through a reshape to its own shape.
  void add_outputs() {
    std::unordered_set<uint32_t> taken;
    for (const auto& output : graph().output()) {
      const std::string name = printable(output.name());
      ValueId id = values.at(output.name());
      const bool free = import.graph[id].kind == ValueKind::node && !taken.contains(id.index);
      if (!free)
        id = add_op(import.graph, import.ops, "reshape", {id}, {{"shape", import.graph[id].type.extents()}}, name);
      import.graph[id].name = name;
      taken.insert(id.index);
      import.graph.outputs.push_back(id);
    }
  }

  Graph run(const ImportOptions& options) {
    check_supported(graph(), wiring.order);
    import.graph.name = printable(graph().name());
    for (const auto& entry : model.metadata_props())
      import.graph.metadata[printable(entry.key())] = printable_text(entry.value());
    add_inputs(options);
    add_initializers();
    for (int n : wiring.order) add_node(n);
    add_outputs();
    Graph result = compact(import.graph);
    verify_import(result, import.ops);
    return result;
  }
};

Graph import_model(::onnx::ModelProto model, const std::filesystem::path& folder, const OpSet& ops,
                   const ImportOptions& options) {
  Opsets opsets = checked_opsets(model);
  Wiring wiring = wire(model.graph());
  Importer importer{model, std::move(opsets), std::move(wiring), {{}, ops, options.fold_budget_bytes, folder}, {}};
  return importer.run(options);
}

}  // namespace
}  // namespace from_onnx

Graph import_onnx(const std::filesystem::path& file, const OpSet& ops, const ImportOptions& options) {
  return from_onnx::within(from_onnx::printable(file.string()), [&] {
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    return from_onnx::import_model(from_onnx::parse_model_file(file), folder, ops, options);
  });
}

Graph import_onnx_bytes(std::string_view bytes, const std::filesystem::path& folder_for_external_data,
                        std::string_view display_name, const OpSet& ops, const ImportOptions& options) {
  return from_onnx::within(from_onnx::printable(display_name), [&] {
    return from_onnx::import_model(from_onnx::parse_model_bytes(bytes), folder_for_external_data, ops, options);
  });
}

}  // namespace oc
