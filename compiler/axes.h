// The shapes that one library serves: extents of its inputs that the caller chooses when it runs.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"

namespace oc {

inline constexpr int64_t kMostShapes = 4096;

class ShapeRanges {
 public:
  // low, low + step, … high; the dims that it is, by input.
  struct Axis {
    std::string name;
    int64_t low = 0, high = 0, step = 1;
    std::vector<std::pair<std::string, size_t>> places;

    [[nodiscard]] int64_t count() const { return (high - low) / step + 1; }
  };

  // `texts` by input: dims with x between them, each an extent, a range [1..8] or [32..960:32], or a range with a name,
  // [n:1..8], which [n] stands for elsewhere. A range takes the model's name for the dim where it has one. Dims of one
  // name are one axis; inputs without a text get the extents of the dims that have the model's names, too. UserError
  // on other texts, names without a range, ranges that differ, or more than kMostShapes shapes.
  ShapeRanges(const std::map<std::string, std::string>& texts, const std::filesystem::path& model);

  [[nodiscard]] const std::vector<Axis>& axes() const { return axes_; }
  [[nodiscard]] int64_t count() const;
  // Of all inputs that something is known of: choice 0 … count() − 1, the last axis changing fastest.
  [[nodiscard]] std::map<std::string, Extents> shapes(int64_t choice) const;
  // A choice near the last that differs from it in each axis, in no two alike where there are steps enough: together
  // they say which extents of a kernel vary, and which vary alike.
  [[nodiscard]] int64_t unlike_the_largest() const;

 private:
  void add(const std::string& input, size_t dim, std::optional<int64_t> extent, const std::string& name);

  std::map<std::string, Extents> shapes_;  // 0 where an axis stands
  std::vector<Axis> axes_;
};

// Is it a shape whose extents are not all given?
[[nodiscard]] inline bool has_ranges(std::string_view text) {
  return text.find_first_of("[?") != std::string_view::npos;
}

}  // namespace oc
