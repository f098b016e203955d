// Prints what the importer makes of a model file: `inspect_model FILE [NAME=1x3x224x224 …]`.
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "frontends/onnx/import.h"
#include "tests/frontends/model_builder.h"

int main(int argc, char** argv) {
  oc::ImportOptions options;
  for (int i = 2; i < argc; ++i) {
    const std::string text = argv[i];
    std::istringstream dims(text.substr(text.find('=') + 1));
    for (std::string dim; std::getline(dims, dim, 'x');)
      options.shapes[text.substr(0, text.find('='))].push_back(std::stoll(dim));
  }
  try {
    const oc::Graph graph = oc::import_onnx(argv[1], oc::test::test_ops(), options);
    std::map<std::string, int> counts;
    for (const oc::Node& node : graph.nodes) ++counts[node.op];
    for (const auto& [op, count] : counts) std::cout << op << ' ' << count << "  ";
    std::cout << '\n';
    for (oc::ValueId output : graph.outputs) {
      std::cout << graph[output].name << ' ' << oc::dtype_name(graph[output].type.dtype);
      for (int64_t extent : graph[output].type.extents()) std::cout << ' ' << extent;
      std::cout << '\n';
    }
  } catch (const oc::UserError& error) {
    std::cout << error.what() << '\n';
    return 1;
  }
  return 0;
}
