// The graph's text form; print and parse round-trip. Used by tests, dumps, and as the text of a Workload.
//
//   graph "cls" {
//     %0 "x": f32[1,3,48,192] = input
//     %1: f32[16,3,3,3] = weight                 // constant without data
//     %2: i64[2] = constant {1, -1}              // small constants (≤ 64 elements) inline, exact: shortest round trip
//     %3: f32[8,16] aB16b = weight
//     %4 "conv1": f32[1,16,24,96] aBcd16b = conv(%0, %1, _) {group=1, pads=[1,1,1,1], strides=[2,2]}   // _ absent
//     input return %4
//   }
// After `%4` stands the value's name, at the end of a node's line the node's own name: `… = conv(%0, %1, _) {…}
// "Conv_3"`. Attributes: integer `1`, number `1.0` (always with a point, an exponent, inf or nan), text `"edge"`,
// integers `[1,2]`, numbers `[1.0,2.0]` (none: `[.]`). f16 and bf16 constants print as bit patterns `0x3c00`. `//`
// starts a comment. Values are numbered in the order of printing; unused constants and the metadata are not printed.
// Larger constants print as `= constant #<content hash>` and do not parse back (a text form of a model without its
// weights is for reading). A symbolic dim prints as its name, an anonymous one as `?`. Names are quoted JSON strings.
// A node with several outputs: `(%5, %6): (f32[2], f32[2]) = split(%3) {…}`.
#pragma once

#include <string>
#include <string_view>

#include "graph/graph.h"

namespace oc {

struct PrintOptions {
  bool names = true;     // value and node names, the graph's name
  bool weights = false;  // constants not written in full print as `weight` instead of their hash: the workload form
};
[[nodiscard]] std::string print_graph(const Graph& graph, const PrintOptions& options = {});
inline constexpr size_t kMaxRank = 32;  // verify holds every graph to it
// UserError with line and column on malformed text; types are taken as stated (verify checks them). Limits: 10 MB,
// 10^6 nodes, kMaxRank, 2^40 elements a value.
[[nodiscard]] Graph parse_graph(std::string_view text);

}  // namespace oc
