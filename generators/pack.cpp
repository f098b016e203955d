#include "generators/pack.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "generators/alias.h"

namespace oc {
namespace {

// The constant at the end of a chain of reshapes; an invalid id for activations.
ValueId constant_root(const Graph& graph, ValueId value) {
  while (graph[value].kind == ValueKind::node && graph[graph[value].producer].op == "reshape")
    value = graph[graph[value].producer].inputs[0];
  return graph[value].kind == ValueKind::constant ? value : ValueId();
}

// Contents one after the other, equal ones once.
class Blob {
 public:
  int64_t append(std::string_view bytes) {
    auto& same_hash = by_content_[content_hash(bytes)];
    for (const int64_t offset : same_hash)
      if (std::string_view(bytes_).substr(static_cast<size_t>(offset)).starts_with(bytes)) return offset;
    const int64_t offset = size();
    bytes_ += bytes;
    align(kBufferAlignment);
    same_hash.push_back(offset);
    return offset;
  }

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  void align(int64_t alignment) {
    bytes_.resize(static_cast<size_t>((size() + alignment - 1) / alignment * alignment));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  std::unordered_map<std::string, std::vector<int64_t>> by_content_;
};

class Packer {
 public:
  explicit Packer(const Graph& graph) : graph_(graph) {}

  // Where the value is, as `packing` wants it (as it is, if null).
  PackedWeights::Spot place(ValueId value, const Packing* packing, bool in_own = false) {
    const ValueId root = constant_root(graph_, value);
    if (!root.valid()) return {};
    const auto key =
        std::tuple(value, packing != nullptr ? print_packing(*packing, graph_[value].type.shape.size()) : "", in_own);
    if (const auto known = placed_.find(key); known != placed_.end()) return known->second;
    std::optional<Tensor> tensor = constant_contents(graph_, value);
    if (packing != nullptr) tensor = pack_tensor(*tensor, *packing);
    const std::string_view bytes(reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size());
    return placed_[key] = {in_own, (in_own ? own : blob).append(bytes)};
  }

  Blob own, blob;

 private:
  const Graph& graph_;
  std::map<std::tuple<ValueId, std::string, bool>, PackedWeights::Spot> placed_;
};

}  // namespace

std::optional<Tensor> constant_contents(const Graph& graph, ValueId value) {
  const ValueId root = constant_root(graph, value);
  if (!root.valid()) return std::nullopt;
  if (graph[root].data == nullptr) internal_error("constant '{}' has no data to pack", graph[root].name);
  Tensor tensor = *graph[root].data;
  if (root != value) tensor.shape = graph[value].type.extents();
  return tensor;
}

PackedWeights pack(const Graph& graph, std::span<const GroupBinding> groups) {
  Packer packer(graph);
  PackedWeights packed{.spots = std::vector<std::vector<PackedWeights::Spot>>(groups.size())};
  const auto place_groups = [&](bool reads_part) {
    for (size_t g = 0; g < groups.size(); ++g) {
      const GroupBinding& group = groups[g];
      if (group.reads_part != reads_part) continue;
      for (size_t i = 0; i < group.inputs.size(); ++i)
        packed.spots[g].push_back(
            packer.place(group.inputs[i], packing_of(group.packings, i), !group.varying.empty() && group.varying[i]));
    }
  };
  place_groups(false);
  for (ValueId output : graph.outputs)
    if (const auto spot = packer.place(output, nullptr); spot.offset >= 0) packed.outputs[output] = spot;
  if (std::ranges::any_of(groups, &GroupBinding::reads_part)) packer.blob.align(kMappedAlignment);
  packed.whole = packer.blob.size();
  place_groups(true);
  packed.own = packer.own.take();
  packed.blob = packer.blob.take();
  return packed;
}

}  // namespace oc
