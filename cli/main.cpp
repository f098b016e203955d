#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "cli/verb.h"

namespace {

// Logs go to stderr, plain: results alone stand on stdout.
void set_up_logging() {
  auto logger = spdlog::stderr_logger_st("opencompiler");
  logger->set_pattern("%l: %v");
  spdlog::set_default_logger(std::move(logger));
}

int report(std::string_view prefix, const std::exception& error, int status) {
  std::cerr << prefix << error.what() << '\n';
  return status;
}

// Some of what was printed did not arrive: a full disk, a closed stdout.
bool lost_output() {
  std::cout.flush();
  return std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout;
}

int run(int argc, char** argv) {
  using namespace oc::cli;
  set_up_logging();
  CLI::App app("Compiles trained models into native libraries for CPUs, with schedules tuned on the machine.",
               "opencompiler");
  app.set_version_flag("--version", OC_VERSION);
  app.require_subcommand(1);
  std::map<const CLI::App*, std::function<int()>> verbs;
#define OC_VERB(name)                                     \
  {                                                       \
    std::function<int()> action = add_##name(app);        \
    verbs[app.get_subcommand(#name)] = std::move(action); \
  }
#include "cli/verbs.inc"
#undef OC_VERB
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  try {
    return verbs.at(app.get_subcommands().front())();
  } catch (const oc::UserError& error) {
    return report("error: ", error, kUserError);
  } catch (const std::exception& error) {
    if (lost_output()) return kOk;  // what a print throws
    return report("internal error: ", error, kInternalError);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int status = run(argc, argv);
  if (status != oc::cli::kOk || !lost_output()) return status;
  return report("error: ", oc::UserError("cannot write the results to stdout"), oc::cli::kUserError);
}
