#include "cli/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "cli/npy.h"
#include "cli/npz.h"
#include "dsl/ops/host_scalar.h"
#include "frontends/onnx/import.h"
#include "opencompiler/dsl.h"

namespace oc::cli {
namespace {

template <class T>
std::optional<T> parse_as(std::string_view text) {
  T value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

// Integer types take whole numbers within their range only.
Scalar parse_number(std::string_view text, DType dtype) {
  const std::optional<double> real = parse_as<double>(text);
  if (!real) user_error("'{}' is no number", text);
  if (dtype_is_float(dtype)) return {true, 0, *real};
  if (dtype == DType::u64) {
    if (const auto bits = parse_as<uint64_t>(text)) return {false, static_cast<int64_t>(*bits), 0, true};
  } else if (const auto whole = parse_as<int64_t>(text);
             whole && *whole >= integer_bound(dtype, false).i && *whole <= integer_bound(dtype, true).i) {
    return {false, *whole, 0};
  }
  user_error("'{}' is no value of type {}", text, dtype_name(dtype));
}

// Every element the number that `text` is.
Tensor filled_tensor(DType dtype, const Extents& shape, std::string_view text) {
  Tensor tensor = make_tensor(dtype, shape);
  const Scalar value = parse_number(text, dtype);
  for (int64_t i = 0; i < element_count(tensor.shape); ++i) store_scalar(tensor, i, value);
  return tensor;
}

// "@x.npy", "@x.npz" for its array `name`, or "1x3xf32=0.5": a shape, a dtype, the value of every element.
Tensor parse_tensor(const std::string& name, const std::string& text) {
  if (text.starts_with('@') && text.ends_with(".npz")) {
    std::map<std::string, Tensor> tensors = read_npz(text.substr(1));
    if (!tensors.contains(name)) user_error("{}: holds no array '{}'", text.substr(1), name);
    return std::move(tensors[name]);
  }
  if (text.starts_with('@')) return read_npy(text.substr(1));
  const size_t equals = text.find('='), type_at = text.rfind('x', equals);
  const size_t name_at = type_at == std::string::npos || type_at > equals ? 0 : type_at + 1;
  const auto dtype = equals == std::string::npos
                         ? std::nullopt
                         : parse_dtype(std::string_view(text).substr(name_at, equals - name_at));
  if (!dtype) user_error("'{}' is no tensor: write @file.npy or 1x3xf32=0.5", text);
  const Extents shape = name_at == 0 ? Extents{} : parse_extents(std::string_view(text).substr(0, type_at));
  return filled_tensor(*dtype, shape, std::string_view(text).substr(equals + 1));
}

// The input that `name` is, or is an element of: "x[0]" of a sequence "x". Null: none.
const ModelInput* find_input(const std::vector<ModelInput>& declared, const std::string& name) {
  for (const ModelInput& input : declared)
    if (input.name == name || ((input.sequence || input.optional) && name.starts_with(input.name + "["))) return &input;
  return nullptr;
}

// "@x.npy", or the text itself of a scalar.
Tensor parse_texts(const ModelInput& input, const std::string& name, const std::string& value) {
  if (value.starts_with('@')) return read_npy_texts(value.substr(1));
  if (!input.shape || !input.shape->empty())
    user_error("--freeze {0}={1}: '{0}' is of strings: write {0}=@file.npy", name, value);
  Tensor row = make_tensor(DType::u8, {static_cast<int64_t>(value.size())});
  std::ranges::copy(value, reinterpret_cast<char*>(row.bytes.data()));
  return row;
}

}  // namespace

void add_inputs(CLI::App& verb, std::vector<std::string>& flags) {
  add_list(
      verb, "--input", flags,
      "NAME=@file.npy, NAME=@file.npz or @file.npz for all arrays in it, or NAME=1x3xf32=0.5 for a constant tensor");
}

bool is_library(const ModelFlags& flags) {
  return flags.file.ends_with(".so");
}

std::map<std::string, Tensor> parse_inputs(const std::vector<std::string>& flags) {
  std::map<std::string, Tensor> given;
  for (const std::string& text : flags) {
    if (text.starts_with('@') && text.ends_with(".npz")) {
      for (auto& [name, tensor] : read_npz(text.substr(1))) given.insert_or_assign(name, std::move(tensor));
      continue;
    }
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      user_error("--input '{}': write NAME=@file.npy, @file.npz or NAME=1x3xf32=0.5", text);
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    given.insert_or_assign(name, parse_tensor(name, value));
  }
  return given;
}

std::map<std::string, Tensor> parse_constants(const std::vector<std::string>& flags, const std::string& model) {
  std::map<std::string, Tensor> constants;
  if (flags.empty()) return constants;
  const std::vector<ModelInput> declared = read_model_inputs(model).inputs;
  for (const std::string& text : flags) {
    const auto [name, value] = parse_file_assignment(text, "--freeze");
    const ModelInput* input = find_input(declared, name);
    if (input != nullptr && input->format == "string") {
      constants[name] = parse_texts(*input, name, value);
      continue;
    }
    const bool is_number = !value.starts_with('@') && value.find('=') == std::string::npos;
    const bool scalar = input != nullptr && input->dtype && input->shape && input->shape->empty();
    constants[name] = is_number && scalar ? filled_tensor(*input->dtype, {}, value) : parse_tensor(name, value);
  }
  return constants;
}

CompileResult compile_for_run(const ModelFlags& flags, const std::map<std::string, Tensor>& given) {
  CompileOptions options = flags.compile_options();
  for (const auto& [name, tensor] : given) options.model.shapes.emplace(name, tensor.shape);
  options.target = flags.parsed_target();
  if (!runs_on_host(options.target)) user_error("code for {} does not run on this machine", options.target.name());
  CompileResult result = compile_to_cache(flags.file, builtin_ops(), options);
  warn(result.warnings);
  return result;
}

std::string library_of(const ModelFlags& flags, const std::map<std::string, Tensor>& given) {
  if (!is_library(flags)) return compile_for_run(flags, given).shared_library.string();
  for (const CLI::Option* option : flags.of_making)
    if (option->count() > 0)
      user_error("{}: {} is compiled already; give the flag when compiling the model", option->get_name(), flags.file);
  return flags.file;
}

void choose_shapes(const opencompiler::Module& module, opencompiler::Session& session,
                   const std::map<std::string, Tensor>& given) {
  const std::vector<opencompiler::AxisInfo> axes = module.axes();
  if (axes.empty()) return;
  const std::vector<opencompiler::TensorInfo> inputs = module.inputs();
  std::vector<Extents> shapes;
  for (const opencompiler::TensorInfo& input : inputs) shapes.push_back(input.shape);
  std::string list;
  for (const opencompiler::AxisInfo& axis : axes) {
    std::string dims;
    std::optional<int64_t> extent;
    for (const auto& [input, dim] : axis.dims) {
      dims += fmt::format("{}dim {} of '{}'", dims.empty() ? "" : ", ", dim, inputs[input].name);
      const auto found = given.find(inputs[input].name);
      const bool fits = found != given.end() && found->second.shape.size() == shapes[input].size();
      if (fits && !extent) extent = found->second.shape[dim];
    }
    for (const auto& [input, dim] : axis.dims) shapes[input][dim] = extent.value_or(axis.high);
    list += fmt::format("\n  {}, {}: from {} to {} by {}", axis.name, dims, axis.low, axis.high, axis.step);
  }
  try {
    session.set_shapes(shapes);
  } catch (const opencompiler::Error& error) {
    if (error.status != OC_BAD_EXTENTS) throw;
    user_error("the library was not compiled for these shapes; its extents are{}", list);
  }
}

std::vector<const void*> bind_inputs(const opencompiler::Session& session, const std::map<std::string, Tensor>& given) {
  std::vector<const void*> pointers;
  const auto wanted = session.inputs();
  for (const auto& [name, tensor] : given)
    if (std::ranges::none_of(wanted, [&](const auto& w) { return w.name == name; })) {
      std::string names;
      for (const auto& w : wanted) names += " " + w.name;
      user_error("--input {}: the model has no such input; it has:{}", name, names);
    }
  for (const opencompiler::TensorInfo& info : wanted) {
    const auto found = given.find(info.name);
    if (found == given.end())
      user_error("input '{}' ({} of {}) is missing; give --input {}=@file.npy", info.name, info.dtype,
                 fmt::join(info.shape, "x"), info.name);
    const Tensor& tensor = found->second;
    if (tensor.shape != info.shape || dtype_name(tensor.dtype) != info.dtype)
      user_error("input '{}' is {} of {}, the model takes {} of {}", info.name, dtype_name(tensor.dtype),
                 fmt::join(tensor.shape, "x"), info.dtype, fmt::join(info.shape, "x"));
    pointers.push_back(tensor.bytes.data());
  }
  return pointers;
}

std::map<std::string, Tensor> with_zeros(const opencompiler::Session& session, std::map<std::string, Tensor> given) {
  for (const opencompiler::TensorInfo& info : session.inputs())
    if (!given.contains(info.name)) given.emplace(info.name, make_tensor(*parse_dtype(info.dtype), info.shape));
  return given;
}

std::vector<std::pair<std::string, Tensor>> make_outputs(const opencompiler::Session& session) {
  std::vector<std::pair<std::string, Tensor>> outputs;
  for (const opencompiler::TensorInfo& info : session.outputs())
    outputs.emplace_back(info.name, make_tensor(*parse_dtype(info.dtype), info.shape));
  return outputs;
}

std::vector<void*> addresses(std::vector<std::pair<std::string, Tensor>>& outputs) {
  std::vector<void*> pointers;
  for (auto& [name, tensor] : outputs) pointers.push_back(tensor.bytes.data());
  return pointers;
}

}  // namespace oc::cli
