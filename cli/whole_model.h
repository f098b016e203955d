// The end of `tune`: the whole model, with the schedules that compile would have taken before and those it takes now.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autotune/tune.h"
#include "compiler/compile.h"

namespace oc::cli {

struct ModelReport {
  std::string line;
  std::vector<std::string> warnings;
};

// `before`: what compile planned for `file` with `options` before its kernels were tuned, in the order of `tasks`. The
// libraries go into the cache. `database` is where the trials were kept, for what to do. UserError when they cannot be
// made or run; nullopt when `stop`, asked all the time, says so.
[[nodiscard]] std::optional<ModelReport> time_whole_model(const CompileResult& before,
                                                          const std::filesystem::path& file,
                                                          const CompileOptions& options,
                                                          std::span<const TaskProgress> tasks,
                                                          const std::string& database, double seconds,
                                                          const std::function<bool()>& stop);

}  // namespace oc::cli
