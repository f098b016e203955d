#include "frontends/onnx/import.h"

#include <algorithm>
#include <ranges>
#include <unordered_set>

#include "base/error.h"
#include "frontends/onnx/bind.h"
#include "frontends/onnx/call.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/functions.h"
#include "frontends/onnx/model.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"
#include "frontends/onnx/texts.h"
#include "frontends/onnx/wiring.h"
#include "graph/pass.h"

namespace oc {
namespace from_onnx {
namespace {

std::string op_label(const ::onnx::NodeProto& node) {
  const std::string_view domain = canonical_domain(node.domain());
  return domain.empty() ? printable(node.op_type()) : printable(domain) + "." + printable(node.op_type());
}

const OpRow* row_of(const ::onnx::NodeProto& node) {
  return find_op(canonical_domain(node.domain()), node.op_type());
}

// Ops without a row, by label; functions are looked into once, wherever they are called.
struct Unsupported {
  const Functions& functions;
  std::map<std::string, int> counts = {};
  std::unordered_set<const Function*> seen = {};

  void count(const ::onnx::NodeProto& node) {
    const Function* function = row_of(node) == nullptr ? functions.find(node) : nullptr;
    if (function != nullptr && seen.insert(function).second)
      for (const ::onnx::NodeProto& inner : function->proto.node()) count(inner);
    if (function == nullptr && row_of(node) == nullptr) ++counts[op_label(node)];
    for (const ::onnx::AttributeProto& attr : node.attribute())
      for (const ::onnx::NodeProto& inner : attr.g().node()) count(inner);
  }
};

// What the results are if the op moves elements that are not what their dtype says; null when its inputs are none or
// it knows them. UserError when it does neither.
const Format* format_of_inputs(const Call& call) {
  const std::string_view op = call.row.name;
  const Format* first = call.has(0) ? call.format(call.any(0)) : nullptr;
  const Format* any = first;
  bool texts = false;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Format* format = call.has(i) ? call.format(call.any(i)) : nullptr;
    if (any == nullptr) any = format;
    texts |= format == &text_format();
  }
  if (any == nullptr || hands_on_formats(op) || (texts ? takes_texts(op) : converts_formats(op))) return nullptr;
  if ((!moves_elements(op) || first == nullptr) && texts)
    user_error("takes strings, which only Equal, Where, ops that move elements and those for strings do");
  if (!moves_elements(op) || first == nullptr)
    user_error("takes {}, which only Cast, QuantizeLinear, DequantizeLinear and ops that move elements do", any->name);
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    const Format* format = call.has(i) ? call.format(call.in(i)) : first;
    if (format != first && (format != nullptr || call.dtype(call.in(i)) == first->stored))
      user_error("its inputs are of different types");
  }
  return first;
}

// The model's graph, a subgraph in it or the body of a function: its names, and those around it.
struct Scope {
  ::onnx::GraphProto& graph;
  const Opsets& opsets;
  const Scope* outer = nullptr;
  const Wiring* wiring = nullptr;
  std::unordered_map<std::string_view, ValueId> values = {};

  // Invalid when no scope has the name.
  [[nodiscard]] ValueId find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer)
      if (const auto found = scope->values.find(name); found != scope->values.end()) return found->second;
    return {};
  }
};

constexpr size_t kMostCalls = 100;                  // of functions in functions: each takes of the stack
constexpr int64_t kMostInlined = int64_t{1} << 20;  // Wiring::size of all that functions make

struct Importer {
  ::onnx::ModelProto& model;
  const Opsets& opsets;
  Functions& functions;
  Import import;
  std::vector<const Function*> calls = {};  // under way
  // Of bodies: that of a loop is imported again and again.
  std::unordered_map<const ::onnx::GraphProto*, Wiring> wirings = {};

  const Wiring* wiring_of(const Scope& scope) {
    const auto outside = [&](std::string_view name) {
      return scope.outer != nullptr && scope.outer->find(name).valid();
    };
    auto found = wirings.find(&scope.graph);
    if (found == wirings.end()) found = wirings.emplace(&scope.graph, wire(scope.graph, outside)).first;
    return &found->second;
  }

  // Has the op a row, or is it a function of supported nodes? Those `seen` are.
  bool is_supported(const ::onnx::NodeProto& node, std::unordered_set<const Function*>& seen) const {
    if (row_of(node) != nullptr) return true;
    const Function* function = functions.find(node);
    if (function == nullptr) return false;
    return !seen.insert(function).second ||
           std::ranges::all_of(function->proto.node(), [&](const auto& inner) { return is_supported(inner, seen); });
  }

  // One error for all ops of the model that have no row, so that a user learns the whole distance at once. UserError
  // when there is one among the nodes of `scope` that are about to be imported.
  void check_supported(const Scope& scope) const {
    std::unordered_set<const Function*> seen;
    const auto is_known = [&](int n) { return is_supported(scope.graph.node(n), seen); };
    if (std::ranges::all_of(scope.wiring->order, is_known)) return;
    const Scope* outermost = &scope;
    while (outermost->outer != nullptr) outermost = outermost->outer;
    Unsupported found{functions};
    for (int n : outermost->wiring->order) found.count(outermost->graph.node(n));
    constexpr size_t kShown = 1000;
    std::string list;
    for (const auto& [label, count] : found.counts | std::views::take(kShown))
      list += fmt::format("\n  {} ×{}", label, count);
    if (found.counts.size() > kShown) list += fmt::format("\n  and {} more", found.counts.size() - kShown);
    user_error("these ops of the model are not supported; export it without them:{}", list);
  }

  ValueId add_input(const BoundTensor& tensor) {
    if (tensor.format == &text_format())
      return within(fmt::format("input '{}'", tensor.name),
                    [&] { return read_rows(import, *tensor.constant, tensor.name); });
    const ValueId value = tensor.constant == nullptr ? import.graph.add_input(tensor.name, tensor.type)
                                                     : import.graph.add_constant(tensor.name, tensor.constant);
    if (tensor.format != nullptr) import.formats[value.index] = tensor.format;
    return value;
  }

  void add_inputs(Scope& scope, const ImportOptions& options) {
    for (const BoundInput& input : bind_inputs(scope.graph, options)) {
      Values values;
      for (const BoundTensor& tensor : input.tensors) values.push_back(add_input(tensor));
      scope.values[input.name] = input.is_list ? add_list(import, {std::move(values), input.nothing}) : values.at(0);
    }
  }

  void add_initializers(Scope& scope) {
    if (scope.graph.sparse_initializer_size() > 0)
      user_error("holds sparse initializers, which are not supported; save them as dense tensors");
    for (::onnx::TensorProto& initializer : *scope.graph.mutable_initializer()) {
      if (!scope.wiring->used.contains(initializer.name())) continue;
      if (scope.values.contains(initializer.name())) continue;  // a body's input, which has a value
      const std::string name = printable(initializer.name());
      try {
        scope.values[initializer.name()] = take_constant(import, initializer, name);
      } catch (const UserError& error) {
        throw UserError(fmt::format("initializer '{}': {}", name, error.what()));
      }
    }
  }

  static int64_t opset_of(const Scope& scope, const ::onnx::NodeProto& node) {
    const auto found = scope.opsets.find(canonical_domain(node.domain()));
    if (found == scope.opsets.end())
      user_error("the model imports no opset for its domain '{}'", printable(node.domain()));
    if (found->first.empty()) check_opset(node.op_type(), found->second);
    return found->second;
  }

  Call make_call(const Scope& scope, int index) {
    ::onnx::NodeProto& node = *scope.graph.mutable_node(index);
    Call call{import, node, *row_of(node), opset_of(scope, node)};
    for (const std::string& input : node.input()) call.inputs.push_back(input.empty() ? ValueId() : scope.find(input));
    for (const std::string& output : node.output())
      call.wanted.push_back(!output.empty() && scope.wiring->used.contains(output));
    call.name = node.name().empty() ? fmt::format("{}_{}", printable(node.op_type()), index) : printable(node.name());
    call.body = [this, &scope, &node](std::string_view attribute, const Values& arguments) {
      return import_body(scope, node, attribute, arguments);
    };
    call.named = [&scope](std::string_view name) { return scope.find(name); };
    return call;
  }

  Values import_op(const Scope& scope, int index) {
    Call call = make_call(scope, index);
    const Format* format = format_of_inputs(call);
    Values results = call.row.convert(call);
    for (ValueId result : results)
      if (format != nullptr && result.valid() && call.dtype(result) == format->stored)
        static_cast<void>(call.with_format(result, format));
    return results;
  }

  void add_node(Scope& scope, int index) {
    within(describe_node(scope.graph, index), [&] {
      ::onnx::NodeProto& node = *scope.graph.mutable_node(index);
      const Values results = row_of(node) != nullptr ? import_op(scope, index) : import_call(scope, node);
      for (size_t i = 0; i < static_cast<size_t>(node.output_size()); ++i) {
        const std::string& name = node.output(static_cast<int>(i));
        if (name.empty() || !scope.wiring->used.contains(name)) continue;
        if (i >= results.size() || !results[i].valid()) user_error("its output {} is not supported", i);
        scope.values[name] = results[i];
        Value& value = import.graph[results[i]];
        if (value.name.empty()) value.name = printable(name);
      }
    });
  }

  void add_nodes(Scope& scope) {
    add_initializers(scope);
    for (int n : scope.wiring->order) add_node(scope, n);
  }

  Values import_body(const Scope& outer, ::onnx::NodeProto& node, std::string_view attribute, const Values& arguments) {
    const auto body = std::ranges::find(*node.mutable_attribute(), attribute, &::onnx::AttributeProto::name);
    if (body == node.mutable_attribute()->end() || !body->has_g()) user_error("lacks the attribute '{}'", attribute);
    return within(attribute, [&] {
      Scope scope{*body->mutable_g(), outer.opsets, &outer};
      if (scope.graph.input_size() != std::ssize(arguments))
        user_error("has {} inputs, must have {}", scope.graph.input_size(), arguments.size());
      for (int i = 0; i < scope.graph.input_size(); ++i)
        scope.values[scope.graph.input(i).name()] = arguments[static_cast<size_t>(i)];
      return import_scope(scope);
    });
  }

  // What the outputs are of a scope that has its inputs.
  Values import_scope(Scope& scope) {
    scope.wiring = wiring_of(scope);
    check_supported(scope);
    import.size_of_bodies += scope.wiring->size;
    add_nodes(scope);
    Values results;
    for (const auto& output : scope.graph.output()) results.push_back(scope.find(output.name()));
    return results;
  }

  Values import_call(const Scope& outer, const ::onnx::NodeProto& node) {
    const Function& function = *functions.find(node);
    if (std::ranges::find(calls, &function) != calls.end()) user_error("the function calls itself");
    if (calls.size() == kMostCalls) user_error("functions call each other more than {} deep", kMostCalls);
    if (import.size_of_bodies > kMostInlined) user_error("functions make more than {} nodes and names", kMostInlined);
    if (node.input_size() > function.proto.input_size())
      user_error("has {} inputs, the function takes {}", node.input_size(), function.proto.input_size());
    Scope scope{functions.body(function, node, import.fold_budget_bytes), function.opsets};
    for (int i = 0; i < function.proto.input_size(); ++i)
      scope.values[function.proto.input(i)] =
          i < node.input_size() && !node.input(i).empty() ? outer.find(node.input(i)) : ValueId();
    calls.push_back(&function);
    const std::shared_ptr<void> leave(nullptr, [this](void*) { calls.pop_back(); });
    return import_scope(scope);
  }

  // Values carry their outputs' names. One that has a name already (an input or weight returned as it is, a value
  // returned twice) is returned through a reshape to its own shape.
  void add_output(const std::string& name, ValueId id, std::unordered_set<uint32_t>& taken) {
    if (const auto format = import.formats.find(id.index);
        format != import.formats.end() && format->second == &text_format())
      id = within(fmt::format("output '{}'", name), [&] { return make_rows(import, id); });
    const bool free = import.graph[id].kind == ValueKind::node && !taken.contains(id.index);
    if (!free)
      id = add_op(import.graph, import.ops, "reshape", {id}, {{"shape", import.graph[id].type.extents()}}, name);
    import.graph[id].name = name;
    taken.insert(id.index);
    import.graph.outputs.push_back(id);
  }

  // Of a sequence each element is an output.
  void add_outputs(const Scope& scope) {
    std::unordered_set<uint32_t> taken;
    for (const auto& output : scope.graph.output()) {
      const std::string name = printable(output.name());
      const ValueId id = scope.find(output.name());
      const auto list = import.lists.find(id.index);
      if (list == import.lists.end()) {
        add_output(name, id, taken);
        continue;
      }
      const Values& elements = list->second.elements;
      if (elements.empty() && !list->second.nothing && declared_type(output.type()).optional)
        user_error("output '{}' is an optional with an empty sequence, which cannot be told from one without a value",
                   name);
      for (size_t i = 0; i < elements.size(); ++i) {
        const std::string element = fmt::format("{}[{}]", name, i);
        if (std::ranges::any_of(scope.graph.output(), [&](const auto& other) { return other.name() == element; }))
          user_error("has an output '{}' beside the sequence '{}'", element, name);
        add_output(element, elements[i], taken);
      }
    }
    if (import.graph.outputs.empty()) user_error("returns no tensor: all its outputs are empty");
  }

  Graph run(const ImportOptions& options) {
    Scope scope{*model.mutable_graph(), opsets};
    scope.wiring = wiring_of(scope);
    check_supported(scope);
    import.most_values = static_cast<size_t>(kMostMade) + 16 * static_cast<size_t>(scope.wiring->size);
    import.graph.name = printable(scope.graph.name());
    for (const auto& entry : model.metadata_props())
      import.graph.metadata[printable(entry.key())] = printable_text(entry.value());
    add_inputs(scope, options);
    add_nodes(scope);
    add_outputs(scope);
    Graph result = compact(import.graph);
    verify_import(result, import.ops);
    return result;
  }
};

const ::onnx::ModelProto& checked(const ::onnx::ModelProto& model) {
  check_ir_version(model);
  return model;
}

}  // namespace
}  // namespace from_onnx

struct OnnxModel::Impl {
  ::onnx::ModelProto proto;
  std::filesystem::path folder;
  std::string name;  // for messages
  from_onnx::Opsets opsets = from_onnx::checked_opsets(from_onnx::checked(proto).opset_import());
  from_onnx::Functions functions = from_onnx::Functions(proto);
  std::unordered_map<const ::onnx::TensorProto*, std::shared_ptr<const Tensor>> contents = {};
};

OnnxModel::OnnxModel(const std::filesystem::path& file) {
  const std::string name = from_onnx::printable(file.string());
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  impl_ =
      from_onnx::within(name, [&] { return std::make_unique<Impl>(from_onnx::parse_model_file(file), folder, name); });
}

OnnxModel::OnnxModel(std::string_view bytes, std::filesystem::path folder_for_external_data,
                     std::string_view display_name) {
  const std::string name = from_onnx::printable(display_name);
  impl_ = from_onnx::within(name, [&] {
    return std::make_unique<Impl>(from_onnx::parse_model_bytes(bytes), std::move(folder_for_external_data), name);
  });
}

OnnxModel::~OnnxModel() = default;

Graph OnnxModel::import(const OpSet& ops, const ImportOptions& options) {
  return from_onnx::within(impl_->name, [&] {
    from_onnx::Importer importer{impl_->proto,
                                 impl_->opsets,
                                 impl_->functions,
                                 {.graph = {},
                                  .ops = ops,
                                  .fold_budget_bytes = options.fold_budget_bytes,
                                  .folder = impl_->folder,
                                  .warn = options.warn,
                                  .contents = impl_->contents}};
    return importer.run(options);
  });
}

Graph import_onnx(const std::filesystem::path& file, const OpSet& ops, const ImportOptions& options) {
  return OnnxModel(file).import(ops, options);
}

Graph import_onnx_bytes(std::string_view bytes, const std::filesystem::path& folder_for_external_data,
                        std::string_view display_name, const OpSet& ops, const ImportOptions& options) {
  return OnnxModel(bytes, folder_for_external_data, display_name).import(ops, options);
}

}  // namespace oc
