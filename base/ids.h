// Typed indices, so that a NodeId cannot be passed where a ValueId is meant.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace oc {

template <class Tag>
struct Id {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t index = kNone;

  Id() = default;
  explicit constexpr Id(size_t i) : index(static_cast<uint32_t>(i)) {}
  [[nodiscard]] bool valid() const { return index != kNone; }
  auto operator<=>(const Id&) const = default;
};

}  // namespace oc

template <class Tag>
struct std::hash<oc::Id<Tag>> {
  size_t operator()(oc::Id<Tag> id) const { return id.index; }
};
