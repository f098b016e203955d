// Graphs written as texts, what they compute, and what a pass makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"
#include "graph/op_set.h"
#include "graph/pass.h"

namespace oc::test {

// Attributes of a convolution with a 1×1 window, and of one with a 3×3 window that keeps the extents.
inline constexpr std::string_view kPoint = "{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}";
inline constexpr std::string_view kSame = "{dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]}";

[[nodiscard]] const OpSet& all_ops();

// Random values for the graph's inputs: floats within −2 … 2, integers and booleans 0 or 1.
[[nodiscard]] std::vector<Tensor> random_inputs(const Graph& graph, uint32_t seed);
// The same computation on plain tensors only: an interpreter does not care where bytes lie.
[[nodiscard]] Graph without_layouts(Graph graph);
// The outputs by plain loops.
[[nodiscard]] std::vector<Tensor> outputs_of(const Graph& graph, const std::vector<Tensor>& inputs);
// Do both graphs, of equal inputs, compute the same?
void expect_same_outputs(const Graph& before, const Graph& after);
// The text as the printer writes it.
[[nodiscard]] std::string normal(std::string_view text);

using PassFunction = Graph (*)(Graph, const PassContext&);
// `pass` turns `before` into `after` (texts), the result is a legal graph, and both compute the same.
void expect_pass(PassFunction pass, std::string_view before, std::string_view after, std::string_view target = "host");
// `pass` leaves the graph as it is.
void expect_untouched(PassFunction pass, std::string_view text, std::string_view target = "host");

// The message of the error that `f` throws; "" if it throws none.
template <class Error, class F>
[[nodiscard]] std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace oc::test
