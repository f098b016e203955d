#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "cli/inputs.h"
#include "cli/npy.h"
#include "cli/npz.h"
#include "dsl/ops/host_scalar.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::vector<std::string> inputs, outputs;
  bool json = false;
};

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
  const std::map<std::string, Tensor> given = parse_inputs(flags.inputs);
  const OutputFiles files = parse_outputs(flags);
  try {
    const opencompiler::Module module(library_of(flags.model, given));
    check_outputs(module, files.arrays);
    opencompiler::Session session(module, {.num_threads = flags.model.threads});
    choose_shapes(module, session, given);
    const std::vector<const void*> inputs = bind_inputs(session, given);
    std::vector<std::pair<std::string, Tensor>> outputs = make_outputs(session);
    session.run(inputs, addresses(outputs));
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
  flags->model.add_schedule_sources_to(*verb);
  add_inputs(*verb, flags->inputs);
  flags->model.of_making.push_back(verb->add_flag(
      "--all-values", flags->model.all_values, "Outputs are also, before them, what each kernel makes: see `compare`"));
  add_list(*verb, "--output", flags->outputs, "NAME=@file.npy, or @file.npz for all");
  verb->add_flag("--json", flags->json, "Print the summary of the outputs as JSON");
  return [flags] { return run_model(*flags); };
}

}  // namespace oc::cli
