// Two compiled libraries of one model, timed in turns.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "autotune/stats.h"

namespace oc::cli {

struct ModelDuel {
  std::filesystem::path candidate, incumbent;  // shared libraries
  int threads = 1;
  double seconds = 3;  // of timing; as much longer as a slow model needs for a few rounds
};

// In children, so that a crash hurts nobody; each opens both libraries anew, and where their memory lies is luck that
// differs. Inputs are zeros. UserError when a child fails; nullopt when `stop`, asked all the time, says so. Call it
// from a single-threaded process.
[[nodiscard]] std::optional<Duel> time_models(const ModelDuel& models, const std::function<bool()>& stop);

}  // namespace oc::cli
