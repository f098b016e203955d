#include "frontends/onnx/bind.h"

#include <set>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/model.h"
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

// What a constant given for strings must be: rows.
Extents rows_extents(const ::onnx::TypeProto::Tensor& declared_type, const Tensor& given) {
  if (given.dtype != DType::u8 || given.shape.empty())
    user_error("the constant given is {}, the model takes strings", dtype_name(given.dtype));
  return given_extents(declared_type, {given.shape.begin(), given.shape.end() - 1});
}

std::shared_ptr<const Tensor> given_constant(const ::onnx::TypeProto::Tensor& declared_type, const Tensor& given) {
  const DType dtype = stored_dtype(declared_type.elem_type());
  if (given.dtype != dtype)
    user_error("the constant given is {}, the model takes {}", dtype_name(given.dtype), dtype_name(dtype));
  static_cast<void>(given_extents(declared_type, given.shape));
  return std::make_shared<const Tensor>(given);
}

using Names = std::set<std::string, std::less<>>;

// Binds one input after the other; what is open is told at the end, all at once.
struct Binder {
  const ImportOptions& options;
  Names names = {};         // that something may be given for
  std::string listed = {};  // the same with their shapes
  std::string open = {}, flags = {};
  std::vector<std::string> strings = {};  // inputs of strings without a constant

  void take_name(const std::string& name, const std::string& what) {
    if (!names.insert(name).second) user_error("another input has the name '{}' too", printable(name));
    listed += fmt::format("\n  {}  {}", printable(name), what);
  }

  [[nodiscard]] BoundTensor bind_tensor(const std::string& name, const ::onnx::TypeProto::Tensor& tensor) {
    const std::string dims = tensor.has_shape() ? declared(tensor.shape()) : "of unknown rank";
    take_name(name, dims);
    BoundTensor bound{.name = printable(name), .type = {}};
    bound.format = declared_format(tensor.elem_type());
    bound.type.dtype = bound.format != nullptr ? bound.format->stored : stored_dtype(tensor.elem_type());
    const auto given = options.shapes.find(name);
    const auto constant = options.constants.find(name);
    Extents extents;
    if (bound.format == &text_format()) {
      if (constant == options.constants.end()) {
        strings.push_back(bound.name);
        return bound;
      }
      extents = rows_extents(tensor, constant->second);
      bound.constant = std::make_shared<const Tensor>(constant->second);
    } else if (constant != options.constants.end()) {
      bound.constant = given_constant(tensor, constant->second);
      extents = bound.constant->shape;
    } else if (given != options.shapes.end()) {
      extents = given_extents(tensor, given->second);
    } else if (!default_extents(tensor, extents)) {
      leave_open(bound.name, dims, flag(name, tensor));
    }
    bound.type = make_type(bound.type.dtype, extents);
    if (bound.type.bytes() > kMaxTensorBytes)
      user_error("the shape has {} bytes, more than a tensor may have", bound.type.bytes());
    return bound;
  }

  void leave_open(const std::string& name, const std::string& what, const std::string& with_flag) {
    open += fmt::format("\n  {}  {}", name, what);
    flags += (flags.empty() ? "" : " ") + with_flag;
  }

  // How many elements a sequence or an optional has.
  [[nodiscard]] int64_t bind_length(const std::string& name, const DeclaredType& type) {
    const std::string what = type.sequence ? "a sequence" : "an optional";
    take_name(name, what);
    if (options.constants.contains(name)) user_error("it is no tensor: give constants for its elements, {}[0] …", name);
    const auto given = options.shapes.find(name);
    if (given == options.shapes.end()) {
      leave_open(printable(name), what, fmt::format("--shape {}=N", printable(name)));
      return 0;
    }
    constexpr int64_t kMost = 4096;
    if (given->second.size() != 1 || given->second[0] < 0 || given->second[0] > (type.sequence ? kMost : 1))
      user_error("its shape is the number of its elements, up to {}", type.sequence ? kMost : 1);
    return given->second[0];
  }

  [[nodiscard]] BoundInput bind(const ::onnx::ValueInfoProto& input) {
    const DeclaredType type = declared_type(input.type());
    if (type.tensor == nullptr) user_error("is neither a tensor nor a sequence or an optional of tensors");
    BoundInput bound{.name = input.name()};
    if (!type.optional && !type.sequence) {
      bound.tensors.push_back(bind_tensor(input.name(), *type.tensor));
      return bound;
    }
    const int64_t length = bind_length(input.name(), type);
    bound.is_list = type.sequence || length == 0;
    bound.nothing = type.optional && length == 0;
    for (int64_t i = 0; i < length; ++i)
      bound.tensors.push_back(bind_tensor(fmt::format("{}[{}]", input.name(), i), *type.tensor));
    return bound;
  }

  void check_strings() const {
    if (strings.empty()) return;
    std::string list, hint;
    for (const std::string& name : strings) {
      list += fmt::format("{}'{}'", list.empty() ? "" : ", ", name);
      hint += fmt::format(" --freeze {}=@file.npy", name);
    }
    throw ValuesNeeded(
        fmt::format("takes strings ({}), which are supported as constants only: compile for their values with{}", list,
                    hint),
        strings);
  }

  // Shapes and constants are given for inputs only.
  void check_given() const {
    const auto check = [&](std::string_view what, std::string_view name) {
      if (names.contains(name)) return;
      user_error("a {} is given for '{}', which is no input of the model; its inputs are{}", what, printable(name),
                 listed);
    };
    for (const auto& [name, extents] : options.shapes) check("shape", name);
    for (const auto& [name, tensor] : options.constants) check("constant", name);
  }
};

}  // namespace

std::vector<BoundInput> bind_inputs(const ::onnx::GraphProto& graph, const ImportOptions& options) {
  std::unordered_set<std::string_view> initializers;
  for (const auto& initializer : graph.initializer()) initializers.insert(initializer.name());
  Binder binder{options};
  std::vector<BoundInput> result;
  for (const auto& input : graph.input())
    if (!initializers.contains(input.name()))
      result.push_back(within(fmt::format("input '{}'", printable(input.name())), [&] { return binder.bind(input); }));
  binder.check_given();
  binder.check_strings();
  if (!binder.open.empty())
    user_error("the sizes of these inputs are not known:{}\ngive numbers for the unknown dims: {}", binder.open,
               binder.flags);
  return result;
}

}  // namespace oc::from_onnx
