// Fourier transforms as matrix products, and window functions. Complex numbers are a last dim of 2.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kLongest = 1 << 14;  // of a transform: its matrices have the square of it

// [rows, columns] of factor(row) · function(2π · row · column / period), of the type of x.
ValueId wave(Call& n, DType dtype, int64_t rows, int64_t columns, int64_t period, double (*function)(double),
             const std::function<double(int64_t)>& factor) {
  n.spend(DType::f64, rows * columns);
  Tensor matrix = make_tensor(DType::f64, {rows, columns});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const auto turn = static_cast<double>(r * c % period) / static_cast<double>(period);
      matrix.as<double>()[static_cast<size_t>(r * columns + c)] = factor(r) * function(2 * std::numbers::pi * turn);
    }
  return n.cast(n.constant(std::move(matrix)), dtype);
}

double sine(double x) {
  return std::sin(x);
}
double cosine(double x) {
  return std::cos(x);
}

// The last dim with `size` elements: cut, or zeros behind.
ValueId with_size(Call& n, ValueId x, int64_t size) {
  const int64_t last = n.rank(x) - 1, has = n.shape(x)[static_cast<size_t>(last)];
  if (has >= size) return part(n, x, last, 0, size);
  Extents rest = n.shape(x);
  rest.back() = size - has;
  return n.emit("concat", {x, n.expand(n.like(x, 0), rest)}, {{"axis", last}});
}

struct Transform {
  int64_t length;
  bool inverse, onesided;
};

// x [.., axis, .., 1 or 2] → the same with the axis transformed and 2, or 1 where the result is real.
ValueId transform(Call& n, ValueId x, int64_t axis, const Transform& t) {
  const Extents shape = n.shape(x);
  const auto rank = static_cast<int64_t>(shape.size());
  if (t.length < 1 || t.length > kLongest)
    user_error("a transform of {} is out of range (1 to {})", t.length, kLongest);
  const bool complex = shape.back() == 2, to_real = t.inverse && t.onesided;
  if ((shape.back() != 1 && !complex) || axis == rank - 1)
    user_error("its input must hold real or complex numbers in its last dim");
  const int64_t half = t.length / 2 + 1;
  const int64_t from = to_real ? half : t.length, to = t.onesided && !t.inverse ? half : t.length;
  Extents outer = shape;
  outer.pop_back();
  std::vector<int64_t> order;  // the axis last
  for (int64_t d = 0; d < rank - 1; ++d)
    if (d != axis) order.push_back(d);
  order.push_back(axis);
  const auto component = [&](int64_t i) {
    return with_size(n, n.transpose(n.reshape(part(n, x, rank - 1, i, 1), outer), order), from);
  };
  const auto factor = [&](int64_t k) {
    if (!t.inverse) return 1.0;
    const bool twice = to_real && k > 0 && 2 * k != t.length;  // for itself and its mirror image
    return (twice ? 2.0 : 1.0) / static_cast<double>(t.length);
  };
  const DType dtype = n.dtype(x);
  const ValueId cos = wave(n, dtype, from, to, t.length, cosine, factor),
                sin = wave(n, dtype, from, to, t.length, sine, factor);
  const auto product = [&](ValueId a, ValueId b) { return n.emit("matmul", {a, b}); };
  const ValueId re = component(0);
  ValueId real = product(re, cos), imaginary;
  if (!to_real) imaginary = t.inverse ? product(re, sin) : n.emit("neg", {product(re, sin)});
  if (complex) {
    const ValueId im = component(1);
    real = n.emit(t.inverse ? "sub" : "add", {real, product(im, sin)});
    if (!to_real) imaginary = n.emit("add", {imaginary, product(im, cos)});
  }
  std::vector<int64_t> back(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  const auto placed = [&](ValueId value) {
    value = n.transpose(value, back);
    Extents with_component = n.shape(value);
    with_component.push_back(1);
    return n.reshape(value, with_component);
  };
  if (to_real) return placed(real);
  return n.emit("concat", {placed(real), placed(imaginary)}, {{"axis", rank - 1}});
}

}  // namespace

// The axis: an attribute before opset 20, an input after.
Values dft(Call& n) {
  const ValueId x = n.in(0);
  const int64_t given = n.opset < 20 ? n.integer("axis", 1) : n.has(2) ? n.demand_integer(2, "axis") : -2;
  const int64_t axis = normal_axis(given, n.rank(x)), extent = n.shape(x)[static_cast<size_t>(axis)];
  Transform t{0, n.flag("inverse", false), n.flag("onesided", false)};
  t.length = n.has(1) ? n.demand_integer(1, "length") : t.inverse && t.onesided ? 2 * (extent - 1) : extent;
  return {transform(n, x, axis, t)};
}

// Frames of the signal [batch, time, 1 or 2], each times the window, transformed.
Values stft(Call& n) {
  const ValueId x = n.in(0);
  if (n.rank(x) != 3) user_error("its signal has rank {}, must be 3", n.rank(x));
  const int64_t time = n.shape(x)[1], step = n.demand_integer(1, "frame step");
  const int64_t length = n.has(3) ? n.demand_integer(3, "frame length") : n.has(2) ? product(n.shape(n.in(2))) : time;
  if (step < 1 || length < 1 || length > time)
    user_error("frames of {}, {} apart, of a signal of {}", length, step, time);
  const int64_t frames = (time - length) / step + 1;
  int64_t elements = 0;
  if (__builtin_mul_overflow(frames, length, &elements)) user_error("{} frames of {} are too many", frames, length);
  n.spend(DType::i64, elements);
  Tensor at = make_tensor(DType::i64, {frames, length});
  for (int64_t i = 0; i < elements; ++i) at.as<int64_t>()[static_cast<size_t>(i)] = i / length * step + i % length;
  ValueId framed = n.emit("gather", {x, n.constant(std::move(at))}, {{"axis", int64_t{1}}});
  if (n.has(2)) {
    if (n.shape(n.in(2)) != Extents{length}) user_error("its window must have the {} elements of a frame", length);
    framed = n.emit("mul", {framed, n.reshape(n.in(2), {length, 1})});
  }
  return {transform(n, framed, 2, {length, false, n.flag("onesided", true)})};
}

// a − b·cos(2πi/N) + c·cos(4πi/N) for i < size; N is the size, or one less of a symmetric window.
Values window_function(Call& n) {
  struct Terms {
    double a, b, c;
  };
  const Terms t = n.row.op == "hann"      ? Terms{0.5, 0.5, 0}
                  : n.row.op == "hamming" ? Terms{25.0 / 46, 21.0 / 46, 0}
                                          : Terms{0.42, 0.5, 0.08};
  const int64_t size = n.demand_integer(0, "size");
  if (size < 0) user_error("its size is {}", size);
  n.spend(DType::f64, size);
  const auto period = static_cast<double>(n.flag("periodic", true) ? size : std::max<int64_t>(size - 1, 1));
  Tensor result = make_tensor(DType::f64, {size});
  for (int64_t i = 0; i < size; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / period;
    result.as<double>()[static_cast<size_t>(i)] = t.a - t.b * std::cos(angle) + t.c * std::cos(2 * angle);
  }
  const DType dtype = known_dtype(n.integer("output_datatype", ::onnx::TensorProto::FLOAT));
  return {n.cast(n.constant(std::move(result)), dtype)};
}

// [bins of a spectrum, bands]: triangles of height 1 whose corners are as far apart on the mel scale,
// mel(f) = 2595·log₁₀(1 + f / 700), rounded down to bins.
Values mel_weight_matrix(Call& n) {
  const int64_t bands = n.demand_integer(0, "num_mel_bins"), length = n.demand_integer(1, "dft_length");
  const int64_t rate = n.demand_integer(2, "sample_rate");
  const double low = n.demand_number(3, "lower_edge_hertz"), high = n.demand_number(4, "upper_edge_hertz");
  const double most = static_cast<double>(rate) / 2;
  if (bands < 1 || length < 1 || rate < 1 || bands > INT32_MAX || length > INT32_MAX)
    user_error("{} bands of a transform of {} samples at a rate of {} are none", bands, length, rate);
  if (!(low >= 0 && low <= high && high <= most))
    user_error("its edges {} and {} are not within 0 … {}", low, high, most);
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const int64_t bins = length / 2 + 1;
  n.spend(DType::f64, bins * bands);
  Tensor result = make_tensor(DType::f64, {bins, bands});
  const auto corner = [&](int64_t i) {
    const double at = mel(low) + (mel(high) - mel(low)) * static_cast<double>(i) / static_cast<double>(bands + 2);
    const double hertz = 700 * (std::pow(10, at / 2595) - 1);
    return static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate)));
  };
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t left = corner(band), peak = corner(band + 1), right = corner(band + 2);
    for (int64_t bin = left; bin < std::max(right, peak + 1); ++bin) {
      if (bin >= bins) user_error("its band {} ends beyond the {} bins", band, bins);
      const int64_t way = bin <= peak ? peak - left : right - peak, gone = bin <= peak ? bin - left : right - bin;
      result.as<double>()[static_cast<size_t>(bin * bands + band)] =
          way == 0 ? 1 : static_cast<double>(gone) / static_cast<double>(way);
    }
  }
  return {n.cast(n.constant(std::move(result)), known_dtype(n.integer("output_datatype", ::onnx::TensorProto::FLOAT)))};
}

}  // namespace oc::from_onnx
