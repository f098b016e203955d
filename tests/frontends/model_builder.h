// ONNX models for tests, a line per node.
#pragma once

#include <onnx-ml.pb.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "base/layout.h"
#include "frontends/onnx/import.h"

namespace oc::test {

// A dim that is not known: −1 with a symbol.
struct DimSpec {
  int64_t extent = -1;
  std::string symbol;
  DimSpec(int64_t e) : extent(e) {}            // NOLINT
  DimSpec(const char* name) : symbol(name) {}  // NOLINT
};

struct ModelBuilder;

struct NodeBuilder {
  ::onnx::NodeProto& node;
  NodeBuilder& named(const std::string& name);
  NodeBuilder& domain(const std::string& domain);
  NodeBuilder& ints(const std::string& name, const std::vector<int64_t>& values);
  NodeBuilder& integer(const std::string& name, int64_t value);
  NodeBuilder& number(const std::string& name, float value);
  NodeBuilder& text(const std::string& name, const std::string& value);
  NodeBuilder& body(const std::string& name, const ModelBuilder& body);  // its graph
};

struct ModelBuilder {
  ::onnx::ModelProto model;

  explicit ModelBuilder(int64_t opset = 17);
  ::onnx::GraphProto& graph() { return *model.mutable_graph(); }
  ModelBuilder& input(const std::string& name, const std::vector<DimSpec>& dims, int type = ::onnx::TensorProto::FLOAT);
  ModelBuilder& output(const std::string& name);
  ::onnx::TensorProto& floats(const std::string& name, const Extents& dims, const std::vector<float>& values);
  ::onnx::TensorProto& int64s(const std::string& name, const Extents& dims, const std::vector<int64_t>& values);
  NodeBuilder node(const std::string& op, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs);
  [[nodiscard]] std::string bytes() const { return model.SerializeAsString(); }
};

[[nodiscard]] const OpSet& test_ops();  // the project's

// The importer over test_ops(); "model" stands for the file in messages.
[[nodiscard]] Graph import(const std::string& bytes, const ImportOptions& options = {},
                           const std::filesystem::path& folder = {});
// The message of the UserError, "" if there was none. Any other exception passes through.
[[nodiscard]] std::string import_error(const std::string& bytes, const ImportOptions& options = {},
                                       const std::filesystem::path& folder = {});
[[nodiscard]] std::string import_error(const ModelBuilder& builder, const ImportOptions& options = {});
// The ops of the graph's nodes, in order, separated by spaces.
[[nodiscard]] std::string op_list(const Graph& graph);
// The only output's shape.
[[nodiscard]] Extents output_shape(const Graph& graph, size_t i = 0);

}  // namespace oc::test
