// Linking without a compiler: lld and LLVM's object tools in a forked child. Same inputs, same bytes.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"

namespace oc {

// UserError, naming what can be linked, unless libraries can be made for the target: ELF systems (linux, android).
void require_linkable(const Target& target);

struct LinkRequest {
  const Target& target;
  std::string name;                      // a C identifier
  std::span<const std::string> objects;  // kernels
  std::string data;                      // make_data_object(…)
};

// The following four use lld in this process: call them in a child. InternalError when something does not fit together.

// One relocatable object of kernels, data and the embedded runtime; its only global symbols are `<name>_…`.
[[nodiscard]] std::string link_relocatable(const LinkRequest& request);
// An archive of that one object.
[[nodiscard]] std::string make_archive(const std::string& name, const std::string& object);
// A shared library of that object with the fixed symbol `oc_library` besides; needs libc, libm and libpthread only.
[[nodiscard]] std::string link_shared(const Target& target, const std::string& name, const std::string& object);
// Names that the object expects from elsewhere, sorted.
[[nodiscard]] std::vector<std::string> undefined_symbols(const std::string& object);

// For measuring one kernel: writes `path`, a shared library of the kernel and the embedded runtime. Forks; throws
// InternalError. After dlopen(path, RTLD_NOW | RTLD_LOCAL) and dlsym of these names:
//   int32_t <symbol>_argv(void** args);       // args[0] = &user_context, then the buffers
//   void* oc_host_create(int threads);        // ≤ 0: as many as the process may use; null: out of memory
//   void* oc_host_context(void* host);        // the user_context
//   void oc_host_begin(void* host);           // before a batch of calls: workers wake up and spin
//   void oc_host_end(void* host);             // after it: they may sleep; scratch memory grows to what was needed
//   const char* oc_host_message(void* host);  // what went wrong in the batch, "" if nothing
//   void oc_host_destroy(void* host);
// Call the kernel once between begin and end before timing it: the first batch takes its scratch memory from malloc.
void link_kernel(const Target& target, const std::string& object, const std::string& symbol,
                 const std::filesystem::path& path);

}  // namespace oc
