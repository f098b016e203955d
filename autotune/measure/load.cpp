#include "autotune/measure/load.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/files.h"

namespace oc {

LoadedKernel::LoadedKernel(const BuiltKernel& kernel, const std::filesystem::path& folder)
    : entry_(kernel.symbol + "_argv") {
  const std::filesystem::path path = folder / (kernel.symbol + ".so");
  write_file(path, kernel.library);
  library_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const char* error = library_ == nullptr ? ::dlerror() : nullptr;
  std::filesystem::remove(path);
  if (error != nullptr) user_error("a linked kernel cannot be opened: {}", error);
}

void* LoadedKernel::symbol(const std::string& name) const {
  void* address = ::dlsym(library_, name.c_str());
  if (address == nullptr) user_error("a linked kernel has no symbol {}", name);
  return address;
}

KernelEntry LoadedKernel::start(int threads) const {
  const auto create = reinterpret_cast<void* (*)(int)>(symbol("oc_host_create"));
  const auto context = reinterpret_cast<void* (*)(void*)>(symbol("oc_host_context"));
  KernelEntry entry;
  entry.argv = reinterpret_cast<int32_t (*)(void**)>(symbol(entry_));
  entry.host = create(threads);
  if (entry.host == nullptr) throw std::bad_alloc();
  entry.user_context = context(entry.host);
  entry.begin = reinterpret_cast<void (*)(void*)>(symbol("oc_host_begin"));
  entry.end = reinterpret_cast<void (*)(void*)>(symbol("oc_host_end"));
  entry.message = reinterpret_cast<const char* (*)(void*)>(symbol("oc_host_message"));
  return entry;
}

}  // namespace oc
