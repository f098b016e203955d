// Resize and its predecessor Upsample.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

struct Target {
  std::vector<double> scales;  // full rank
  Extents sizes;
};

constexpr double kMostExtent = 1e12;

int64_t checked_extent(double extent) {
  if (!(extent <= kMostExtent)) user_error("an output extent of {} is out of range", extent);
  return static_cast<int64_t>(extent);
}

// Output extent ⌊in · scale⌋, in float as runtimes compute it.
int64_t scaled_extent(int64_t extent, double scale) {
  if (!(scale > 0) || scale > 1e6) user_error("a scale of {} is out of range", scale);
  return checked_extent(std::floor(static_cast<double>(static_cast<float>(extent) * static_cast<float>(scale))));
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
    target.sizes[d] = checked_extent(policy == "stretch" ? static_cast<double>(sizes[i])
                                                         : std::floor(scale * static_cast<double>(in[d]) + 0.5));
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

std::vector<double> known_scales(Call& n, size_t i) {
  static_cast<void>(n.demand(n.in(i), "scales"));
  return *n.known_numbers(n.in(i));
}

// ---- by taps: what our resize has no kernel for, a gather a tap along each axis

// What a pixel of the output is made of, per axis.
struct Filter {
  std::string mode, coordinate, nearest;
  double cubic_a = -0.75;
  bool exclude_outside = false, antialias = false;
  std::vector<double> roi;  // starts, then ends, per dim
  double extrapolation = 0;
};

struct AxisMap {
  int64_t in = 1, out = 1;
  double scale = 1, roi_start = 0, roi_end = 1;
};

// ONNX Resize, "coordinate_transformation_mode".
double source_coordinate(const Filter& filter, const AxisMap& axis, int64_t i) {
  const auto x = static_cast<double>(i), in = static_cast<double>(axis.in), out = static_cast<double>(axis.out);
  const std::string& mode = filter.coordinate;
  if (mode == "asymmetric") return x / axis.scale;
  if (mode == "align_corners") return axis.out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (mode == "pytorch_half_pixel" && axis.out == 1) return 0;
  if (mode == "tf_crop_and_resize") {
    const double span = (axis.roi_end - axis.roi_start) * (in - 1);
    return axis.roi_start * (in - 1) + (axis.out == 1 ? span / 2 : x * span / (out - 1));
  }
  const double offset = mode == "half_pixel_symmetric" ? in / 2 * (1 - out / (axis.scale * in)) : 0;
  return offset + (x + 0.5) / axis.scale - 0.5;
}

// The weight of a pixel at a distance: a triangle, or Keys' cubic.
double weight_at(const Filter& filter, double distance) {
  const double s = std::abs(distance), a = filter.cubic_a;
  if (filter.mode == "linear") return std::max(1 - s, 0.0);
  if (s <= 1) return ((a + 2) * s - (a + 3)) * s * s + 1;
  return s < 2 ? ((a * s - 5 * a) * s + 8 * a) * s - 4 * a : 0;
}

double nearest_pixel(const std::string& mode, double x) {
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  return mode == "round_prefer_ceil" ? std::floor(x + 0.5) : std::ceil(x - 0.5);
}

// The filter is widened by what an antialiased reduction skips.
double shrink_of(const Filter& filter, const AxisMap& axis) {
  return filter.antialias ? std::min(axis.scale, 1.0) : 1.0;
}

// The first tap, counted from the pixel before the place; the last lies as far behind it.
int64_t first_tap(const Filter& filter, const AxisMap& axis) {
  const double radius = filter.mode == "linear" ? 1 : 2;
  return static_cast<int64_t>(std::floor(-radius / shrink_of(filter, axis))) + 1;
}

// Pixels and weights of output i.
std::vector<std::pair<int64_t, double>> taps_at(const Filter& filter, const AxisMap& axis, double x) {
  if (filter.mode == "nearest") return {{static_cast<int64_t>(nearest_pixel(filter.nearest, x)), 1.0}};
  const double shrink = shrink_of(filter, axis);
  const int64_t first = first_tap(filter, axis);
  const auto base = static_cast<int64_t>(std::floor(x));
  std::vector<std::pair<int64_t, double>> taps;
  double sum = 0;
  for (int64_t k = first; k < 2 - first; ++k) {
    const bool left_out = filter.exclude_outside && (base + k < 0 || base + k >= axis.in);
    taps.emplace_back(base + k, left_out ? 0.0 : weight_at(filter, (static_cast<double>(base + k) - x) * shrink));
    sum += taps.back().second;
  }
  for (auto& tap : taps) tap.second /= sum;
  return taps;
}

ValueId resampled(Call& n, ValueId x, int64_t axis, const AxisMap& map, const Filter& filter) {
  if (map.out == 0) return part(n, x, axis, 0, 0);
  constexpr int64_t kMostTaps = 256;
  const int64_t taps = filter.mode == "nearest" ? 1 : 2 - 2 * first_tap(filter, map);
  if (taps > kMostTaps) user_error("a scale of {} is out of range for antialiasing", map.scale);
  n.spend(DType::f64, 2 * map.out * taps);  // an index and a weight each
  std::vector<std::vector<std::pair<int64_t, double>>> all;
  std::vector<bool> outside;
  for (int64_t i = 0; i < map.out; ++i) {
    const double at = source_coordinate(filter, map, i);
    outside.push_back(filter.coordinate == "tf_crop_and_resize" && (at < 0 || at > static_cast<double>(map.in - 1)));
    all.push_back(taps_at(filter, map, at));
  }
  Extents along(static_cast<size_t>(n.rank(x)), 1);
  along[static_cast<size_t>(axis)] = map.out;
  ValueId sum;
  for (size_t t = 0; t < all[0].size(); ++t) {
    Tensor index = make_tensor(DType::i64, {map.out}), weight = make_tensor(DType::f64, along);
    for (size_t i = 0; i < all.size(); ++i) {
      index.as<int64_t>()[i] = std::clamp<int64_t>(all[i][t].first, 0, map.in - 1);
      weight.as<double>()[i] = all[i][t].second;
    }
    ValueId term = n.emit("gather", {x, n.constant(std::move(index))}, {{"axis", axis}});
    if (filter.mode != "nearest") term = n.emit("mul", {term, n.cast(n.constant(std::move(weight)), n.dtype(x))});
    sum = sum.valid() ? n.emit("add", {sum, term}) : term;
  }
  if (std::ranges::find(outside, true) == outside.end()) return sum;
  Tensor mask = make_tensor(DType::boolean, along);
  for (size_t i = 0; i < outside.size(); ++i) mask.bytes[i] = outside[i] ? std::byte{1} : std::byte{0};
  return n.emit("where", {n.constant(std::move(mask)), n.like(x, filter.extrapolation), sum});
}

// Integers are interpolated as f32 and rounded towards zero, as our resize does.
ValueId resize_by_taps(Call& n, const Target& target, const Filter& filter) {
  ValueId x = n.in(0);
  const DType dtype = n.dtype(x);
  if (!dtype_is_float(dtype) && filter.mode != "nearest") x = n.cast(x, DType::f32);
  const Extents in = n.shape(x);
  for (size_t d = 0; d < in.size(); ++d) {
    AxisMap map{in[d], target.sizes[d], target.scales[d]};
    if (!filter.roi.empty()) {
      map.roi_start = filter.roi[d];
      map.roi_end = filter.roi[d + in.size()];
    }
    const bool cropped = map.roi_start != 0 || map.roi_end != 1;
    if (map.in == map.out && map.scale == 1 && !cropped) continue;
    if (map.in == 0) user_error("dim {} has no elements", d);
    x = resampled(n, x, static_cast<int64_t>(d), map, filter);
  }
  return n.cast(x, dtype);
}

// The region of each dim that is read: the whole, but for the axes that the input states.
std::vector<double> regions(Call& n, const std::vector<int64_t>& axes) {
  const auto rank = static_cast<size_t>(n.rank(n.in(0)));
  std::vector<double> roi(2 * rank, 0);
  std::fill(roi.begin() + static_cast<ptrdiff_t>(rank), roi.end(), 1.0);
  if (!n.has(1)) user_error("lacks its roi");
  static_cast<void>(n.demand(n.in(1), "roi"));
  const auto given = n.known_numbers(n.in(1));
  if (!given || given->size() != 2 * axes.size()) user_error("its roi must have {} values", 2 * axes.size());
  constexpr double kFarthest = 1e6;  // from the input, in extents of it
  for (const double at : *given)
    if (!(std::abs(at) <= kFarthest)) user_error("a roi of {} is out of range", at);
  for (size_t i = 0; i < axes.size(); ++i) {
    roi[static_cast<size_t>(axes[i])] = given->at(i);
    roi[static_cast<size_t>(axes[i]) + rank] = given->at(i + axes.size());
  }
  return roi;
}

// Upsample and Resize-10: pixel i of the output is pixel ⌊i / scale⌋ of the input.
Values resize_by_scales(Call& n, const std::vector<double>& scales) {
  const Extents in = n.shape(n.in(0));
  const std::string mode = n.text("mode", "nearest");
  const Target target = from_scales(in, axes_from(0, n.rank(n.in(0))), scales);
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
  const std::string mode = checked(n.text("mode", "nearest"), "mode", {"nearest", "linear", "cubic"});
  const std::string coordinate =
      checked(n.text("coordinate_transformation_mode", "half_pixel"), "coordinate_transformation_mode",
              {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric",
               "tf_crop_and_resize"});
  const std::string nearest = checked(n.text("nearest_mode", "round_prefer_floor"), "nearest_mode",
                                      {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  const std::vector<int64_t> given = n.integers("axes", axes_from(0, n.rank(n.in(0))));
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
  const bool crops = coordinate == "tf_crop_and_resize";
  const bool antialias = n.flag("antialias", false) && mode != "nearest" &&
                         std::ranges::any_of(target.scales, [](double s) { return s < 1; });
  if (crops || antialias || mode == "cubic" || coordinate == "half_pixel_symmetric" || n.flag("exclude_outside", false))
    return {resize_by_taps(
        n, target,
        {mode, coordinate, nearest, n.number("cubic_coeff_a", -0.75), n.flag("exclude_outside", false), antialias,
         crops ? regions(n, axes) : std::vector<double>(), n.number("extrapolation_value", 0)})};
  return {emit_resize(n, target, mode, coordinate, nearest)};
}

}  // namespace oc::from_onnx
