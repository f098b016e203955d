// Conv and ConvTranspose.
#include "frontends/onnx/ops/conv.h"

#include <algorithm>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
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

void check_bias(const Call& n, ValueId bias, int64_t channels) {
  if (bias.valid() && n.shape(bias) != Extents{channels}) user_error("its bias must have the shape [{}]", channels);
}

ValueId bias_of(const Call& n) {
  return n.has(2) ? n.in(2) : ValueId();
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

// Three spatial dims: the sum over the planes of the filter of a convolution with each, the output's planes as batch.
ValueId convolution_3d(Call& n, const WindowAttrs& window, ValueId x, ValueId w, ValueId bias, int64_t group) {
  const Extents filter = n.shape(w);
  std::vector<int64_t> pads(10, 0);
  pads[2] = window.pads[0];
  pads[7] = window.pads[3];
  if (pads[2] > 0 || pads[7] > 0)
    x = n.emit("pad", {x}, {{"pads", pads}, {"mode", std::string("constant")}, {"value", 0.0}});
  const Extents in = n.shape(x);
  const int64_t room = in[2] - window.reach(0);
  if (room < 0) user_error("its window of {} is larger than the padded input", window.reach(0));
  const int64_t planes = room / window.strides[0] + 1;
  ValueId sum;
  for (int64_t k = 0; k < filter[2]; ++k) {
    const ValueId slab = part(n, x, 2, k * window.dilations[0], planes, window.strides[0]);
    const ValueId images = n.reshape(n.transpose(slab, {0, 2, 1, 3, 4}), {in[0] * planes, in[1], in[3], in[4]});
    Values operands{images, n.reshape(part(n, w, 2, k, 1), {filter[0], filter[1], filter[3], filter[4]})};
    if (k == 0 && bias.valid()) operands.push_back(bias);
    const ValueId term = n.emit("conv", operands,
                                {{"strides", Extents{window.strides[1], window.strides[2]}},
                                 {"pads", Extents{window.pads[1], window.pads[2], window.pads[4], window.pads[5]}},
                                 {"dilations", Extents{window.dilations[1], window.dilations[2]}},
                                 {"group", group}});
    sum = sum.valid() ? n.emit("add", {sum, term}) : term;
  }
  const Extents out = n.shape(sum);
  return n.transpose(n.reshape(sum, {in[0], planes, out[1], out[2], out[3]}), {0, 2, 1, 3, 4});
}

}  // namespace

ValueId convolution(Call& n, ValueId x, ValueId w, ValueId bias) {
  const Extents weight = n.shape(w), in = n.shape(x);
  if (weight.size() != in.size()) user_error("its input has rank {} and its weight rank {}", in.size(), weight.size());
  WindowAttrs window = window_attrs(n, x, kernel_of(n, weight));
  apply_auto_pad(window);
  const int64_t group = group_of(n, in[1]);
  if (weight[1] != in[1] / group || weight[0] % group != 0)
    user_error("its weight [{}, {}, …] does not fit {} input channels in {} groups", weight[0], weight[1], in[1],
               group);
  check_bias(n, bias, weight[0]);
  if (in.size() == 5) return convolution_3d(n, window, x, w, bias, group);
  Values operands{to_2d(n, x), to_2d(n, w)};
  if (bias.valid()) operands.push_back(bias);
  const ValueId result =
      n.emit("conv", operands,
             {{"strides", window.strides}, {"pads", window.pads}, {"dilations", window.dilations}, {"group", group}});
  return from_2d(n, result, n.rank(x));
}

Values conv(Call& n) {
  return {convolution(n, n.in(0), n.in(1), bias_of(n))};
}

namespace {

// What the attribute `activation` makes of x, with its numbers in `activation_params`; without one x itself.
ValueId activated(Call& n, ValueId x) {
  const std::string activation = n.text("activation", "");
  const auto* attr = n.attribute("activation_params");
  const auto params = [&](int count) {
    if (attr == nullptr || attr->floats_size() != count)
      user_error("activation '{}' needs {} activation_params", activation, count);
    return std::span(attr->floats().data(), static_cast<size_t>(count));
  };
  if (activation.empty()) return x;
  if (activation == "Relu") return n.emit("relu", {x});
  if (activation == "Tanh") return n.emit("tanh", {x});
  if (activation == "Sigmoid") return n.emit("sigmoid", {x});
  if (activation == "LeakyRelu") return n.emit("leaky_relu", {x}, {{"alpha", double{params(1)[0]}}});
  if (activation == "Clip") return bounded(n, x, params(2)[0], params(2)[1]);
  if (activation == "HardSigmoid") return bounded(n, plus(n, times(n, x, params(2)[0]), params(2)[1]), 0, 1);
  user_error("activation '{}' is not supported; Relu, Tanh, Sigmoid, LeakyRelu, Clip and HardSigmoid are", activation);
}

}  // namespace

// activation(convolution + z)
Values fused_conv(Call& n) {
  ValueId result = convolution(n, n.in(0), n.in(1), bias_of(n));
  if (n.has(3)) {
    if (n.shape(n.in(3)) != n.shape(result))
      user_error("its Z has the shape [{}], must be [{}]", fmt::join(n.shape(n.in(3)), ", "),
                 fmt::join(n.shape(result), ", "));
    result = n.emit("add", {result, n.in(3)});
  }
  return {activated(n, result)};
}

// Columns [n, c · taps, positions] added up where each tap lies in the image: a transposed convolution of each
// channel's taps with filters of a single 1.
Values col2im(Call& n) {
  const Extents image = n.known_integers(1, "image size"), block = n.known_integers(2, "block size"),
                in = n.shape(n.in(0));
  if (image.size() != 2 || block.size() != 2 || in.size() != 3) user_error("only images of two dims are supported");
  const Extents strides = n.integers("strides", Extents{1, 1}), dilations = n.integers("dilations", Extents{1, 1}),
                pads = n.integers("pads", Extents{0, 0, 0, 0});
  if (strides.size() != 2 || dilations.size() != 2 || pads.size() != 4) user_error("its attributes must have 2 dims");
  Extents grid, extra;
  for (size_t i = 0; i < 2; ++i) {
    const auto in_range = [](int64_t v) { return v >= 1 && v < (1 << 20); };
    if (!in_range(image[i]) || !in_range(block[i]) || !in_range(strides[i]) || !in_range(dilations[i]) || pads[i] < 0 ||
        pads[i + 2] < 0)
      user_error("its sizes are out of range");
    const int64_t room = image[i] + pads[i] + pads[i + 2] - (block[i] - 1) * dilations[i] - 1;
    if (room < 0) user_error("its block is larger than the image");
    grid.push_back(room / strides[i] + 1);
    extra.push_back(room % strides[i]);
  }
  const int64_t taps = block[0] * block[1];
  if (in[1] % taps != 0 || in[2] != product(grid))
    user_error("its input must be [n, channels · {}, {}]", taps, product(grid));
  n.spend(DType::f32, in[1] * taps);
  Tensor filters = make_tensor(DType::f32, {in[1], 1, block[0], block[1]});
  for (int64_t c = 0; c < in[1]; ++c) filters.as<float>()[static_cast<size_t>(c * taps + c % taps)] = 1;
  return {n.emit(
      "conv_transpose",
      {n.reshape(n.in(0), {in[0], in[1], grid[0], grid[1]}), n.cast(n.constant(std::move(filters)), n.dtype(n.in(0)))},
      {{"strides", strides},
       {"pads", pads},
       {"dilations", dilations},
       {"group", in[1] / taps},
       {"output_padding", extra}})};
}

Values conv_transpose(Call& n) {
  const ValueId x = n.in(0), w = n.in(1);
  const Extents weight = n.shape(w), in = n.shape(x);
  if (weight.size() != in.size()) user_error("its input has rank {} and its weight rank {}", in.size(), weight.size());
  WindowAttrs window = window_attrs(n, x, kernel_of(n, weight));
  const size_t spatial = in.size() - 2;
  if (spatial > 2) user_error("its input has rank {}; one or two spatial dims (rank 3 or 4) are supported", in.size());
  std::vector<int64_t> output_padding = n.integers("output_padding", std::vector<int64_t>(spatial, 0));
  if (output_padding.size() != spatial)
    user_error("attribute 'output_padding' has {} values, needs {}", output_padding.size(), spatial);
  if (std::ranges::any_of(output_padding, [](int64_t p) { return p < 0; }))
    user_error("attribute 'output_padding' is negative");
  if (spatial == 1) output_padding.insert(output_padding.begin(), 0);
  for (size_t i = 0; i < output_padding.size(); ++i)
    if (const int64_t bound = std::max(window.strides[i], window.dilations[i]); output_padding[i] >= bound)
      user_error("attribute 'output_padding' holds {}, must be less than the stride or dilation, {}", output_padding[i],
                 bound);
  place_transposed(n, window, output_padding, spatial);
  const int64_t group = group_of(n, in[1]);
  if (weight[0] != in[1]) user_error("its weight has {} input channels, its input {}", weight[0], in[1]);
  if (weight[1] > (int64_t{1} << 40) / group)
    user_error("its weight's {} channels times {} groups are too many", weight[1], group);
  check_bias(n, bias_of(n), weight[1] * group);
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
