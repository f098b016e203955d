// The instructions of an object file, for people: explain and tests.
#pragma once

#include <string>

#include "base/target.h"

namespace oc {

// AT&T syntax for x86, one instruction a line, function names as labels. InternalError when the bytes are no object
// file.
[[nodiscard]] std::string disassemble(const std::string& object, const Target& target);

}  // namespace oc
