// What two workloads must share for a measurement of one to say something about the other: the anchor's loops. What is
// computed around them (the epilogue) is left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/kernel.h"

namespace oc {

struct Anchor {
  // The op, its attributes, the taps of its window and, of its tensors, dtype, layout, where they come from (weight,
  // input, made in the group) and which extents are 1. Left out: all other extents, and attributes that are no whole
  // numbers or words, which are computed with. A group for every channel is that, whatever their number.
  std::string kind;
  Extents extents;               // of Kernel::axes
  std::vector<Extents> tensors;  // of operands and result
};

// nullopt for chains of elementwise ops, which have none.
[[nodiscard]] std::optional<Anchor> anchor_of(const Kernel& kernel, const OpTable& ops);

// Σ |log2 of the extents' ratio| over the axes, in thousandths; the kinds are equal.
[[nodiscard]] int64_t distance(const Anchor& a, const Anchor& b);

// Of every node in the text of a workload its op and the outline of its type, so that texts without an anchor of a kind
// are found without being parsed: of equal kinds the outlines are equal. "f#[1,#,1,#] aBcd#b conv"
[[nodiscard]] std::vector<std::string> node_outlines(std::string_view workload);

}  // namespace oc
