// resize {sizes: full output shape; scales: numbers, full rank; mode nearest | linear; coordinate; nearest}: ONNX
// Resize. Source coordinates depend on the output index alone, so they are tables computed here, in double precision.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "dsl/ops/elementwise.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

struct Resize {
  Extents sizes;
  std::vector<double> scales;
  std::string mode, coordinate, nearest;
};

std::vector<double> numbers(const NodeView& node, std::string_view name) {
  const auto found = node.attrs().find(name);
  if (found == node.attrs().end()) return {};
  if (const auto* values = std::get_if<std::vector<double>>(&found->second)) return *values;
  user_error("resize: '{}' must be numbers", name);
}

Resize resize_of(const NodeView& node) {
  Resize r{node.attrs().integers("sizes"), numbers(node, "scales"), node.attrs().text("mode", "nearest"),
           node.attrs().text("coordinate", "half_pixel"), node.attrs().text("nearest", "round_prefer_floor")};
  const Shape& in = node.in(0).shape;
  if (r.sizes.size() != in.size()) user_error("resize: {} sizes for rank {}", r.sizes.size(), in.size());
  if (r.scales.empty())
    for (size_t d = 0; d < in.size(); ++d)
      r.scales.push_back(static_cast<double>(r.sizes[d]) / static_cast<double>(std::max<int64_t>(1, in[d].extent)));
  if (r.scales.size() != in.size()) user_error("resize: {} scales for rank {}", r.scales.size(), in.size());
  if (r.mode != "nearest" && r.mode != "linear")
    user_error("resize: mode '{}' is not supported; nearest and linear are", r.mode);
  for (const char* known : {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"})
    if (r.coordinate == known) return r;
  user_error("resize: coordinate transformation '{}' is not supported", r.coordinate);
}

// ONNX Resize, "coordinate_transformation_mode".
double source_coordinate(const Resize& r, size_t d, int64_t out, int64_t in_extent) {
  const auto x = static_cast<double>(out);
  if (r.coordinate == "asymmetric") return x / r.scales[d];
  if (r.coordinate == "align_corners")
    return r.sizes[d] == 1 ? 0 : x * static_cast<double>(in_extent - 1) / static_cast<double>(r.sizes[d] - 1);
  if (r.coordinate == "pytorch_half_pixel" && r.sizes[d] == 1) return 0;
  return (x + 0.5) / r.scales[d] - 0.5;
}

int64_t nearest_source(const Resize& r, double x, int64_t in_extent) {
  double rounded = std::floor(x);
  if (r.nearest == "round_prefer_floor") rounded = std::ceil(x - 0.5);
  if (r.nearest == "round_prefer_ceil") rounded = std::floor(x + 0.5);
  if (r.nearest == "ceil") rounded = std::ceil(x);
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, in_extent - 1);
}

std::vector<Type> infer(const NodeView& node) {
  const Type out = make_type(node.in(0).dtype, resize_of(node).sizes);
  for (size_t d = 0; d < out.shape.size(); ++d)
    if (node.in(0).shape[d] == Dim(0) && out.shape[d] != Dim(0)) user_error("resize: dim {} has no elements", d);
  return {out};
}

// Taps of one dim at one output index: two sources and the weight of the second.
struct Taps {
  Halide::Expr low, high, weight;
};

Taps linear_taps(const Resize& r, size_t d, const Halide::Expr& out, int64_t in_extent) {
  const auto count = static_cast<int>(r.sizes[d]);
  Halide::Buffer<int32_t> low(count), high(count);
  Halide::Buffer<float> weight(count);
  for (int i = 0; i < count; ++i) {
    const double x = std::clamp(source_coordinate(r, d, i, in_extent), 0.0, static_cast<double>(in_extent - 1));
    low(i) = static_cast<int32_t>(std::floor(x));
    high(i) = static_cast<int32_t>(std::min<int64_t>(in_extent - 1, low(i) + 1));
    weight(i) = static_cast<float>(x - std::floor(x));
  }
  const int last = static_cast<int>(in_extent) - 1;
  return {Halide::unsafe_promise_clamped(low(out), 0, last), Halide::unsafe_promise_clamped(high(out), 0, last),
          weight(out)};
}

int64_t nearest_of(const Resize& r, size_t d, int64_t out, int64_t in_extent) {
  return nearest_source(r, source_coordinate(r, d, out, in_extent), in_extent);
}

// The factor of a dim where an element is element i / factor of the source, else 0.
int64_t whole_factor(const Resize& r, size_t d, int64_t in_extent) {
  const int64_t factor = in_extent > 0 && r.sizes[d] % in_extent == 0 ? r.sizes[d] / in_extent : 0;
  if (r.mode != "nearest" || factor == 0) return 0;
  for (int64_t i = 0; i < r.sizes[d]; ++i)
    if (nearest_of(r, d, i, in_extent) != i / factor) return 0;
  return factor;
}

// A division is what schedules can see through; else a table.
Halide::Expr nearest_index(const Resize& r, size_t d, const Halide::Expr& out, int64_t in_extent) {
  if (const int64_t factor = whole_factor(r, d, in_extent); factor > 0) return out / static_cast<int>(factor);
  const auto count = static_cast<int>(r.sizes[d]);
  Halide::Buffer<int32_t> table(count);
  for (int i = 0; i < count; ++i) table(i) = static_cast<int32_t>(nearest_of(r, d, i, in_extent));
  return Halide::unsafe_promise_clamped(table(out), 0, static_cast<int>(in_extent) - 1);
}

Halide::Expr define(OpCall& call) {
  const Type& in = call.inputs[0].type;
  const Resize r = resize_of({call.node, {&in}, {}});
  Index at = call.index;
  std::vector<std::pair<size_t, Taps>> blends;
  for (size_t d = 0; d < at.size(); ++d) {
    const int64_t extent = in.shape[d].extent;
    if (r.sizes[d] == extent && r.scales[d] == 1.0) continue;
    if (r.mode == "nearest") {
      at[d] = nearest_index(r, d, call.index[d], extent);
    } else {
      blends.emplace_back(d, linear_taps(r, d, call.index[d], extent));
    }
  }
  std::function<Halide::Expr(size_t)> blend = [&](size_t i) -> Halide::Expr {
    const Halide::Expr value = i == blends.size() ? widened(call.inputs[0].at(at)) : Halide::Expr();
    if (value.defined()) return value.type().is_float() || blends.empty() ? value : Halide::cast<float>(value);
    const auto& [d, taps] = blends[i];
    at[d] = taps.low;
    const Halide::Expr low = blend(i + 1);
    at[d] = taps.high;
    const Halide::Expr high = blend(i + 1);
    return low + (high - low) * taps.weight;
  };
  return Halide::cast(call.inputs[0].at(call.index).type(), blend(0));
}

// Factors are all that a kernel knows of sizes; elsewhere it has tables of them.
bool alike(const NodeView& a, const NodeView& b) {
  const Resize first = resize_of(a), second = resize_of(b);
  for (size_t d = 0; d < first.sizes.size(); ++d) {
    const int64_t factor = whole_factor(first, d, a.in(0).shape[d].extent);
    if (factor == 0 || factor != whole_factor(second, d, b.in(0).shape[d].extent)) return false;
  }
  return true;
}

}  // namespace

const OpInfo& op_resize() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("resize", 1, 1);
    op.layout = LayoutRule::same;
    op.reads_once = false;
    using enum AttrSpec::Type;
    op.attrs = {{"sizes", integers, true},
                {"scales", numbers, false},
                {"mode", text, false},
                {"coordinate", text, false},
                {"nearest", text, false}};
    op.infer = infer;
    op.takes_sizes = true;
    op.alike = alike;
    op.define = define;
    auto add = [&](Extents in, Extents out, const char* mode, const char* coordinate, std::string layout) {
      op.cases.push_back(
          {.inputs = {{.shape = std::move(in), .layout = layout}},
           .attrs = {{"sizes", std::move(out)}, {"mode", std::string(mode)}, {"coordinate", std::string(coordinate)}},
           .out_layout = layout});
    };
    add({1, 24, 5, 7}, {1, 24, 10, 14}, "nearest", "asymmetric", "aBcd8b");
    add({1, 3, 5, 7}, {1, 3, 20, 28}, "nearest", "half_pixel", "");
    add({1, 3, 6, 7}, {1, 3, 9, 5}, "nearest", "asymmetric", "");
    add({1, 9, 5, 7}, {1, 9, 11, 13}, "linear", "half_pixel", "aBcd8b");
    add({1, 2, 5, 7}, {1, 2, 9, 13}, "linear", "align_corners", "");
    return op;
  }();
  return info;
}

}  // namespace oc
