#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "cli/verb.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string against = "onnxruntime", time, json, compare;
  std::vector<std::string> inputs;
};

// Peers are Python packages, so the harness is a Python program of the project; this verb finds and becomes it.
int run_benchmark(const Flags& flags) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(OC_SOURCE_DIR);
  const fs::path python = root / ".venv" / "bin" / "python", script = root / "benchmarks" / "compare.py";
  for (const fs::path& needed : {python, script})
    if (!fs::exists(needed))
      user_error("{}: not there; `benchmark` needs the project's checkout and its Python environment (./dev setup)",
                 needed.string());
  std::vector<std::string> command{python.string(),
                                   script.string(),
                                   flags.model.file,
                                   "--against",
                                   flags.against,
                                   "--threads",
                                   std::to_string(flags.model.thread_count()),
                                   "--target",
                                   flags.model.target};
  for (const std::string& shape : flags.model.shapes) command.insert(command.end(), {"--shape", shape});
  for (const std::string& text : flags.model.constants) command.insert(command.end(), {"--freeze", text});
  for (const std::string& input : flags.inputs) command.insert(command.end(), {"--input", input});
  if (!flags.model.database.empty()) command.insert(command.end(), {"--db", flags.model.database});
  if (!flags.time.empty()) command.insert(command.end(), {"--time", std::to_string(parse_duration(flags.time))});
  if (!flags.json.empty()) command.insert(command.end(), {"--json", flags.json});
  if (!flags.compare.empty()) command.insert(command.end(), {"--compare", flags.compare});
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  internal_error("{}: cannot be started", command[0]);
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
