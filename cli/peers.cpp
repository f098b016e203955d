#include "cli/peers.h"

#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace oc::cli {

void become_script(const std::string& verb, const std::string& script, const ModelFlags& model,
                   const std::vector<std::string>& inputs, const std::vector<std::string>& more) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(OC_SOURCE_DIR);
  const fs::path python = root / ".venv" / "bin" / "python", file = root / "benchmarks" / script;
  for (const fs::path& needed : {python, file})
    if (!fs::exists(needed))
      user_error("{}: not there; `{}` needs the project's checkout and its Python environment (./dev setup)",
                 needed.string(), verb);
  std::vector<std::string> command{python.string(), file.string(), model.file};
  command.insert(command.end(), {"--threads", std::to_string(model.thread_count()), "--target", model.target});
  for (const std::string& shape : model.shapes) command.insert(command.end(), {"--shape", shape});
  for (const std::string& text : model.constants) command.insert(command.end(), {"--freeze", text});
  for (const std::string& input : inputs) command.insert(command.end(), {"--input", input});
  if (!model.database.empty()) command.insert(command.end(), {"--db", model.database});
  command.insert(command.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  internal_error("{}: cannot be started", command[0]);
}

}  // namespace oc::cli
