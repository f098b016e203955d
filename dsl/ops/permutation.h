// Permutations of dims: dim i of the result is dim perm[i] of the tensor.
#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "dsl/ops/shape_rules.h"

namespace oc {

// `perm` itself; UserError in the name of `op` unless it names each of `rank` dims once.
[[nodiscard]] inline Extents permutation(std::string_view op, Extents perm, size_t rank) {
  std::vector<bool> seen(rank);
  if (perm.size() != rank) user_error("{}: perm has {} entries for rank {}", op, perm.size(), rank);
  for (int64_t p : perm) {
    check_axis(op, p, rank);
    if (seen[static_cast<size_t>(p)]) user_error("{}: perm names dim {} twice", op, p);
    seen[static_cast<size_t>(p)] = true;
  }
  return perm;
}

// The tensor's extents (or index) as the result's.
template <class T>
[[nodiscard]] std::vector<T> permuted(const std::vector<T>& of_tensor, const Extents& perm) {
  std::vector<T> result;
  for (int64_t p : perm) result.push_back(of_tensor[static_cast<size_t>(p)]);
  return result;
}

// The result's index as the tensor's.
template <class T>
[[nodiscard]] std::vector<T> unpermuted(const std::vector<T>& of_result, const Extents& perm) {
  std::vector<T> result(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) result[static_cast<size_t>(perm[i])] = of_result[i];
  return result;
}

}  // namespace oc
