// From bytes to a ModelProto that can be trusted to be one: sizes, versions, opsets.
#pragma once

#include <onnx-ml.pb.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "frontends/onnx/import.h"

namespace oc::from_onnx {

inline constexpr int64_t kOldestOpset = 1, kNewestOpset = 28;
// UserError when the op of ai.onnx was another one in this opset than it is from opset 6 on, which is what is read.
void check_opset(std::string_view op, int64_t opset);

// Runs `f`; a UserError thrown inside gets "<where>: " in front and stays what it is.
template <class F>
auto within(std::string_view where, F&& f) {
  try {
    return f();
  } catch (const ValuesNeeded& error) {
    throw ValuesNeeded(fmt::format("{}: {}", where, error.what()), error.inputs);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}: {}", where, error.what()));
  }
}

// Whatever the file holds: a message, or a UserError (without the file's name: the caller adds it).
[[nodiscard]] ::onnx::ModelProto parse_model_file(const std::filesystem::path& file);
[[nodiscard]] ::onnx::ModelProto parse_model_bytes(std::string_view bytes);

// What a declared type is: a tensor, or an optional or a sequence or an optional sequence of tensors.
struct DeclaredType {
  const ::onnx::TypeProto_Tensor* tensor = nullptr;  // null: none of these
  bool optional = false, sequence = false;
};
[[nodiscard]] DeclaredType declared_type(const ::onnx::TypeProto& type);

// The domain's usual name: "" for ai.onnx.
[[nodiscard]] std::string_view canonical_domain(std::string_view domain);
using Opsets = std::map<std::string, int64_t, std::less<>>;  // by domain, "" = ai.onnx
// UserError on a domain listed twice or an unsupported ai.onnx version.
[[nodiscard]] Opsets checked_opsets(const ::google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>& imports);
// UserError on an unknown one.
void check_ir_version(const ::onnx::ModelProto& model);

}  // namespace oc::from_onnx
