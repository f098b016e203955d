// The caller's shapes meet the declared ones: every dim of every input becomes a number.
#pragma once

#include <onnx-ml.pb.h>

#include <memory>
#include <string_view>
#include <vector>

#include "frontends/onnx/import.h"

namespace oc::from_onnx {

struct Format;

struct BoundTensor {
  std::string name;
  Type type;                                         // static
  const Format* format = nullptr;                    // of elements that are not what the dtype says (formats.h)
  std::shared_ptr<const Tensor> constant = nullptr;  // null: the caller of the library gives it; of strings their rows
};

struct BoundInput {
  std::string_view name;  // points into the model
  bool is_list = false;   // a sequence or an optional without a value, else one tensor
  bool nothing = false;   // the latter
  std::vector<BoundTensor> tensors = {};
};

// The graph's inputs in order, initializers left out. UserError on shapes and constants for unknown inputs, of another
// type, rank or against a declared extent, and one that lists all inputs whose unknown dims are left open; ValuesNeeded
// for strings that are no constants.
[[nodiscard]] std::vector<BoundInput> bind_inputs(const ::onnx::GraphProto& graph, const ImportOptions& options);

}  // namespace oc::from_onnx
