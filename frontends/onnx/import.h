// ONNX models into Graphs. Needs the model's bytes and the OpSet; gives a verified graph whose types are all static:
// the caller's shapes are bound here and arithmetic on shapes is folded on the way. A model is data from strangers:
// whatever it holds, the answer is a graph or a UserError that names the file, the node and what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc {

// A node can only be compiled for known values of these inputs, as a shape follows from them: give them as constants.
struct ValuesNeeded : UserError {
  ValuesNeeded(const std::string& message, std::vector<std::string> names)
      : UserError(message), inputs(std::move(names)) {}
  std::vector<std::string> inputs;
};

struct ImportOptions {
  // All dims of an input (`--shape name=1x3x224x224`). Without one, an unknown leading dim is 1 and any other unknown
  // dim an error. A dim is unknown when the model gives a name, 0, a negative number or nothing for it.
  // The shape of a sequence or an optional is the number of its elements (of an optional 0: it has no value); they are
  // the inputs name[0], name[1], …, each with a shape of its own.
  std::map<std::string, Extents> shapes;
  // Inputs that are not the caller's to give: constants of the model. One of strings must be among them: u8 with one
  // more dim, each text a row of UTF-8 filled up with zero bytes.
  std::map<std::string, Tensor> constants;
  // Bytes that folding at import may make in all: constants that a small file can blow up (Expand, Tile, Range …).
  int64_t fold_budget_bytes = int64_t{1} << 30;
  // Called with a sentence about what of the model will not run.
  std::function<void(const std::string&)> warn;
};

// Functions of the model stand for their nodes. Opsets 1 to 28 of ai.onnx, of ops that changed up to opset 6 from there
// on, and a few ops of com.microsoft. Loops are unrolled. A sequence that the model returns is the outputs name[0],
// name[1], …; an optional without a value is none. Names of values and nodes and the model's metadata are kept; bytes
// in them that are no printable UTF-8 become U+FFFD. Weights in other files are read from the model's own folder or
// below, never through links. Elements of types smaller than a byte, or floats of one, are bytes in the graph
// (formats.h); strings that it returns are rows of bytes (texts.h).
class OnnxModel {
 public:
  explicit OnnxModel(const std::filesystem::path& file);
  // `folder_for_external_data` empty: the model may not refer to other files. `display_name` stands for the file in
  // messages.
  OnnxModel(std::string_view bytes, std::filesystem::path folder_for_external_data, std::string_view display_name);
  ~OnnxModel();
  OnnxModel(const OnnxModel&) = delete;
  OnnxModel& operator=(const OnnxModel&) = delete;

  // For other shapes again; the graphs share the model's constants.
  [[nodiscard]] Graph import(const OpSet& ops, const ImportOptions& options = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
// The same in one.
[[nodiscard]] Graph import_onnx(const std::filesystem::path& file, const OpSet& ops, const ImportOptions& options = {});
[[nodiscard]] Graph import_onnx_bytes(std::string_view bytes, const std::filesystem::path& folder_for_external_data,
                                      std::string_view display_name, const OpSet& ops,
                                      const ImportOptions& options = {});

struct ModelInput {
  std::string name;
  std::optional<DType> dtype;  // none: a type no tensor of ours has (complex numbers, maps …)
  std::string format;          // ONNX's name of a type that we hold as another ("int4", "string"), else empty
  std::optional<Shape> shape;  // as declared: unknown dims keep their symbols; none: even the rank is unknown
  bool optional = false, sequence = false;  // then the above is of its elements
};

// What a model says of itself, without importing: for messages and the faces.
struct ModelInputs {
  std::vector<ModelInput> inputs, outputs;
  std::map<std::string, std::string> metadata;
  std::map<std::string, int64_t> opsets;  // by domain, "" = ai.onnx
  int64_t ir_version = 0;
  std::string producer;
};
[[nodiscard]] ModelInputs read_model_inputs(const std::filesystem::path& file);

}  // namespace oc
