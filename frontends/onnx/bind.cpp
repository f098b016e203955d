#include "frontends/onnx/bind.h"

#include <map>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

using Dimension = ::onnx::TensorShapeProto::Dimension;

// "1x3x?x?": fixed extents as numbers, unknown ones as their names or "?".
std::string declared(const ::onnx::TensorShapeProto& shape) {
  std::string text;
  for (const Dimension& dim : shape.dim()) {
    if (!text.empty()) text += 'x';
    text += dim.dim_value() > 0       ? std::to_string(dim.dim_value())
            : dim.dim_param().empty() ? "?"
                                      : printable(dim.dim_param());
  }
  return text.empty() ? "scalar" : text;
}

Extents given_extents(const ::onnx::TypeProto::Tensor& tensor, const Extents& given) {
  for (int64_t extent : given)
    if (extent < 0) user_error("the given shape has the negative extent {}", extent);
  if (!tensor.has_shape()) return given;
  const auto& dims = tensor.shape().dim();
  if (static_cast<size_t>(dims.size()) != given.size())
    user_error("the given shape has {} dims, the model declares {} ({})", given.size(), dims.size(),
               declared(tensor.shape()));
  for (int d = 0; d < dims.size(); ++d)
    if (dims[d].dim_value() > 0 && dims[d].dim_value() != given[d])
      user_error("the given shape has {} in dim {}, where the model is fixed to {} ({})", given[d], d,
                 dims[d].dim_value(), declared(tensor.shape()));
  return given;
}

// Without a given shape: a leading unknown is 1; false when another dim is open.
bool default_extents(const ::onnx::TypeProto::Tensor& tensor, Extents& extents) {
  if (!tensor.has_shape()) return false;
  for (int d = 0; d < tensor.shape().dim_size(); ++d) {
    const int64_t value = tensor.shape().dim(d).dim_value();
    if (value <= 0 && d > 0) return false;
    extents.push_back(value > 0 ? value : 1);
  }
  return true;
}

// A template for the flag, with N where a number is wanted.
std::string flag(std::string_view name, const ::onnx::TypeProto::Tensor& tensor) {
  std::string dims;
  for (const Dimension& dim : tensor.shape().dim())
    dims += (dims.empty() ? "" : "x") + (dim.dim_value() > 0 ? std::to_string(dim.dim_value()) : "N");
  return fmt::format("--shape {}={}", printable(name), dims.empty() ? "NxN" : dims);
}

using Names = std::unordered_set<std::string_view>;

// `what` is given for `name`, which must be an input.
void check_given_name(const ::onnx::GraphProto& graph, const Names& initializers, std::string_view what,
                      std::string_view name) {
  std::string names;
  for (const auto& input : graph.input()) {
    if (initializers.contains(input.name())) continue;
    if (input.name() == name) return;
    names += fmt::format("\n  {}  {}", printable(input.name()), declared(input.type().tensor_type().shape()));
  }
  user_error("a {} is given for '{}', which is no input of the model; its inputs are{}", what, printable(name), names);
}

void check_given_names(const ::onnx::GraphProto& graph, const Names& initializers, const ImportOptions& options) {
  for (const auto& [name, extents] : options.shapes) check_given_name(graph, initializers, "shape", name);
  for (const auto& [name, tensor] : options.constants) check_given_name(graph, initializers, "constant", name);
}

std::shared_ptr<const Tensor> given_constant(const ::onnx::TypeProto::Tensor& declared_type, const Tensor& given) {
  const DType dtype = stored_dtype(declared_type.elem_type());
  if (given.dtype != dtype)
    user_error("the constant given is {}, the model takes {}", dtype_name(given.dtype), dtype_name(dtype));
  static_cast<void>(given_extents(declared_type, given.shape));
  return std::make_shared<const Tensor>(given);
}

}  // namespace

std::vector<BoundInput> bind_inputs(const ::onnx::GraphProto& graph, const ImportOptions& options) {
  Names initializers;
  for (const auto& initializer : graph.initializer()) initializers.insert(initializer.name());
  check_given_names(graph, initializers, options);
  std::vector<BoundInput> result;
  std::string open, flags;
  for (const auto& input : graph.input()) {
    if (initializers.contains(input.name())) continue;
    const std::string name = printable(input.name());
    if (!input.type().has_tensor_type()) user_error("input '{}' is no tensor; only tensors are supported", name);
    const auto& tensor = input.type().tensor_type();
    BoundInput bound{.name = input.name(), .type = {}, .constant = {}};
    try {
      bound.type.dtype = stored_dtype(tensor.elem_type());
      bound.format = find_format(tensor.elem_type());
      const auto given = options.shapes.find(input.name());
      const auto constant = options.constants.find(input.name());
      Extents extents;
      if (constant != options.constants.end()) {
        bound.constant = given_constant(tensor, constant->second);
        extents = bound.constant->shape;
      } else if (given != options.shapes.end()) {
        extents = given_extents(tensor, given->second);
      } else if (!default_extents(tensor, extents)) {
        open += fmt::format("\n  {}  {}", name, tensor.has_shape() ? declared(tensor.shape()) : "of unknown rank");
        flags += (flags.empty() ? "" : " ") + flag(input.name(), tensor);
      }
      bound.type = make_type(bound.type.dtype, extents);
      if (bound.type.bytes() > kMaxTensorBytes)
        user_error("the shape has {} bytes, more than a tensor may have", bound.type.bytes());
    } catch (const UserError& error) {
      throw UserError(fmt::format("input '{}': {}", name, error.what()));
    }
    result.push_back(std::move(bound));
  }
  if (!open.empty())
    user_error("the sizes of these inputs are not known:{}\ngive numbers for the unknown dims: {}", open, flags);
  return result;
}

}  // namespace oc::from_onnx
