// What the graph must know of an op to check, fold, fuse and place it, and nothing of how it is computed. dsl/ provides
// the OpSet; graph/ only reads it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace oc {

enum class OpKind : uint8_t {
  elementwise,  // out[i] depends on in[broadcast(i)] only: fuses into a producer's epilogue or a consumer's prologue
  anchor,       // reduction, contraction, window: one per fused group
  movement,     // copies elements to other places (transpose, gather, slice …); a group of its own
  view,         // same elements in the same order under another shape (reshape): an alias, no code
};

// How an op deals with channel-blocked layouts of its tensors (rank ≥ 3, channels in dim 1).
enum class LayoutRule : uint8_t {
  plain,  // plain in, plain out
  same,   // all tensors with the output's channels share the output's layout, those broadcast along channels are plain
          // (elementwise, pooling, resize, concat, reductions); blocked only while `axis`/`axes` are not the channel
          // (concat: while every part is a multiple of the block)
  converts,  // any layout in, any layout out, chosen independently (conv, relayout)
};

struct AttrSpec {
  enum class Type : uint8_t { integer, number, text, integers, numbers };
  std::string name;
  Type type = Type::integer;
  bool required = true;
};

// What type rules and folding see of one node.
struct NodeView {
  const Node& node;
  std::vector<const Type*> inputs;       // null = absent
  std::vector<const Tensor*> constants;  // null = absent or not constant
  [[nodiscard]] const Attrs& attrs() const { return node.attrs; }
  [[nodiscard]] const Type& in(size_t i) const { return *inputs[i]; }
};

struct OpTraits {
  std::string name;
  OpKind kind = OpKind::elementwise;
  LayoutRule layout = LayoutRule::same;
  int min_inputs = 1, max_inputs = 1;  // max −1: any number, none of them absent
  int outputs = 1;
  bool commutative = false;
  std::vector<AttrSpec> attrs;
  // Output types (logical; layout left plain). Throws UserError with a reason when the node is malformed (shapes that
  // do not fit, attribute out of range): the caller adds file and node. Unknown dims stay unknown.
  std::function<std::vector<Type>(const NodeView&)> infer;
  // Optional: the outputs from constant inputs, all plain (constant folding; integer and shape arithmetic, movement);
  // none when running the node is to fail.
  std::function<std::vector<Tensor>(const NodeView&)> evaluate;
  // May dims `dim` and `dim`+1 of the node's tensors be merged, the first becoming 1 and the second the product,
  // without changing the op's meaning or attributes? Null: yes for elementwise, no otherwise.
  std::function<bool(const NodeView&, size_t dim)> collapsible;
  // Anchors and movement: each element of input 0 is read about once (reductions, softmax, transpose; not convolution,
  // matmul, pooling, upsampling), so that a cheap elementwise producer may be computed while reading. Movement also: an
  // element of the output is at most one of each input's (not linear resizing).
  bool reads_once = false;
  // Elementwise: costs no more than a few arithmetic instructions (add, relu; not exp, div, pow).
  bool cheap = false;
  // Multiply-adds or comparable work of one execution, for cost models; null: number of output elements.
  std::function<double(const NodeView&)> flops;
};

using OpSet = std::map<std::string, const OpTraits*, std::less<>>;

// The traits of `op`; InternalError if unknown.
[[nodiscard]] const OpTraits& traits(const OpSet& ops, std::string_view op);
[[nodiscard]] NodeView view(const Graph& graph, const Node& node);
// Appends a node whose output type comes from the op's rule.
ValueId add_op(Graph& graph, const OpSet& ops, std::string op, std::vector<ValueId> inputs, Attrs attrs = {},
               std::string name = {});

}  // namespace oc
