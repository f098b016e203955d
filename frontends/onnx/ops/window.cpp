#include "frontends/onnx/ops/window.h"

#include <algorithm>

#include "base/error.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kMaxWindow = 1 << 20;  // of any extent, stride, dilation or pad: sums and products stay in range

// An attribute of `count` values from `low`, by default all `fallback`; `spatial` values are brought to 2-D.
std::vector<int64_t> list(const Call& n, std::string_view name, size_t count, int64_t fallback, int64_t low) {
  std::vector<int64_t> values = n.integers(name, std::vector<int64_t>(count, fallback));
  if (values.size() != count) user_error("attribute '{}' has {} values, needs {}", name, values.size(), count);
  for (int64_t value : values)
    if (value < low || value > kMaxWindow)
      user_error("attribute '{}' holds {}; {} to {} are allowed", name, value, low, kMaxWindow);
  return values;
}

WindowAttrs::Auto auto_mode(const Call& n) {
  using enum WindowAttrs::Auto;
  const std::string mode = n.text("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) return explicit_pads;
  if (mode == "SAME_UPPER") return same_upper;
  if (mode == "SAME_LOWER") return same_lower;
  if (mode == "VALID") return valid;
  user_error("auto_pad '{}' is unknown; NOTSET, SAME_UPPER, SAME_LOWER and VALID are", mode);
}

}  // namespace

WindowAttrs window_attrs(Call& n, ValueId x, const std::vector<int64_t>& kernel) {
  const Extents shape = n.shape(x);
  if (shape.size() < 3 || shape.size() > 5)
    user_error("its input has rank {}; one to three spatial dims (rank 3 to 5) are supported", shape.size());
  const size_t spatial = shape.size() - 2;
  if (kernel.size() != spatial) user_error("its window has {} dims over {} spatial ones", kernel.size(), spatial);
  for (int64_t extent : kernel)
    if (extent < 1 || extent > kMaxWindow)
      user_error("its window has the extent {}; 1 to {} are allowed", extent, kMaxWindow);
  WindowAttrs window;
  window.kernel = kernel;
  window.in.assign(shape.begin() + 2, shape.end());
  window.strides = list(n, "strides", spatial, 1, 1);
  window.dilations = list(n, "dilations", spatial, 1, 1);
  window.mode = auto_mode(n);
  const bool given = window.mode == WindowAttrs::Auto::explicit_pads;
  window.pads = given ? list(n, "pads", 2 * spatial, 0, 0) : std::vector<int64_t>(2 * spatial, 0);
  if (spatial == 1) {
    for (auto* values : {&window.kernel, &window.in, &window.strides, &window.dilations})
      values->insert(values->begin(), 1);
    window.pads = {0, window.pads[0], 0, window.pads[1]};
  }
  return window;
}

void share_pads(WindowAttrs& window, const std::vector<int64_t>& total) {
  const size_t spatial = window.in.size();
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t pad = std::max<int64_t>(total[i], 0), small = pad / 2;
    const bool upper = window.mode != WindowAttrs::Auto::same_lower;
    window.pads[i] = upper ? small : pad - small;
    window.pads[i + spatial] = pad - window.pads[i];
  }
}

void apply_auto_pad(WindowAttrs& window) {
  if (window.mode != WindowAttrs::Auto::same_upper && window.mode != WindowAttrs::Auto::same_lower) return;
  std::vector<int64_t> total;
  for (size_t i = 0; i < window.in.size(); ++i) {
    const int64_t out = (window.in[i] + window.strides[i] - 1) / window.strides[i];
    total.push_back((out - 1) * window.strides[i] + window.reach(i) - window.in[i]);
  }
  share_pads(window, total);
}

ValueId to_2d(Call& n, ValueId x) {
  Extents shape = n.shape(x);
  if (shape.size() == 3) shape.insert(shape.begin() + 2, 1);
  return n.reshape(x, shape);
}

ValueId from_2d(Call& n, ValueId result, int64_t rank) {
  Extents shape = n.shape(result);
  if (rank == 3) shape.erase(shape.begin() + 2);
  return n.reshape(result, shape);
}

}  // namespace oc::from_onnx
