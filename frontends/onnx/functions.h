// Functions that a model defines: a node that names one stands for the function's nodes.
#pragma once

#include <onnx-ml.pb.h>

#include <deque>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "frontends/onnx/model.h"

namespace oc::from_onnx {

struct Function {
  const ::onnx::FunctionProto& proto;
  Opsets opsets;
};

class Functions {
 public:
  // UserError when two have one name or one imports opsets that are not supported.
  explicit Functions(const ::onnx::ModelProto& model);
  // Null: the node names none of them.
  [[nodiscard]] const Function* find(const ::onnx::NodeProto& node) const;
  // What the call stands for, as a graph: inputs, outputs, and nodes that have the call's attributes, else the
  // function's defaults, where they refer to them. The same object whenever the same call is asked about.
  // A new one takes its size of `budget_bytes`; UserError when there is less.
  [[nodiscard]] ::onnx::GraphProto& body(const Function& function, const ::onnx::NodeProto& call,
                                         int64_t& budget_bytes);

 private:
  using Name = std::tuple<std::string_view, std::string_view, std::string_view>;  // domain, name, overload
  std::map<Name, Function> functions_;
  std::unordered_map<const void*, ::onnx::GraphProto*> made_;
  std::deque<::onnx::GraphProto> bodies_;
};

}  // namespace oc::from_onnx
