// Imports every model of a folder tree and interprets it on its stored inputs: <root>/<case>/model.onnx with
// test_data_set_0/{input,output}_<i>.pb, the layout of ONNX's own suites. One line a case on stdout:
//   <case>\tok | wrong <detail> | refused <message> | broken <message>
#include <onnx-ml.pb.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <set>

#include "base/compare.h"
#include "base/error.h"
#include "base/files.h"
#include "frontends/onnx/import.h"
#include "frontends/onnx/tensor.h"
#include "tests/dsl/interpret.h"
#include "tests/frontends/model_builder.h"

namespace oc::test {
namespace {

namespace fs = std::filesystem;

Tensor read_tensor(const fs::path& file) {
  ::onnx::TensorProto proto;
  if (!proto.ParseFromString(read_file(file))) user_error("{} is no tensor", file.string());
  return *from_onnx::take_tensor(proto, {});
}

std::vector<Tensor> read_tensors(const fs::path& folder, const char* kind) {
  std::vector<Tensor> result;
  for (int i = 0; fs::exists(folder / fmt::format("{}_{}.pb", kind, i)); ++i)
    result.push_back(read_tensor(folder / fmt::format("{}_{}.pb", kind, i)));
  return result;
}

// Ops whose indices must be known at import.
constexpr std::string_view kKnownIndices[] = {"Scatter", "ScatterElements", "ScatterND"};

// The cases' inputs bind the shapes. Inputs that carry sizes, axes and the like must be known at import: those of rank
// 0 and 1 are made initializers, and all integers for the ops of kKnownIndices.
Graph import_case(const fs::path& folder, const OpSet& ops, std::vector<Tensor>& inputs) {
  ::onnx::ModelProto model;
  if (!model.ParseFromString(read_file(folder / "model.onnx"))) user_error("no model");
  const bool integers_known = std::ranges::any_of(model.graph().node(), [](const auto& node) {
    return std::ranges::find(kKnownIndices, node.op_type()) != std::end(kKnownIndices);
  });
  ImportOptions options;
  std::vector<Tensor> left;
  for (int i = 0; i < model.graph().input_size() && i < static_cast<int>(inputs.size()); ++i) {
    const std::string& name = model.graph().input(i).name();
    const Tensor& value = inputs[static_cast<size_t>(i)];
    const bool integers = value.dtype == DType::i64 || value.dtype == DType::i32;
    const bool parameter = i > 0 && (value.shape.size() <= 1 || (integers_known && integers));
    if (parameter) {
      ::onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
      if (!proto.ParseFromString(read_file(folder / "test_data_set_0" / fmt::format("input_{}.pb", i))))
        user_error("no input {}", i);
      proto.set_name(name);
    } else {
      options.shapes[name] = value.shape;
      left.push_back(value);
    }
  }
  inputs = std::move(left);
  return import_onnx_bytes(model.SerializeAsString(), {}, "model", ops, options);
}

std::string run_case(const fs::path& folder, const OpSet& ops) {
  std::vector<Tensor> inputs, expected;
  try {
    inputs = read_tensors(folder / "test_data_set_0", "input");
    expected = read_tensors(folder / "test_data_set_0", "output");
  } catch (const UserError& error) {
    return std::string("refused data: ") + error.what();
  }
  Graph graph;
  try {
    graph = import_case(folder, ops, inputs);
  } catch (const UserError& error) {
    return std::string("refused ") + error.what();
  } catch (const std::exception& error) {
    return std::string("broken import: ") + error.what();
  }
  try {
    const std::vector<Tensor> results = interpret(graph, ops, inputs);
    if (results.size() != expected.size()) return fmt::format("wrong number of outputs: {}", results.size());
    for (size_t i = 0; i < results.size(); ++i) {
      const bool half = results[i].dtype == DType::f16 || results[i].dtype == DType::bf16;
      const double distance = err(results[i], expected[i]);
      if (!(distance <= (half ? 2e-2 : 1e-4))) return fmt::format("wrong output {}: error {}", i, distance);
    }
  } catch (const std::exception& error) {
    return std::string("broken run: ") + error.what();
  }
  return "ok";
}

}  // namespace
}  // namespace oc::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const oc::OpSet& ops = oc::test::test_ops();
  std::set<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1]))
    if (exists(entry.path() / "model.onnx")) folders.insert(entry.path());
  for (const auto& folder : folders) {
    std::string line = oc::test::run_case(folder, ops);
    for (char& c : line)
      if (c == '\n') c = ' ';
    std::cout << folder.filename().string() << '\t' << line << std::endl;
  }
  return 0;
}
