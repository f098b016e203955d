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

class Packer {
 public:
  explicit Packer(const Graph& graph) : graph_(graph) {}

  // Offset of the value as `packing` wants it (as it is, if null), -1 for activations.
  int64_t place(ValueId value, const Packing* packing) {
    const ValueId root = constant_root(graph_, value);
    if (!root.valid()) return -1;
    const auto key =
        std::tuple(value, packing != nullptr ? print_packing(*packing, graph_[value].type.shape.size()) : "");
    if (const auto known = placed_.find(key); known != placed_.end()) return known->second;
    const std::optional<Tensor> tensor = constant_contents(graph_, value);
    const int64_t offset = append(packing != nullptr ? pack_tensor(*tensor, *packing) : *tensor);
    placed_[key] = offset;
    return offset;
  }

  int64_t size() const { return static_cast<int64_t>(blob_.size()); }
  void align(int64_t alignment) { blob_.resize(static_cast<size_t>((size() + alignment - 1) / alignment * alignment)); }
  std::string take_blob() { return std::move(blob_); }

 private:
  int64_t append(const Tensor& tensor) {
    const std::string_view bytes(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    auto& same_hash = by_content_[content_hash(bytes)];
    for (int64_t offset : same_hash)
      if (std::string_view(blob_).substr(offset).starts_with(bytes)) return offset;
    const int64_t offset = size();
    blob_ += bytes;
    align(kBufferAlignment);
    same_hash.push_back(offset);
    return offset;
  }

  const Graph& graph_;
  std::string blob_;
  std::map<std::tuple<ValueId, std::string>, int64_t> placed_;
  std::unordered_map<std::string, std::vector<int64_t>> by_content_;
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
  PackedWeights packed{.offsets = std::vector<std::vector<int64_t>>(groups.size())};
  const auto place_groups = [&](bool reads_part) {
    for (size_t g = 0; g < groups.size(); ++g) {
      const GroupBinding& group = groups[g];
      if (group.reads_part != reads_part) continue;
      for (size_t i = 0; i < group.inputs.size(); ++i)
        packed.offsets[g].push_back(packer.place(group.inputs[i], packing_of(group.packings, i)));
    }
  };
  place_groups(false);
  for (ValueId output : graph.outputs)
    if (const int64_t offset = packer.place(output, nullptr); offset >= 0) packed.outputs[output] = offset;
  if (std::ranges::any_of(groups, &GroupBinding::reads_part)) packer.align(kMappedAlignment);
  packed.whole = packer.size();
  place_groups(true);
  packed.blob = packer.take_blob();
  return packed;
}

}  // namespace oc
