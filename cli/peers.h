// Verbs that need peers, which are Python packages: the verb becomes a Python program of the project.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace oc::cli {

// benchmarks/<script> with the flags of the model, then `more`. Does not return. UserError naming `verb` when there is
// no checkout with a Python environment.
[[noreturn]] void become_script(const std::string& verb, const std::string& script, const ModelFlags& model,
                                const std::vector<std::string>& inputs, const std::vector<std::string>& more);

}  // namespace oc::cli
