// Contractions that other ops are made of.
#pragma once

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

// Convolution with the node's window attributes; `bias` may be invalid.
[[nodiscard]] ValueId convolution(Call& n, ValueId x, ValueId w, ValueId bias);
// numpy's matmul: an operand of rank 1 is a row on the left, a column on the right, and its extent 1 vanishes again.
[[nodiscard]] ValueId numpy_matmul(Call& n, ValueId a, ValueId b);

}  // namespace oc::from_onnx
