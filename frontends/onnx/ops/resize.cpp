// Resize and its predecessor Upsample.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/call.h"

namespace oc::from_onnx {
namespace {

struct Target {
  std::vector<double> scales;  // full rank
  Extents sizes;
};

// Output extent ⌊in · scale⌋, in float as runtimes compute it.
int64_t scaled_extent(int64_t extent, double scale) {
  if (!(scale > 0) || scale > 1e6) user_error("a scale of {} is out of range", scale);
  const double out = std::floor(static_cast<double>(static_cast<float>(extent) * static_cast<float>(scale)));
  if (out > 1e12) user_error("an output extent of {} is out of range", out);
  return static_cast<int64_t>(out);
}

Target from_scales(const Extents& in, const std::vector<int64_t>& axes, const std::vector<double>& scales) {
  if (scales.size() != axes.size()) user_error("its scales have {} values, needs {}", scales.size(), axes.size());
  Target target{std::vector<double>(in.size(), 1.0), in};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(axes[i]);
    target.scales[d] = scales[i];
    target.sizes[d] = scaled_extent(in[d], scales[i]);
  }
  return target;
}

// keep_aspect_ratio_policy: one scale for all axes, the smallest or largest of those the sizes ask for.
Target from_sizes(const Extents& in, const std::vector<int64_t>& axes, const std::vector<int64_t>& sizes,
                  const std::string& policy) {
  if (sizes.size() != axes.size()) user_error("its sizes have {} values, needs {}", sizes.size(), axes.size());
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    user_error("keep_aspect_ratio_policy '{}' is unknown", policy);
  Target target{std::vector<double>(in.size(), 1.0), in};
  std::vector<double> wanted;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t extent = in[static_cast<size_t>(axes[i])];
    if (sizes[i] < 0 || (extent == 0 && sizes[i] > 0)) user_error("{} elements cannot become {}", extent, sizes[i]);
    wanted.push_back(extent == 0 ? 1.0 : static_cast<double>(sizes[i]) / static_cast<double>(extent));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(axes[i]);
    const double scale = policy == "stretch"      ? wanted[i]
                         : policy == "not_larger" ? std::ranges::min(wanted)
                                                  : std::ranges::max(wanted);
    target.scales[d] = scale;
    target.sizes[d] =
        policy == "stretch" ? sizes[i] : static_cast<int64_t>(std::floor(scale * static_cast<double>(in[d]) + 0.5));
  }
  return target;
}

ValueId emit_resize(Call& n, const Target& target, const std::string& mode, const std::string& coordinate,
                    const std::string& nearest) {
  if (target.sizes == n.shape(n.in(0)) && std::ranges::all_of(target.scales, [](double s) { return s == 1; }))
    return n.in(0);
  return n.emit("resize", {n.in(0)},
                {{"sizes", target.sizes},
                 {"scales", target.scales},
                 {"mode", mode},
                 {"coordinate", coordinate},
                 {"nearest", nearest}});
}

std::string checked(std::string value, std::string_view attr, std::initializer_list<std::string_view> known) {
  if (std::ranges::find(known, value) != known.end()) return value;
  std::string list;
  for (std::string_view k : known) list += fmt::format("{}{}", list.empty() ? "" : ", ", k);
  user_error("{} '{}' is not supported; these are: {}", attr, value, list);
}

std::vector<int64_t> all_axes(size_t rank) {
  std::vector<int64_t> axes(rank);
  for (size_t d = 0; d < rank; ++d) axes[d] = static_cast<int64_t>(d);
  return axes;
}

std::vector<double> known_scales(Call& n, size_t i) {
  const auto scales = n.known_numbers(n.in(i));
  if (!scales)
    user_error("its scales (input {}) depend on the data; only values that follow from the shapes are supported", i);
  return *scales;
}

// Upsample and Resize-10: pixel i of the output is pixel ⌊i / scale⌋ of the input.
Values resize_by_scales(Call& n, const std::vector<double>& scales) {
  const Extents in = n.shape(n.in(0));
  const std::string mode = n.text("mode", "nearest");
  const Target target = from_scales(in, all_axes(in.size()), scales);
  return {emit_resize(n, target, checked(mode == "bilinear" ? "linear" : mode, "mode", {"nearest", "linear"}),
                      "asymmetric", "floor")};
}

}  // namespace

Values upsample(Call& n) {
  if (n.has(1)) return resize_by_scales(n, known_scales(n, 1));
  const auto* attr = n.attribute("scales");
  if (attr == nullptr) user_error("lacks its scales");
  return resize_by_scales(n, {attr->floats().begin(), attr->floats().end()});
}

Values resize(Call& n) {
  if (n.opset < 11) return resize_by_scales(n, known_scales(n, 1));
  const Extents in = n.shape(n.in(0));
  const std::string mode = checked(n.text("mode", "nearest"), "mode", {"nearest", "linear"});
  const std::string coordinate =
      checked(n.text("coordinate_transformation_mode", "half_pixel"), "coordinate_transformation_mode",
              {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"});
  const std::string nearest = checked(n.text("nearest_mode", "round_prefer_floor"), "nearest_mode",
                                      {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  const std::vector<int64_t> given = n.integers("axes", all_axes(in.size()));
  std::vector<int64_t> axes;
  for (int64_t axis : given) axes.push_back(normal_axis(axis, n.rank(n.in(0))));
  static_cast<void>(normal_axes(given, n.rank(n.in(0))));  // none twice
  // Exporters give an empty tensor for the one of scales and sizes that they do not use.
  const bool has_sizes = n.has(3) && product(n.shape(n.in(3))) > 0,
             has_scales = n.has(2) && product(n.shape(n.in(2))) > 0;
  if (has_sizes == has_scales) user_error("needs either scales or sizes");
  const Target target =
      has_sizes ? from_sizes(in, axes, n.known_integers(3, "sizes"), n.text("keep_aspect_ratio_policy", "stretch"))
                : from_scales(in, axes, known_scales(n, 2));
  if (n.flag("antialias", false) && std::ranges::any_of(target.scales, [](double s) { return s < 1; }))
    user_error("antialias is not supported");
  return {emit_resize(n, target, mode, coordinate, nearest)};
}

}  // namespace oc::from_onnx
