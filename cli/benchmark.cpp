#include "cli/peers.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string against = "onnxruntime", time, json, compare;
  std::vector<std::string> inputs;
};

int run_benchmark(const Flags& flags) {
  std::vector<std::string> more{"--against", flags.against};
  if (!flags.time.empty()) more.insert(more.end(), {"--time", std::to_string(parse_duration(flags.time))});
  if (!flags.json.empty()) more.insert(more.end(), {"--json", flags.json});
  if (!flags.compare.empty()) more.insert(more.end(), {"--compare", flags.compare});
  become_script("benchmark", "compare.py", flags.model, flags.inputs, more);
}

}  // namespace

std::function<int()> add_benchmark(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("benchmark", "Time a model against peers, interleaved, outputs compared");
  verb->footer("Example: opencompiler benchmark model.onnx --against onnxruntime,openvino --threads 1 --time 30s");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  verb->add_option("--against", flags->against, "onnxruntime, openvino, or both with a comma; empty: ours alone")
      ->capture_default_str();
  verb->add_option("--time", flags->time,
                   "How long to measure, 15 rounds at least; default: until the figures are steady, a minute at most");
  add_list(*verb, "--input", flags->inputs,
           "NAME=@file.npy, NAME=@file.npz, NAME=1x3xf32=0.5, or NAME=NUMBER for a scalar; random values without it");
  verb->add_option("--json,--save", flags->json, "Write figures, versions and settings here");
  verb->add_option("--compare", flags->compare, "Show the times against those a --save wrote")
      ->check(CLI::ExistingFile);
  return [flags] { return run_benchmark(*flags); };
}

}  // namespace oc::cli
