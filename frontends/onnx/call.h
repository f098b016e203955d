// One ONNX node on its way into the graph: what an op's function sees of it and builds with.
#pragma once

#include <onnx-ml.pb.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "graph/op_set.h"

namespace oc::from_onnx {

using Values = std::vector<ValueId>;
struct Call;
struct Format;

// A row of ops.inc.
struct OpRow {
  std::string_view domain, name;
  Values (*convert)(Call&);  // the node's outputs; may be fewer than named when the rest is unused
  std::string_view op;       // our op, for functions that serve several rows
};
[[nodiscard]] const OpRow* find_op(std::string_view domain, std::string_view name);

// A value that is no tensor: a sequence, or an optional that holds nothing. One that holds something is that itself.
struct List {
  Values elements;
  bool nothing = false;
};

constexpr uint32_t kEmptyText = 0;  // where "" stands

// The texts that strings of the model are, each once; see texts.h.
class Texts {
 public:
  Texts() { place({}); }
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  // Where the text stands, and whether it was not there before.
  std::pair<uint32_t, bool> place(std::string text) {
    const auto [at, fresh] = places_.try_emplace(std::move(text), static_cast<uint32_t>(all_.size()));
    if (fresh) all_.push_back(&at->first);
    return {at->second, fresh};
  }
  [[nodiscard]] const std::string& operator[](uint32_t place) const {
    if (place >= all_.size()) internal_error("a string at place {} of {}", place, all_.size());
    return *all_[place];
  }
  [[nodiscard]] size_t size() const { return all_.size(); }

 private:
  std::map<std::string, uint32_t> places_;
  std::vector<const std::string*> all_;  // keys of the map, which stay where they are
};

// Values, nodes and names that the loops, functions and ops of a small model may make: more take seconds to import and
// minutes to compile.
inline constexpr int64_t kMostMade = 1 << 17;

// What all nodes share.
struct Import {
  Graph graph;
  const OpSet& ops;
  int64_t fold_budget_bytes;
  std::filesystem::path folder;                  // of external data, "" = none
  std::function<void(const std::string&)> warn;  // may be null
  // Values whose elements are not what their dtype says (formats.h), by value.
  std::unordered_map<uint32_t, const Format*> formats = {};
  // What stands in the graph as a value that no op of ours takes, by value.
  std::unordered_map<uint32_t, List> lists = {};
  // Constants by where the model has them: a body that is imported again shares those of the first time, and so does
  // another import of the model their contents.
  std::unordered_map<const ::onnx::TensorProto*, ValueId> taken = {};
  std::unordered_map<const ::onnx::TensorProto*, std::shared_ptr<const Tensor>>& contents;
  Texts texts = {};
  int64_t size_of_bodies = 0;  // Wiring::size of what was imported so far
  size_t most_values = 0;      // that the graph may have: small models can ask for many
};

// Takes `count` elements of `dtype` out of the folding budget before they are made.
void spend(Import& import, DType dtype, int64_t count);
// The constant that the model holds there, its data moved out of it.
[[nodiscard]] ValueId take_constant(Import& import, ::onnx::TensorProto& proto, const std::string& name = {});
// A value that stands for these; UserError unless the elements are tensors of one type. Sequences that are made element
// by element take of the folding budget.
[[nodiscard]] ValueId add_list(Import& import, List list);

// Every function throws UserError with a reason alone; the caller adds file and node.
struct Call {
  Import& import;
  ::onnx::NodeProto& proto;
  const OpRow& row;
  int64_t opset;             // of the node's domain
  Values inputs;             // absent ones invalid
  std::vector<bool> wanted;  // outputs that somebody reads
  std::string name;
  // Imports a subgraph, an attribute of the node, in place, its inputs being `arguments`; its outputs. UserError when
  // it cannot be.
  std::function<Values(std::string_view attribute, const Values& arguments)> body;
  // What a name stands for where the node is; invalid: nothing.
  std::function<ValueId(std::string_view name)> named;

  // Inputs. `in` demands a tensor, `any` takes whatever is there.
  [[nodiscard]] bool has(size_t i) const { return i < inputs.size() && inputs[i].valid(); }
  [[nodiscard]] ValueId in(size_t i) const;
  [[nodiscard]] ValueId any(size_t i) const;
  // Null: a tensor.
  [[nodiscard]] const List* list(ValueId value) const;
  // The elements of a sequence that is input i; UserError when it is none.
  [[nodiscard]] const Values& elements(size_t i) const;
  [[nodiscard]] DType dtype(ValueId value) const { return import.graph[value].type.dtype; }
  [[nodiscard]] Extents shape(ValueId value) const { return import.graph[value].type.extents(); }
  [[nodiscard]] int64_t rank(ValueId value) const {
    return static_cast<int64_t>(import.graph[value].type.shape.size());
  }
  // Null: the elements are what their dtype says.
  [[nodiscard]] const Format* format(ValueId value) const;
  ValueId with_format(ValueId value, const Format* format);  // the value itself
  [[nodiscard]] bool wants(size_t i) const { return i < wanted.size() && wanted[i]; }

  // Attributes; UserError when of another type, or absent without a fallback.
  [[nodiscard]] const ::onnx::AttributeProto* attribute(std::string_view name) const;
  [[nodiscard]] int64_t integer(std::string_view name, std::optional<int64_t> fallback = {}) const;
  [[nodiscard]] double number(std::string_view name, std::optional<double> fallback = {}) const;
  [[nodiscard]] std::string text(std::string_view name, std::optional<std::string> fallback = {}) const;  // printable
  [[nodiscard]] std::string bytes(std::string_view name, const std::string& fallback) const;  // as they stand there
  [[nodiscard]] std::vector<int64_t> integers(std::string_view name,
                                              std::optional<std::vector<int64_t>> fallback = {}) const;
  [[nodiscard]] bool flag(std::string_view name, bool fallback) const;  // 0 or 1

  // Constants. Null or nullopt when the value is only known at run time.
  [[nodiscard]] const Tensor* known(ValueId value) const { return import.graph[value].data.get(); }
  [[nodiscard]] std::optional<std::vector<double>> known_numbers(ValueId value);
  // A value that the result's type follows from, its role `what`; ValuesNeeded when only known at run time.
  [[nodiscard]] const Tensor& demand(ValueId value, std::string_view what) const;
  // Refuses the node as long as the value is only known at run time: ValuesNeeded with the message and the flags that
  // would help.
  [[noreturn]] void refuse_unknown(ValueId value, std::string message) const;
  // The number of input i, of any type, likewise; UserError unless it has one element.
  [[nodiscard]] double demand_number(size_t i, std::string_view what);
  // The same of an integer type, exactly; UserError when a float.
  [[nodiscard]] int64_t demand_integer(size_t i, std::string_view what);
  // The integers of input i likewise; UserError when not integer.
  [[nodiscard]] std::vector<int64_t> known_integers(size_t i, std::string_view what) const;
  // The integers given as attribute by old opsets and as input `i` by new ones; nullopt when given neither way.
  [[nodiscard]] std::optional<std::vector<int64_t>> integers_or_input(std::string_view attr, size_t i) const;

  // Building. A node of constants is folded at once; UserError when the result is too large.
  ValueId emit(std::string_view op, Values operands, Attrs attrs = {});
  ValueId constant(Tensor tensor);
  ValueId scalar(DType dtype, double value);
  ValueId like(ValueId value, double number) { return scalar(dtype(value), number); }
  ValueId cast(ValueId value, DType to);                 // the value itself when nothing changes
  ValueId reshape(ValueId value, const Extents& shape);  // likewise
  ValueId transpose(ValueId value, const std::vector<int64_t>& perm);
  ValueId expand(ValueId value, const Extents& shape);
  void spend(DType dtype, int64_t count) const { from_onnx::spend(import, dtype, count); }
};

// `axis` from −rank … rank−1 to 0 … rank−1.
[[nodiscard]] int64_t normal_axis(int64_t axis, int64_t rank);
// The same for all, sorted; UserError when one stands twice.
[[nodiscard]] std::vector<int64_t> normal_axes(std::span<const int64_t> axes, int64_t rank);
// The whole of a shape from `begin` to `end` as one extent.
[[nodiscard]] int64_t product(std::span<const int64_t> extents);

}  // namespace oc::from_onnx
