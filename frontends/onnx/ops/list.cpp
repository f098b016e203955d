// Sequences and optionals: lists that are known while importing, their elements tensors of the graph.
#include <algorithm>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

// Input i, a position among `count`; a negative one counts from the end.
int64_t position(Call& n, size_t i, int64_t count) {
  const int64_t given = n.demand_integer(i, "position");
  if (given < -count || given >= count) user_error("its position {} is out of range for {} places", given, count);
  return given < 0 ? given + count : given;
}

// A scalar is the size of all but the last, which may be smaller.
std::vector<int64_t> sizes_of_parts(Call& n, int64_t extent) {
  std::vector<int64_t> sizes = n.known_integers(1, "sizes");
  if (n.rank(n.in(1)) > 0) return sizes;
  const int64_t size = sizes[0];
  if (size < 1) user_error("its parts cannot have the size {}", size);
  sizes.assign(static_cast<size_t>(extent / size), size);
  if (extent % size != 0) sizes.push_back(extent % size);
  return sizes;
}

}  // namespace

Values sequence_construct(Call& n) {
  List list;
  for (size_t i = 0; i < n.inputs.size(); ++i) list.elements.push_back(n.in(i));
  if (list.elements.empty()) user_error("has no inputs");
  return {add_list(n.import, std::move(list))};
}

Values sequence_empty(Call& n) {
  return {add_list(n.import, {})};
}

Values sequence_insert(Call& n) {
  Values elements = n.elements(0);
  const int64_t count = std::ssize(elements);
  // One more place than there are elements, −1 being the last element's, not the end.
  const int64_t given = n.has(2) ? n.demand_integer(2, "position") : count;
  if (given < -count || given > count) user_error("its position {} is out of range for {} elements", given, count);
  elements.insert(elements.begin() + (given < 0 ? given + count : given), n.in(1));
  return {add_list(n.import, {std::move(elements)})};
}

Values sequence_erase(Call& n) {
  Values elements = n.elements(0);
  if (elements.empty()) user_error("an empty sequence has nothing to erase");
  elements.erase(elements.begin() + (n.has(1) ? position(n, 1, std::ssize(elements)) : std::ssize(elements) - 1));
  return {add_list(n.import, {std::move(elements)})};
}

Values sequence_at(Call& n) {
  const Values& elements = n.elements(0);
  return {elements[static_cast<size_t>(position(n, 1, std::ssize(elements)))]};
}

Values sequence_length(Call& n) {
  const int64_t count = std::ssize(n.elements(0));
  return {n.constant(int64_tensor({&count, 1}, {}))};
}

Values concat_from_sequence(Call& n) {
  const Values& elements = n.elements(0);
  if (elements.empty()) user_error("an empty sequence has no type to concatenate");
  const bool fresh = n.flag("new_axis", false);
  const int64_t axis = normal_axis(n.integer("axis"), n.rank(elements[0]) + (fresh ? 1 : 0));
  return {fresh ? stacked(n, elements, axis) : joined(n, elements, axis)};
}

// Without sizes, each part is one element wide, and that dim goes unless keepdims.
Values split_to_sequence(Call& n) {
  const ValueId x = n.in(0);
  const int64_t axis = normal_axis(n.integer("axis", 0), n.rank(x));
  const int64_t extent = n.shape(x)[static_cast<size_t>(axis)];
  n.spend(DType::i64, extent);  // there may be as many parts
  List list;
  if (!n.has(1) && !n.flag("keepdims", true)) {
    for (int64_t i = 0; i < extent; ++i) list.elements.push_back(item(n, x, axis, i));
    return {add_list(n.import, std::move(list))};
  }
  const std::vector<int64_t> sizes =
      n.has(1) ? sizes_of_parts(n, extent) : std::vector<int64_t>(static_cast<size_t>(extent), 1);
  int64_t start = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > extent - start)
      user_error("its sizes do not add up to the {} elements of dim {}", extent, axis);
    list.elements.push_back(n.with_format(part(n, x, axis, start, size), n.format(x)));
    start += size;
  }
  if (start != extent) user_error("its sizes leave {} of the {} elements of dim {} over", extent - start, extent, axis);
  return {add_list(n.import, std::move(list))};
}

Values optional_of(Call& n) {
  return {n.has(0) ? n.any(0) : add_list(n.import, {.elements = {}, .nothing = true})};
}

Values optional_has_element(Call& n) {
  const List* list = n.has(0) ? n.list(n.any(0)) : nullptr;
  return {n.scalar(DType::boolean, n.has(0) && (list == nullptr || !list->nothing) ? 1 : 0)};
}

Values optional_get_element(Call& n) {
  const ValueId x = n.any(0);
  if (const List* list = n.list(x); list != nullptr && list->nothing)
    user_error("its input is an optional without a value");
  return {x};
}

}  // namespace oc::from_onnx
