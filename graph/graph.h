// The graph: values and nodes by typed id, constants by shared reference, value semantics. Nodes stand in topological
// order. See text.h for the text form and op_set.h for what ops mean.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/ids.h"
#include "base/layout.h"
#include "base/tensor.h"

namespace oc {

// A known extent, or a symbol with a name ("" = unknown and anonymous). Equal names are one symbol.
struct Dim {
  int64_t extent = -1;
  std::string symbol;

  Dim() = default;
  Dim(int64_t e) : extent(e) {}  // NOLINT: a number is a dim
  explicit Dim(std::string name) : symbol(std::move(name)) {}
  [[nodiscard]] bool known() const { return extent >= 0; }
  bool operator==(const Dim&) const = default;
};
using Shape = std::vector<Dim>;

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  Layout layout;

  bool operator==(const Type&) const = default;
  [[nodiscard]] bool is_static() const;
  [[nodiscard]] Extents extents() const;  // InternalError unless static
  [[nodiscard]] int64_t bytes() const;    // physical, padding included
};
[[nodiscard]] Type make_type(DType dtype, const Extents& shape, Layout layout = {});

using ValueId = Id<struct ValueTag>;
using NodeId = Id<struct NodeTag>;

using Attr = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
struct Attrs : std::map<std::string, Attr, std::less<>> {
  using map::map;
  // Typed access; InternalError when absent without a default or of another type (the verifier has checked before).
  [[nodiscard]] int64_t integer(std::string_view name, std::optional<int64_t> fallback = {}) const;
  [[nodiscard]] double number(std::string_view name, std::optional<double> fallback = {}) const;
  [[nodiscard]] std::string text(std::string_view name, std::optional<std::string> fallback = {}) const;
  [[nodiscard]] std::vector<int64_t> integers(std::string_view name,
                                              std::optional<std::vector<int64_t>> fallback = {}) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view name,
                                            std::optional<std::vector<double>> fallback = {}) const;
};

enum class ValueKind : uint8_t {
  input,     // given by the caller (or, in a workload, an activation made by another kernel)
  constant,  // known; `data` is set, except in a workload, whose text says only that it is constant ("weight")
  node,      // produced by `producer`
};

struct Value {
  std::string name;  // the model's; "" if none. Not part of a workload
  Type type;
  ValueKind kind = ValueKind::node;
  NodeId producer;
  std::shared_ptr<const Tensor> data;
};

struct Node {
  std::string op;
  std::vector<ValueId> inputs;  // an absent optional input is an invalid id
  std::vector<ValueId> outputs;
  Attrs attrs;
  std::string name;  // the model's node name, for messages and explain
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs, outputs;
  std::map<std::string, std::string> metadata;  // the model's own

  [[nodiscard]] const Value& operator[](ValueId id) const { return values[id.index]; }
  [[nodiscard]] Value& operator[](ValueId id) { return values[id.index]; }
  [[nodiscard]] const Node& operator[](NodeId id) const { return nodes[id.index]; }
  [[nodiscard]] Node& operator[](NodeId id) { return nodes[id.index]; }

  ValueId add_input(std::string name, Type type);
  ValueId add_constant(std::string name, std::shared_ptr<const Tensor> data);
  // A constant whose contents are unknown (workloads).
  ValueId add_weight(Type type);
  // Appends a node with one fresh output of `type`; returns the output.
  ValueId add_node(std::string op, std::vector<ValueId> inputs, Attrs attrs, Type type, std::string name = {});
};

// How often each value is used by nodes and as a graph output, indexed by value.
[[nodiscard]] std::vector<int> use_counts(const Graph& graph);
// For each value the nodes that read it (a node reading twice stands once), in node order.
[[nodiscard]] std::vector<std::vector<NodeId>> consumers(const Graph& graph);
// The same graph without unreachable nodes and values, nodes topologically sorted (stable), ids renumbered. Inputs and
// outputs stay. A pass may leave garbage and disorder behind and end with this. InternalError on a cycle.
[[nodiscard]] Graph compact(const Graph& graph);

}  // namespace oc
