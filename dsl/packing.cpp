#include "dsl/packing.h"

#include "base/error.h"
#include "dsl/winograd.h"

namespace oc {
namespace {

std::optional<Winograd> form_of(const Packing& packing) {
  if (packing.transform.empty()) return std::nullopt;
  const std::optional<Winograd> form = find_winograd(packing.transform);
  if (!form) internal_error("no weight transform '{}'", packing.transform);
  return form;
}

}  // namespace

Type packed_type(const Type& type, const Packing& packing) {
  Type packed = type;
  packed.layout = packing.layout;
  if (const auto form = form_of(packing)) packed.shape = {type.shape[0], type.shape[1], Dim(form->frequencies())};
  return packed;
}

Tensor pack_tensor(const Tensor& tensor, const Packing& packing) {
  if (const auto form = form_of(packing))
    return relayout(transform_weights(relayout(tensor, {}), *form), packing.layout);
  return relayout(tensor, packing.layout);
}

std::vector<Tensor> pack_tensors(const std::vector<Tensor>& inputs, const Packings& packings) {
  std::vector<Tensor> result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Packing* packing = packing_of(packings, i);
    result.push_back(packing != nullptr ? pack_tensor(inputs[i], *packing) : inputs[i]);
  }
  return result;
}

std::string print_packing(const Packing& packing, size_t rank) {
  const std::string tag = layout_tag(packing.layout, form_of(packing) ? 3 : rank);
  return packing.transform.empty() ? tag : packing.transform + " " + tag;
}

const Packing* packing_of(const Packings& packings, size_t i) {
  return i < packings.size() && packings[i] ? &*packings[i] : nullptr;
}

}  // namespace oc
