// The loop vocabulary shared by ops (which name their axes) and schedules (which speak of them). No Halide here.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace oc {

// Keyed by loop structure: each has one schedule language and space.
enum class Family : uint8_t { elementwise, reduction, contraction, window, movement, attention };
[[nodiscard]] std::string_view family_name(Family family);

enum class Role : uint8_t {
  batch,
  m,
  n,
  channel,
  spatial,
  k,      // what a product or a sum runs over
  window  // taps of a convolution or pooling
};
// Is the result a sum, or another reduction, over such an axis?
[[nodiscard]] inline bool sums_over(Role role) {
  return role == Role::k || role == Role::window;
}

// A loop of the anchor: its output dims in shape order first, then the reduced axes in the order of the RDom,
// where an axis may be two: blocks and the places in a block.
struct Axis {
  std::string name;  // "m", "n", "k"; "n", "c", "y", "x", "ci", "ky", "kx"; for others "d0", "d1" … and "r0" …
  Role role = Role::spatial;
  int64_t extent = 1;
  bool varies = false;  // the extent is an example: another is known when the kernel runs
  bool operator==(const Axis&) const = default;
};

// A schedule's numbers by name, "transpose.columns" → 16; words as their index in the family's grammar.
using KnobValues = std::map<std::string, int64_t, std::less<>>;

struct OpInfo;  // opencompiler/dsl.h
using OpTable = std::map<std::string, const OpInfo*, std::less<>>;

}  // namespace oc
