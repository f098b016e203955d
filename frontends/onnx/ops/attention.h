// What attention in its several ops is made of.
#pragma once

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

// [b, s, heads · d] → [b, heads, s, d], as many heads as the attribute says; of rank 4 as it is.
[[nodiscard]] ValueId split_heads(Call& n, ValueId x, std::string_view attr);
// [b, heads, s, d] → [b, s, heads · d]
[[nodiscard]] ValueId merge_heads(Call& n, ValueId x);
// Key j minus query i: i64 [queries, keys].
[[nodiscard]] ValueId distances(Call& n, int64_t queries, int64_t keys);

}  // namespace oc::from_onnx
