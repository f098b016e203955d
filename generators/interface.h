// What a program sees of a compiled model: its names as C identifiers, its tensors, its metadata.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace oc {

struct TensorInterface {
  std::string name;    // the model's
  std::string c_name;  // as a parameter
  DType dtype = DType::f32;
  Extents shape;
  int64_t elements = 0, bytes = 0;
  int64_t most_elements = 0;  // with any of the shapes of a library
};

struct MetadataInterface {
  std::string key, value;
  std::string c_name;              // of the table of lines
  std::vector<std::string> lines;  // of a value with more than one line, such as an alphabet
};

// An extent that the caller of the library chooses: low, low + step, … high.
struct AxisInterface {
  std::string name;    // the model's, or one made of the input's
  std::string c_name;  // as a parameter
  int64_t low = 0, high = 0, step = 1;
  std::vector<std::pair<size_t, size_t>> places;  // inputs and their dims; one at least
};

struct Interface {
  std::string name;                              // prefix of every symbol
  std::vector<TensorInterface> inputs, outputs;  // of a library for several shapes the largest
  std::vector<AxisInterface> axes = {};
  std::vector<MetadataInterface> metadata;
};

// Characters that no C identifier has become `_`; words of C and C++ and names in `taken` get a number behind. Records
// the result in `taken`, which holds names in capitals: macros are made of them, so none may differ by case alone.
[[nodiscard]] std::string identifier(std::string_view text, std::set<std::string>& taken);
// The name of a library made of any text: "rec v4.1" → "rec_v4_1".
[[nodiscard]] std::string library_name(std::string_view text);
// The axes' `c_name` is found here. InternalError when an input or output is not static.
[[nodiscard]] Interface make_interface(const Graph& graph, std::string_view name, std::vector<AxisInterface> axes = {});
// "const float" and the like: the C type that holds one element. f16 and bf16 are uint16_t, bool is uint8_t.
[[nodiscard]] std::string_view c_type(DType dtype);

}  // namespace oc
