// Which nodes move nothing: their output is bytes that already stand somewhere, so a plan needs no kernel for them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace oc {

// Offsets must be multiples of this, so that an alias is as well aligned as a buffer of its own.
inline constexpr int64_t kBufferAlignment = 64;

// transpose, relayout: the elements stand in the same order in memory before and after.
[[nodiscard]] bool moves_nothing(const Graph& graph, const Node& node);
// slice: where its output begins inside its input, in bytes, when it is one contiguous range.
[[nodiscard]] std::optional<int64_t> contiguous_slice(const Graph& graph, const Node& node);
// concat: where each input begins inside the output, in bytes, when each is one contiguous range of it.
[[nodiscard]] std::optional<std::vector<int64_t>> contiguous_concat(const Graph& graph, const Node& node);

}  // namespace oc
