// The passes. Each takes a verified graph and gives a verified graph that computes the same; graph inputs and outputs,
// with their names and types, stay. Their order stands in pipeline.cpp.
#pragma once

#include "graph/pass.h"

namespace oc {

// Nodes and constants that no output depends on go; nodes come into topological order.
[[nodiscard]] Graph eliminate_dead(Graph graph, const PassContext& context);

// Tensors without elements: what is computed of them becomes a constant (concat leaves them out, a product over no
// columns is 0, a sum over nothing 0), and none is left that a kernel would read or write.
[[nodiscard]] Graph eliminate_empty(Graph graph, const PassContext& context);

// add(2, 3) → 5, within a memory budget.
[[nodiscard]] Graph fold_constants(Graph graph, const PassContext& context);

// Local rewrites to less work: transpose(transpose(x)) → transpose(x) or x, mul(x, 1) → x, clip(relu(x)) → clip(x) …
[[nodiscard]] Graph simplify(Graph graph, const PassContext& context);

// Equal nodes on equal inputs, and equal constants, become one.
[[nodiscard]] Graph eliminate_common(Graph graph, const PassContext& context);

// conv(x, w, b)·s + t → conv(x, w·s, b·s + t) for constant w, b, s, t with s and t constant along all dims but the
// output channels; the same for conv_transpose and, for factors, matmul(x, w). This is how BatchNormalization vanishes.
[[nodiscard]] Graph fold_scale(Graph graph, const PassContext& context);

// conv(x·s + t, w, b) → conv(x, w·s, b + Σ w·t) for constant w, b, s, t with s and t constant along all dims but the
// channels; with padding, conv(x + t/s, w·s, b). Nothing else may read x·s + t. What is left of an affine map behind an
// activation, or of the division in a hard swish, then costs little.
[[nodiscard]] Graph sink_scale(Graph graph, const PassContext& context);

// conv_transpose whose windows lie side by side (kernel = stride) and whose outputs do not fill a vector → conv of one
// tap with a channel for each position in the window, and the transposition that puts these in their places.
[[nodiscard]] Graph shuffle_transposed(Graph graph, const PassContext& context);

// (x − mean) / √(mean of (x − mean)² + ε) → layer_norm(x), x / √(mean of x² + ε) → rms_norm(x), the means over the last
// dims. Scale and bias follow as elementwise nodes.
[[nodiscard]] Graph fuse_norm(Graph graph, const PassContext& context);

// matmul(softmax(matmul(q, kᵀ) · scale + mask), v) → attention, with the transpositions of q, k, v and of the result,
// and the factors on q and k, taken in.
[[nodiscard]] Graph fuse_attention(Graph graph, const PassContext& context);

// matmul(x, transpose(w, p)) → matmul(x, w) {b_perm=p}, and the same for the left operand: nothing is moved.
[[nodiscard]] Graph absorb_transpose(Graph graph, const PassContext& context);

// Gives activations around convolutions channel-blocked layouts, with `relayout` nodes at the borders.
[[nodiscard]] Graph assign_layout(Graph graph, const PassContext& context);

}  // namespace oc
