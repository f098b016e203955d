#include "tests/frontends/model_builder.h"

#include "base/error.h"
#include "opencompiler/dsl.h"

namespace oc::test {

using ::onnx::AttributeProto;

namespace {

AttributeProto& add_attribute(::onnx::NodeProto& node, const std::string& name, AttributeProto::AttributeType type) {
  AttributeProto& attr = *node.add_attribute();
  attr.set_name(name);
  attr.set_type(type);
  return attr;
}

}  // namespace

NodeBuilder& NodeBuilder::named(const std::string& name) {
  node.set_name(name);
  return *this;
}
NodeBuilder& NodeBuilder::domain(const std::string& domain) {
  node.set_domain(domain);
  return *this;
}
NodeBuilder& NodeBuilder::ints(const std::string& name, const std::vector<int64_t>& values) {
  AttributeProto& attr = add_attribute(node, name, AttributeProto::INTS);
  for (int64_t value : values) attr.add_ints(value);
  return *this;
}
NodeBuilder& NodeBuilder::integer(const std::string& name, int64_t value) {
  add_attribute(node, name, AttributeProto::INT).set_i(value);
  return *this;
}
NodeBuilder& NodeBuilder::number(const std::string& name, float value) {
  add_attribute(node, name, AttributeProto::FLOAT).set_f(value);
  return *this;
}
NodeBuilder& NodeBuilder::text(const std::string& name, const std::string& value) {
  add_attribute(node, name, AttributeProto::STRING).set_s(value);
  return *this;
}

NodeBuilder& NodeBuilder::body(const std::string& name, const ModelBuilder& body) {
  *add_attribute(node, name, AttributeProto::GRAPH).mutable_g() = body.model.graph();
  return *this;
}

ModelBuilder::ModelBuilder(int64_t opset) {
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  graph().set_name("test");
}

ModelBuilder& ModelBuilder::input(const std::string& name, const std::vector<DimSpec>& dims, int type) {
  auto& info = *graph().add_input();
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const DimSpec& dim : dims) {
    auto& proto = *tensor.mutable_shape()->add_dim();
    if (dim.symbol.empty()) proto.set_dim_value(dim.extent);
    if (!dim.symbol.empty()) proto.set_dim_param(dim.symbol);
  }
  return *this;
}

ModelBuilder& ModelBuilder::output(const std::string& name) {
  graph().add_output()->set_name(name);
  return *this;
}

::onnx::TensorProto& ModelBuilder::floats(const std::string& name, const Extents& dims,
                                          const std::vector<float>& values) {
  auto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(::onnx::TensorProto::FLOAT);
  for (int64_t dim : dims) tensor.add_dims(dim);
  for (float value : values) tensor.add_float_data(value);
  return tensor;
}

::onnx::TensorProto& ModelBuilder::int64s(const std::string& name, const Extents& dims,
                                          const std::vector<int64_t>& values) {
  auto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(::onnx::TensorProto::INT64);
  for (int64_t dim : dims) tensor.add_dims(dim);
  for (int64_t value : values) tensor.add_int64_data(value);
  return tensor;
}

NodeBuilder ModelBuilder::node(const std::string& op, const std::vector<std::string>& inputs,
                               const std::vector<std::string>& outputs) {
  auto& node = *graph().add_node();
  node.set_op_type(op);
  for (const auto& input : inputs) node.add_input(input);
  for (const auto& output : outputs) node.add_output(output);
  return {node};
}

const OpSet& test_ops() {
  static const OpSet ops = op_set(builtin_ops());
  return ops;
}

Graph import(const std::string& bytes, const ImportOptions& options, const std::filesystem::path& folder) {
  return import_onnx_bytes(bytes, folder, "model", test_ops(), options);
}

std::string import_error(const std::string& bytes, const ImportOptions& options, const std::filesystem::path& folder) {
  try {
    static_cast<void>(import(bytes, options, folder));
  } catch (const UserError& error) {
    return error.what();
  }
  return {};
}

std::string import_error(const ModelBuilder& builder, const ImportOptions& options) {
  return import_error(builder.bytes(), options);
}

std::string op_list(const Graph& graph) {
  std::string list;
  for (const Node& node : graph.nodes) list += (list.empty() ? "" : " ") + node.op;
  return list;
}

Extents output_shape(const Graph& graph, size_t i) {
  return graph[graph.outputs.at(i)].type.extents();
}

}  // namespace oc::test
