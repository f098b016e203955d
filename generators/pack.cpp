#include "generators/pack.h"

#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "generators/alias.h"

namespace oc {
namespace {

// The constant at the end of a chain of reshapes; an invalid id for activations.
ValueId constant_root(const Graph& graph, ValueId value) {
  while (graph[value].kind == ValueKind::node && graph[graph[value].producer].op == "reshape")
    value = graph[graph[value].producer].inputs[0];
  return graph[value].kind == ValueKind::constant ? value : ValueId();
}

// Contents one after the other; one that begins an earlier one stands there.
class Blob {
 public:
  [[nodiscard]] std::optional<int64_t> find(std::string_view bytes) const {
    const auto alike = by_beginning_.find(beginning(bytes));
    if (alike == by_beginning_.end()) return {};
    for (const int64_t offset : alike->second)
      if (std::string_view(bytes_).substr(static_cast<size_t>(offset)).starts_with(bytes)) return offset;
    return {};
  }
  int64_t append(std::string_view bytes) {
    if (const auto known = find(bytes)) return *known;
    const int64_t offset = size();
    bytes_ += bytes;
    align(kBufferAlignment);
    by_beginning_[beginning(bytes)].push_back(offset);
    return offset;
  }

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  void align(int64_t alignment) {
    bytes_.resize(static_cast<size_t>((size() + alignment - 1) / alignment * alignment));
  }
  std::string take() { return std::move(bytes_); }

 private:
  static std::string beginning(std::string_view bytes) { return std::string(bytes.substr(0, 256)); }
  std::string bytes_;
  std::unordered_map<std::string, std::vector<int64_t>> by_beginning_;
};

}  // namespace

struct Packer::Impl {
  using Spot = WeightSpots::Spot;
  using Form = std::tuple<Extents, std::string, Place>;  // as it is read, as it is packed, where
  Blob weights, rows, own;
  // Weak: tensors that a graph alone has go with it, and no other is taken for one that is gone.
  std::map<std::weak_ptr<const Tensor>, std::map<Form, Spot>, std::owner_less<>> placed;

  Blob& blob(Place place) { return place == Place::own ? own : place == Place::rows ? rows : weights; }

  // Where the value is, as `packing` wants it (as it is, if null).
  Spot place(const Graph& graph, ValueId value, const Packing* packing, Place where) {
    const ValueId root = constant_root(graph, value);
    if (!root.valid()) return {};
    const Type& type = graph[value].type;
    const Form form(type.extents(), packing != nullptr ? print_packing(*packing, type.shape.size()) : "", where);
    std::map<Form, Spot>& forms = placed[graph[root].data];
    if (const auto known = forms.find(form); known != forms.end()) return known->second;
    std::optional<Tensor> tensor = constant_contents(graph, value);
    if (packing != nullptr) tensor = pack_tensor(*tensor, *packing);
    const std::string_view bytes(reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size());
    if (where == Place::rows)
      if (const auto whole = weights.find(bytes)) return forms[form] = {Place::weights, *whole};
    return forms[form] = {where, blob(where).append(bytes)};
  }
};

Packer::Packer() : impl_(std::make_unique<Impl>()) {}
Packer::~Packer() = default;

std::optional<Tensor> constant_contents(const Graph& graph, ValueId value) {
  const ValueId root = constant_root(graph, value);
  if (!root.valid()) return std::nullopt;
  if (graph[root].data == nullptr) internal_error("constant '{}' has no data to pack", graph[root].name);
  Tensor tensor = *graph[root].data;
  if (root != value) tensor.shape = graph[value].type.extents();
  return tensor;
}

WeightSpots Packer::pack(const Graph& graph, std::span<const GroupBinding> groups) {
  WeightSpots spots{.groups = std::vector<std::vector<WeightSpots::Spot>>(groups.size())};
  const auto place_groups = [&](bool reads_part) {
    for (size_t g = 0; g < groups.size(); ++g) {
      const GroupBinding& group = groups[g];
      if (group.reads_part != reads_part) continue;
      for (size_t i = 0; i < group.inputs.size(); ++i) {
        const bool own = !group.varying.empty() && group.varying[i];
        const Place where = own ? Place::own : reads_part ? Place::rows : Place::weights;
        spots.groups[g].push_back(impl_->place(graph, group.inputs[i], packing_of(group.packings, i), where));
      }
    }
  };
  place_groups(false);
  for (const ValueId output : graph.outputs)
    if (const auto spot = impl_->place(graph, output, nullptr, Place::weights); spot.offset >= 0)
      spots.outputs[output] = spot;
  place_groups(true);  // what is read whole, too, need not stand among the rows
  return spots;
}

PackedWeights Packer::take() {
  if (impl_->rows.size() > 0) impl_->weights.align(kMappedAlignment);
  PackedWeights packed{.own = impl_->own.take(), .blob = impl_->weights.take()};
  packed.whole = static_cast<int64_t>(packed.blob.size());
  packed.blob += impl_->rows.take();
  return packed;
}

}  // namespace oc
