#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "cli/npy.h"
#include "cli/npz.h"
#include "cli/verb.h"
#include "compiler/compile.h"
#include "dsl/ops/host_scalar.h"
#include "opencompiler/dsl.h"
#include "opencompiler/runtime.hpp"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::vector<std::string> inputs, outputs;
  bool json = false;
};

// "@x.npy", or "1x3xf32=0.5": a shape, a dtype, the value of every element.
Tensor parse_tensor(const std::string& text) {
  if (text.starts_with('@')) return read_npy(text.substr(1));
  const size_t equals = text.find('='), type_at = text.rfind('x', equals);
  const size_t name_at = type_at == std::string::npos || type_at > equals ? 0 : type_at + 1;
  const auto dtype = equals == std::string::npos
                         ? std::nullopt
                         : parse_dtype(std::string_view(text).substr(name_at, equals - name_at));
  if (!dtype) user_error("--input value '{}': write @file.npy or 1x3xf32=0.5", text);
  Tensor tensor =
      make_tensor(*dtype, name_at == 0 ? Extents{} : parse_extents(std::string_view(text).substr(0, type_at)));
  char* end = nullptr;
  const double value = std::strtod(text.c_str() + equals + 1, &end);
  if (*end != '\0' || end == text.c_str() + equals + 1)
    user_error("--input value '{}': '{}' is no number", text, text.substr(equals + 1));
  for (int64_t i = 0; i < element_count(tensor.shape); ++i) store_scalar(tensor, i, {true, 0, value});
  return tensor;
}

// NAME=@file.npy, NAME=@file.npz (its entry of that name), @file.npz (all its entries), NAME=1x3xf32=0.5.
std::map<std::string, Tensor> parse_inputs(const Flags& flags) {
  std::map<std::string, Tensor> given;
  for (const std::string& text : flags.inputs) {
    if (text.starts_with('@') && text.ends_with(".npz")) {
      for (auto& [name, tensor] : read_npz(text.substr(1))) given.insert_or_assign(name, std::move(tensor));
      continue;
    }
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      user_error("--input '{}': write NAME=@file.npy, @file.npz or NAME=1x3xf32=0.5", text);
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    if (value.starts_with('@') && value.ends_with(".npz")) {
      std::map<std::string, Tensor> tensors = read_npz(value.substr(1));
      if (!tensors.contains(name)) user_error("{}: holds no array '{}'", value.substr(1), name);
      given.insert_or_assign(name, std::move(tensors[name]));
    } else {
      given.insert_or_assign(name, parse_tensor(value));
    }
  }
  return given;
}

// Where outputs go: files by output name, and archives of all.
struct OutputFiles {
  std::map<std::string, std::string> arrays;
  std::vector<std::string> archives;
};

OutputFiles parse_outputs(const Flags& flags) {
  OutputFiles files;
  for (const std::string& text : flags.outputs) {
    if (text.starts_with('@') && text.ends_with(".npz")) {
      files.archives.push_back(text.substr(1));
      continue;
    }
    const auto [name, file] = parse_file_assignment(text, "--output");
    if (!file.starts_with('@')) user_error("--output '{}': write NAME=@file.npy or @file.npz", text);
    if (file.ends_with(".npz"))
      user_error("--output '{0}': an archive takes all outputs; write --output {1}", text, file);
    files.arrays[name] = file.substr(1);
  }
  return files;
}

std::string library_of(const Flags& flags, const std::map<std::string, Tensor>& given) {
  if (flags.model.file.ends_with(".so")) return flags.model.file;
  CompileOptions options;
  options.model = flags.model.model_options();
  for (const auto& [name, tensor] : given) options.model.shapes.emplace(name, tensor.shape);
  options.target = flags.model.parsed_target();
  options.threads = flags.model.thread_count();
  options.default_threads = flags.model.threads;
  options.layers = flags.model.layers();
  options.jobs = usable_cores();
  options.cache = default_cache_path();
  if (!runs_on_host(options.target)) user_error("code for {} does not run on this machine", options.target.name());
  const CompileResult result = compile_to_cache(flags.model.file, builtin_ops(), options);
  warn(result.warnings);
  return result.shared_library;
}

std::vector<const void*> bind_inputs(const opencompiler::Module& module, const std::map<std::string, Tensor>& given) {
  std::vector<const void*> pointers;
  const auto wanted = module.inputs();
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

void check_outputs(const opencompiler::Module& module, const std::map<std::string, std::string>& files) {
  const auto known = module.outputs();
  for (const auto& [name, file] : files)
    if (std::ranges::none_of(known, [&](const auto& output) { return output.name == name; })) {
      std::string names;
      for (const auto& output : known) names += " " + output.name;
      user_error("--output {}: the model has no such output; it has:{}", name, names);
    }
}

nlohmann::json summary(const std::string& name, const Tensor& tensor) {
  double low = INFINITY, high = -INFINITY;
  nlohmann::json first = nlohmann::json::array();
  for (int64_t i = 0; i < element_count(tensor.shape); ++i) {
    const double value = load_scalar(tensor, i).real();
    low = std::fmin(low, value);
    high = std::fmax(high, value);
    if (i < 6) first.push_back(value);
  }
  return {{"name", name},  {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"min", low}, {"max", high},
          {"first", first}};
}

void print_summary(const nlohmann::json& row, const Extents& shape) {
  std::string first;
  for (const auto& value : row["first"]) first += fmt::format(" {:.6g}", value.get<double>());
  fmt::print("{}: {} of {}, {:.6g} to {:.6g}, first{}\n", row["name"].get<std::string>(),
             row["dtype"].get<std::string>(), fmt::join(shape, "x"), row["min"].get<double>(), row["max"].get<double>(),
             first);
}

void deliver(const std::vector<std::pair<std::string, Tensor>>& outputs, const OutputFiles& files, bool json) {
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& archive : files.archives) write_npz(archive, outputs);
  for (const auto& [name, tensor] : outputs) {
    const auto file = files.arrays.find(name);
    if (file != files.arrays.end()) write_npy(file->second, tensor);
    rows.push_back(summary(name, tensor));
    if (!json) print_summary(rows.back(), tensor.shape);
  }
  // JSON has no NaN and no infinities: nlohmann writes null.
  if (json)
    std::cout << nlohmann::json{{"outputs", rows}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << '\n';
}

int run_model(const Flags& flags) {
  const std::map<std::string, Tensor> given = parse_inputs(flags);
  const OutputFiles files = parse_outputs(flags);
  try {
    const opencompiler::Module module(library_of(flags, given));
    check_outputs(module, files.arrays);
    const std::vector<const void*> inputs = bind_inputs(module, given);
    std::vector<std::pair<std::string, Tensor>> outputs;
    std::vector<void*> pointers;
    for (const opencompiler::TensorInfo& info : module.outputs())
      outputs.emplace_back(info.name, make_tensor(*parse_dtype(info.dtype), info.shape));
    for (auto& [name, tensor] : outputs) pointers.push_back(tensor.bytes.data());
    opencompiler::Session session(module, {.num_threads = flags.model.threads});
    session.run(inputs, pointers);
    deliver(outputs, files, flags.json);
  } catch (const opencompiler::Error& error) {
    user_error("{}: {}", flags.model.file, error.what());
  }
  return kOk;
}

}  // namespace

std::function<int()> add_run(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("run", "Run a model, or a compiled library, once");
  verb->footer(
      "Example: opencompiler run model.onnx --input x=@x.npy --output y=@y.npy\n         opencompiler run "
      "out/libmodel.so --input x=1x3x48x192xf32=0.5");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  add_list(
      *verb, "--input", flags->inputs,
      "NAME=@file.npy, NAME=@file.npz or @file.npz for all arrays in it, or NAME=1x3xf32=0.5 for a constant tensor");
  add_list(*verb, "--output", flags->outputs, "NAME=@file.npy, or @file.npz for all");
  verb->add_flag("--json", flags->json, "Print the summary of the outputs as JSON");
  return [flags] { return run_model(*flags); };
}

}  // namespace oc::cli
