// The instructions of an object file: for people to read, and for what has to be changed in them.
#pragma once

#include <string>

#include "base/target.h"

namespace oc {

// AT&T syntax for x86, one instruction a line, function names as labels. InternalError when the bytes are no object
// file.
[[nodiscard]] std::string disassemble(const std::string& object, const Target& target);

// On x86 makes each prefetchnta, which is what Halide emits, a prefetcht1; elsewhere, or where an instruction is
// unknown, nothing changes (docs/decisions/0012-prefetch.md). InternalError as above.
void prefetch_into_second_level(std::string& object, const Target& target);

}  // namespace oc
