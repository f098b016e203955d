// One built kernel opened in this process. It is never closed: the measuring
// child that opened it ends soon, and its threads live in it.
#pragma once

#include <filesystem>

#include "autotune/measure/bench.h"
#include "autotune/measure/trial.h"

namespace oc {

class LoadedKernel {
 public:
  // `folder` holds the library while it is opened. UserError when it cannot be opened.
  LoadedKernel(const BuiltKernel& kernel, const std::filesystem::path& folder);
  // Its host of `threads` threads; call it once.
  [[nodiscard]] KernelEntry start(int threads) const;

 private:
  [[nodiscard]] void* symbol(const std::string& name) const;
  void* library_ = nullptr;
  std::string entry_;
};

}  // namespace oc
