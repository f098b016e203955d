#include <fmt/format.h>

#include "cli/peers.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::vector<std::string> inputs;
  std::string against = "onnxruntime", json;
  double tolerance = 1e-3;
};

int run_compare(const Flags& flags) {
  std::vector<std::string> more{"--against", flags.against, "--tolerance", fmt::format("{}", flags.tolerance)};
  if (!flags.json.empty()) more.insert(more.end(), {"--json", flags.json});
  become_script("compare", "accuracy.py", flags.model, flags.inputs, more);
}

}  // namespace

std::function<int()> add_compare(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("compare", "Compare what each kernel makes with a reference: where they part");
  verb->footer(
      "Example: opencompiler compare model.onnx --against onnxruntime\nThe exit status is 1 when an error is above the "
      "tolerance.");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  verb->add_option("--against", flags->against, "onnxruntime, or reference: the evaluator of the package onnx")
      ->check(CLI::IsMember({"onnxruntime", "reference"}))
      ->capture_default_str();
  add_list(*verb, "--input", flags->inputs,
           "NAME=@file.npy, NAME=@file.npz, NAME=1x3xf32=0.5, or NAME=NUMBER for a scalar; random values without it");
  verb->add_option("--tolerance", flags->tolerance, "Of max |a - b| / max(|b|, 0.1 max|b|), b the reference")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--json", flags->json, "Write the rows here");
  return [flags] { return run_compare(*flags); };
}

}  // namespace oc::cli
