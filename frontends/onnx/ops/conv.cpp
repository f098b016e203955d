// Conv and ConvTranspose.
#include <algorithm>

#include "base/error.h"
#include "frontends/onnx/ops/window.h"

namespace oc::from_onnx {
namespace {

// The window's extents: the weight's; a kernel_shape must agree.
std::vector<int64_t> kernel_of(const Call& n, const Extents& weight) {
  std::vector<int64_t> kernel(weight.begin() + std::min<ptrdiff_t>(2, std::ssize(weight)), weight.end());
  const std::vector<int64_t> declared = n.integers("kernel_shape", kernel);
  if (declared != kernel) user_error("kernel_shape does not agree with its weight's shape");
  return kernel;
}

int64_t group_of(const Call& n, int64_t channels) {
  const int64_t group = n.integer("group", 1);
  if (group < 1 || channels % group != 0) user_error("group {} does not divide {} channels", group, channels);
  return group;
}

void check_bias(const Call& n, int64_t channels) {
  if (n.has(2) && n.shape(n.in(2)) != Extents{channels}) user_error("its bias must have the shape [{}]", channels);
}

// Where the result of a transposed convolution lies: ONNX states either pads or the output's shape.
void place_transposed(const Call& n, WindowAttrs& window, std::vector<int64_t>& output_padding, size_t spatial) {
  using enum WindowAttrs::Auto;
  const bool same = window.mode == same_upper || window.mode == same_lower;
  const bool stated = n.attribute("output_shape") != nullptr;
  if (!same && !stated) return;
  std::vector<int64_t> wanted = stated ? n.integers("output_shape") : std::vector<int64_t>();
  if (stated && wanted.size() == spatial + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (stated && wanted.size() != spatial)
    user_error("attribute 'output_shape' has {} values, needs {}", wanted.size(), spatial);
  if (stated && spatial == 1) wanted.insert(wanted.begin(), 1);
  std::vector<int64_t> total;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t out = stated ? wanted[i] : window.in[i] * window.strides[i];
    if (out < 1 || out > (int64_t{1} << 40)) user_error("its output extent {} is out of range", out);
    total.push_back(window.strides[i] * (window.in[i] - 1) + output_padding[i] + window.reach(i) - out);
    if (total[i] < 0) output_padding[i] -= total[i];  // nothing to cut: grow instead
  }
  if (!same) window.mode = same_lower;  // ONNX: the odd element goes to the start unless SAME_UPPER says otherwise
  share_pads(window, total);
}

}  // namespace

Values conv(Call& n) {
  const ValueId x = n.in(0), w = n.in(1);
  const Extents weight = n.shape(w), in = n.shape(x);
  if (weight.size() != in.size()) user_error("its input has rank {} and its weight rank {}", in.size(), weight.size());
  WindowAttrs window = window_attrs(n, x, kernel_of(n, weight));
  apply_auto_pad(window);
  const int64_t group = group_of(n, in[1]);
  if (weight[1] != in[1] / group || weight[0] % group != 0)
    user_error("its weight [{}, {}, …] does not fit {} input channels in {} groups", weight[0], weight[1], in[1],
               group);
  check_bias(n, weight[0]);
  Values operands{to_2d(n, x), to_2d(n, w)};
  if (n.has(2)) operands.push_back(n.in(2));
  const ValueId result =
      n.emit("conv", operands,
             {{"strides", window.strides}, {"pads", window.pads}, {"dilations", window.dilations}, {"group", group}});
  return {from_2d(n, result, n.rank(x))};
}

Values conv_transpose(Call& n) {
  const ValueId x = n.in(0), w = n.in(1);
  const Extents weight = n.shape(w), in = n.shape(x);
  if (weight.size() != in.size()) user_error("its input has rank {} and its weight rank {}", in.size(), weight.size());
  WindowAttrs window = window_attrs(n, x, kernel_of(n, weight));
  const size_t spatial = in.size() - 2;
  std::vector<int64_t> output_padding = n.integers("output_padding", std::vector<int64_t>(spatial, 0));
  if (output_padding.size() != spatial)
    user_error("attribute 'output_padding' has {} values, needs {}", output_padding.size(), spatial);
  if (std::ranges::any_of(output_padding, [](int64_t p) { return p < 0 || p > (1 << 20); }))
    user_error("attribute 'output_padding' is out of range");
  if (spatial == 1) output_padding.insert(output_padding.begin(), 0);
  place_transposed(n, window, output_padding, spatial);
  const int64_t group = group_of(n, in[1]);
  if (weight[0] != in[1]) user_error("its weight has {} input channels, its input {}", weight[0], in[1]);
  if (weight[1] > (int64_t{1} << 40) / group)
    user_error("its weight's {} channels times {} groups are too many", weight[1], group);
  check_bias(n, weight[1] * group);
  Values operands{to_2d(n, x), to_2d(n, w)};
  if (n.has(2)) operands.push_back(n.in(2));
  const ValueId result = n.emit("conv_transpose", operands,
                                {{"strides", window.strides},
                                 {"pads", window.pads},
                                 {"dilations", window.dilations},
                                 {"group", group},
                                 {"output_padding", output_padding}});
  return {from_2d(n, result, n.rank(x))};
}

}  // namespace oc::from_onnx
