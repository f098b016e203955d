#include "frontends/onnx/call.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/import.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"
#include "frontends/onnx/texts.h"
#include "graph/fold.h"

namespace oc::from_onnx {
namespace {

using ::onnx::AttributeProto;

// Old files leave the type out and only fill the field.
AttributeProto::AttributeType type_of(const AttributeProto& attr) {
  if (attr.type() != AttributeProto::UNDEFINED) return attr.type();
  if (attr.has_f()) return AttributeProto::FLOAT;
  if (attr.has_i()) return AttributeProto::INT;
  if (attr.has_s()) return AttributeProto::STRING;
  if (attr.ints_size() > 0) return AttributeProto::INTS;
  if (attr.floats_size() > 0) return AttributeProto::FLOATS;
  return AttributeProto::UNDEFINED;
}

// The attribute if there is one, of the type asked for.
const AttributeProto* typed(const Call& n, std::string_view name, AttributeProto::AttributeType type,
                            std::string_view word, bool required) {
  const AttributeProto* attr = n.attribute(name);
  if (attr == nullptr) {
    if (required) user_error("lacks the attribute '{}'", name);
    return nullptr;
  }
  if (!attr->ref_attr_name().empty())
    user_error("attribute '{}' refers to a function's attribute outside a function", name);
  if (type_of(*attr) != type) user_error("attribute '{}' must be {}", name, word);
  return attr;
}

void check_count(const Import& import) {
  if (import.graph.values.size() >= import.most_values)
    user_error("the model makes more than {} values", import.most_values);
}

void check_numbers(const Call& n, ValueId value) {
  if (is_text(n, value)) user_error("takes strings, must be numbers");
}

bool is_integer(DType dtype) {
  return !dtype_is_float(dtype);
}

// The names of the model's inputs that a value is computed from.
std::vector<std::string> inputs_behind(const Graph& graph, ValueId value) {
  std::vector<std::string> names;
  std::vector<bool> seen(graph.values.size());
  std::vector<ValueId> open{value};
  while (!open.empty()) {
    const ValueId at = open.back();
    open.pop_back();
    if (!at.valid() || seen[at.index]) continue;
    seen[at.index] = true;
    if (graph[at].kind == ValueKind::input) names.push_back(graph[at].name);
    if (graph[at].producer.valid())
      open.insert(open.end(), graph[graph[at].producer].inputs.begin(), graph[graph[at].producer].inputs.end());
  }
  return names;
}

}  // namespace

ValueId take_constant(Import& import, ::onnx::TensorProto& proto, const std::string& name) {
  if (const auto found = import.taken.find(&proto); found != import.taken.end()) return found->second;
  const auto take_numbers = [&] {
    std::shared_ptr<const Tensor>& contents = import.contents[&proto];
    if (contents == nullptr) contents = take_tensor(proto, import.folder);
    return import.graph.add_constant(name, contents);
  };
  const bool texts = proto.data_type() == ::onnx::TensorProto::STRING;
  const ValueId value = texts ? take_texts(import, proto, name) : take_numbers();
  import.taken.emplace(&proto, value);
  if (const Format* format = find_format(proto.data_type())) import.formats[value.index] = format;
  return value;
}

ValueId add_list(Import& import, List list) {
  const auto format = [&](ValueId value) {
    const auto found = import.formats.find(value.index);
    return found == import.formats.end() ? nullptr : found->second;
  };
  for (ValueId element : list.elements) {
    if (import.lists.contains(element.index)) user_error("an element of a sequence must be a tensor");
    const ValueId first = list.elements[0];
    if (import.graph[element].type.dtype != import.graph[first].type.dtype || format(element) != format(first))
      user_error("the elements of a sequence must be of one type");
  }
  import.fold_budget_bytes -= static_cast<int64_t>(list.elements.size() * sizeof(ValueId));
  if (import.fold_budget_bytes < 0) user_error("its sequences take more bytes than are left for folding");
  const ValueId value = import.graph.add_weight(make_type(DType::u8, {0}));
  import.lists.emplace(value.index, std::move(list));
  return value;
}

ValueId Call::any(size_t i) const {
  if (!has(i)) user_error("lacks its input {}", i);
  return inputs[i];
}

const List* Call::list(ValueId value) const {
  const auto found = import.lists.find(value.index);
  return found == import.lists.end() ? nullptr : &found->second;
}

ValueId Call::in(size_t i) const {
  if (const List* other = list(any(i)))
    user_error("its input {} is {}, must be a tensor", i,
               other->nothing ? "an optional without a value" : "a sequence");
  return inputs[i];
}

const Values& Call::elements(size_t i) const {
  const List* found = list(any(i));
  if (found == nullptr || found->nothing)
    user_error("its input {} is {}, must be a sequence", i,
               found == nullptr ? "a tensor" : "an optional without a value");
  return found->elements;
}

const Format* Call::format(ValueId value) const {
  const auto found = import.formats.find(value.index);
  return found == import.formats.end() ? nullptr : found->second;
}

ValueId Call::with_format(ValueId value, const Format* format) {
  if (format != nullptr) import.formats[value.index] = format;
  return value;
}

const AttributeProto* Call::attribute(std::string_view attr_name) const {
  for (const AttributeProto& attr : proto.attribute())
    if (attr.name() == attr_name) return &attr;
  return nullptr;
}

int64_t Call::integer(std::string_view attr_name, std::optional<int64_t> fallback) const {
  const auto* attr = typed(*this, attr_name, AttributeProto::INT, "an integer", !fallback);
  return attr != nullptr ? attr->i() : *fallback;
}

double Call::number(std::string_view attr_name, std::optional<double> fallback) const {
  const auto* attr = typed(*this, attr_name, AttributeProto::FLOAT, "a number", !fallback);
  return attr != nullptr ? static_cast<double>(attr->f()) : *fallback;
}

std::string Call::text(std::string_view attr_name, std::optional<std::string> fallback) const {
  const auto* attr = typed(*this, attr_name, AttributeProto::STRING, "a text", !fallback);
  return attr != nullptr ? printable(attr->s()) : *fallback;
}

std::string Call::bytes(std::string_view attr_name, const std::string& fallback) const {
  const auto* attr = typed(*this, attr_name, AttributeProto::STRING, "a text", false);
  return attr != nullptr ? attr->s() : fallback;
}

std::vector<int64_t> Call::integers(std::string_view attr_name, std::optional<std::vector<int64_t>> fallback) const {
  const auto* attr = attribute(attr_name);
  if (attr != nullptr && attr->type() == AttributeProto::UNDEFINED && attr->ints_size() == 0) return {};
  attr = typed(*this, attr_name, AttributeProto::INTS, "a list of integers", !fallback);
  if (attr == nullptr) return *fallback;
  return {attr->ints().begin(), attr->ints().end()};
}

bool Call::flag(std::string_view attr_name, bool fallback) const {
  const int64_t value = integer(attr_name, fallback ? 1 : 0);
  if (value != 0 && value != 1) user_error("attribute '{}' is {}, must be 0 or 1", attr_name, value);
  return value == 1;
}

std::optional<std::vector<double>> Call::known_numbers(ValueId value) {
  check_numbers(*this, value);
  if (known(value) == nullptr) return std::nullopt;
  const Tensor* tensor = known(cast(value, DType::f64));
  if (tensor == nullptr) return std::nullopt;
  const auto numbers = tensor->as<double>();
  return std::vector<double>(numbers.begin(), numbers.end());
}

const Tensor& Call::demand(ValueId value, std::string_view what) const {
  if (known(value) != nullptr) return *known(value);
  refuse_unknown(value, fmt::format("its {} ('{}') depend on the data; only values that follow from the shapes are "
                                    "supported",
                                    what, import.graph[value].name));
}

void Call::refuse_unknown(ValueId value, std::string message) const {
  std::vector<std::string> names = inputs_behind(import.graph, value);
  if (names.empty()) throw UserError(message);
  for (const std::string& input : names)
    message += fmt::format("{}--freeze {}=…", &input == names.data() ? ", or those given with " : " ", input);
  throw ValuesNeeded(message, std::move(names));
}

double Call::demand_number(size_t i, std::string_view what) {
  static_cast<void>(demand(in(i), what));
  const auto numbers = known_numbers(in(i));
  if (!numbers || numbers->size() != 1) user_error("its {} (input {}) must be one number", what, i);
  return numbers->at(0);
}

int64_t Call::demand_integer(size_t i, std::string_view what) {
  check_numbers(*this, in(i));
  static_cast<void>(demand(in(i), what));
  if (dtype_is_float(dtype(in(i))))
    user_error("its {} (input {}) is {}, must be an integer", what, i, dtype_name(dtype(in(i))));
  const Tensor* tensor = known(cast(in(i), DType::i64));
  if (tensor == nullptr || element_count(tensor->shape) != 1)
    user_error("its {} (input {}) must be one number", what, i);
  return tensor->as<int64_t>()[0];
}

std::vector<int64_t> Call::known_integers(size_t i, std::string_view what) const {
  const Tensor& tensor = demand(in(i), what);
  if (tensor.dtype == DType::i64) return {tensor.as<int64_t>().begin(), tensor.as<int64_t>().end()};
  if (tensor.dtype == DType::i32) return {tensor.as<int32_t>().begin(), tensor.as<int32_t>().end()};
  user_error("its {} (input {}) are {}, must be i32 or i64", what, i, dtype_name(tensor.dtype));
}

std::optional<std::vector<int64_t>> Call::integers_or_input(std::string_view attr, size_t i) const {
  if (has(i)) return known_integers(i, attr);
  if (attribute(attr) != nullptr) return integers(attr);
  return std::nullopt;
}

ValueId Call::emit(std::string_view op, Values operands, Attrs attrs) {
  Graph& graph = import.graph;
  const auto is_known = [&](ValueId value) { return !value.valid() || graph[value].data != nullptr; };
  if (std::ranges::all_of(operands, is_known)) {
    const Node node{std::string(op), operands, {}, attrs, name};
    int64_t budget = import.fold_budget_bytes;
    auto results = evaluate_node(graph, node, import.ops, budget);
    if (budget < 0)
      user_error(
          "folding it takes {} bytes more than the {} that are left; give a larger budget if the model is trusted",
          -budget, import.fold_budget_bytes);
    import.fold_budget_bytes = budget;
    if (results) return constant(std::move(results->at(0)));
  }
  check_count(import);
  const ValueId result = add_op(graph, import.ops, std::string(op), std::move(operands), std::move(attrs), name);
  if (const int64_t bytes = graph[result].type.bytes(); bytes > kMaxTensorBytes)
    user_error("its result has {} bytes, more than a tensor may have", bytes);
  return result;
}

ValueId Call::constant(Tensor tensor) {
  check_count(import);
  return import.graph.add_constant({}, std::make_shared<const Tensor>(std::move(tensor)));
}

ValueId Call::scalar(DType to, double value) {
  Tensor tensor = make_tensor(is_integer(to) ? DType::i64 : to == DType::f64 ? DType::f64 : DType::f32, {});
  if (tensor.dtype == DType::i64) {
    constexpr double kBound = 0x1p63;
    if (!(value >= -kBound && value < kBound)) user_error("{} is no value of its type, {}", value, dtype_name(to));
    tensor.as<int64_t>()[0] = static_cast<int64_t>(value);
  }
  if (tensor.dtype == DType::f64) tensor.as<double>()[0] = value;
  if (tensor.dtype == DType::f32) tensor.as<float>()[0] = static_cast<float>(value);
  return cast(constant(std::move(tensor)), to);
}

ValueId Call::cast(ValueId value, DType to) {
  if (dtype(value) == to) return value;
  return emit("cast", {value}, {{"to", std::string(dtype_name(to))}});
}

ValueId Call::reshape(ValueId value, const Extents& to) {
  if (shape(value) == to) return value;
  return emit("reshape", {value}, {{"shape", to}});
}

ValueId Call::transpose(ValueId value, const std::vector<int64_t>& perm) {
  if (std::ranges::is_sorted(perm)) return value;
  return emit("transpose", {value}, {{"perm", perm}});
}

ValueId Call::expand(ValueId value, const Extents& to) {
  if (shape(value) == to) return value;
  return emit("expand", {value}, {{"shape", to}});
}

void spend(Import& import, DType type, int64_t count) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<int64_t>(dtype_size(type)), &bytes) || bytes > import.fold_budget_bytes)
    user_error(
        "makes a constant of {} elements, more than the {} bytes that are left for folding; give a larger budget if "
        "the model is trusted",
        count, import.fold_budget_bytes);
  import.fold_budget_bytes -= bytes;
}

int64_t normal_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) user_error("axis {} is out of range for a tensor of rank {}", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> normal_axes(std::span<const int64_t> axes, int64_t rank) {
  std::vector<int64_t> result;
  for (int64_t axis : axes) result.push_back(normal_axis(axis, rank));
  std::ranges::sort(result);
  if (const auto twice = std::ranges::adjacent_find(result); twice != result.end())
    user_error("axis {} stands twice in its axes", *twice);
  return result;
}

int64_t product(std::span<const int64_t> extents) {
  return element_count(extents);
}

}  // namespace oc::from_onnx
