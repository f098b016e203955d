// How a schedule wants a constant: first transformed, then laid out. Done once, at compile time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/layout.h"
#include "base/tensor.h"
#include "graph/graph.h"

namespace oc {

struct Packing {
  std::string transform;  // "" = none, else a Winograd form's name (winograd.h)
  Layout layout;          // of the transformed tensor
  bool operator==(const Packing&) const = default;
};

// Per input of a kernel; nullopt, or an index past the end: as the workload says.
using Packings = std::vector<std::optional<Packing>>;

// The type of a tensor of type `type` once packed.
[[nodiscard]] Type packed_type(const Type& type, const Packing& packing);
[[nodiscard]] Tensor pack_tensor(const Tensor& tensor, const Packing& packing);
// All inputs of a kernel, each packed as it should be.
[[nodiscard]] std::vector<Tensor> pack_tensors(const std::vector<Tensor>& inputs, const Packings& packings);
// "F(4,3/1)xF(4,3/1) cabAB16b16a": equal texts for equal packings of tensors of one rank.
[[nodiscard]] std::string print_packing(const Packing& packing, size_t rank);

// packings[i], null when input i stays as it is.
[[nodiscard]] const Packing* packing_of(const Packings& packings, size_t i);

}  // namespace oc
