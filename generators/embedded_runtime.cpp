#include "generators/embedded_runtime.h"

#include "base/error.h"

// Symbols of the assembler file that runtime/CMakeLists.txt writes.
#define OC_FOR_EACH_SOURCE(X, arch) \
  X(arch, cpu) X(arch, kernel_host) X(arch, library) X(arch, parallel) X(arch, pool) X(arch, team) X(arch, threads)
#define OC_DECLARE(arch, source) \
  extern "C" const char oc_embedded_##arch##_##source##_begin[], oc_embedded_##arch##_##source##_end[];
OC_FOR_EACH_SOURCE(OC_DECLARE, x86_64)
OC_FOR_EACH_SOURCE(OC_DECLARE, aarch64)

namespace oc {

std::vector<EmbeddedObject> embedded_runtime(std::string_view arch) {
#define OC_OBJECT(arch, source)                                                                      \
  EmbeddedObject{#source, std::string_view(oc_embedded_##arch##_##source##_begin,                    \
                                           static_cast<size_t>(oc_embedded_##arch##_##source##_end - \
                                                               oc_embedded_##arch##_##source##_begin))},
  if (arch == "x86-64") return {OC_FOR_EACH_SOURCE(OC_OBJECT, x86_64)};
  if (arch == "arm-64") return {OC_FOR_EACH_SOURCE(OC_OBJECT, aarch64)};
  internal_error("no embedded runtime for {}", arch);
}

}  // namespace oc
