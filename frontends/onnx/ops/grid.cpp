// AffineGrid and GridSample: pictures read at computed places. A place is one number a spatial dim, −1 … 1 over the
// dim's extent, the last dim's first.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

enum class Outside : uint8_t { zeros, border, reflection };

struct Sampler {
  Call& n;
  Outside outside;
  bool align;

  // Mirrored at both ends until it lies between them: with t = x − low modulo twice the range, low + min(t, 2·range −
  // t).
  [[nodiscard]] ValueId reflected(ValueId x, int64_t extent) const {
    const double low = align ? 0 : -0.5, range = static_cast<double>(align ? extent - 1 : extent);
    if (range == 0) return times(n, x, 0);
    const ValueId t = plus(n, x, -low);
    const ValueId turns = n.emit("floor", {times(n, t, 1 / (2 * range))});
    const ValueId rest = n.emit("sub", {t, times(n, turns, 2 * range)});
    return plus(n, n.emit("min", {rest, plus(n, n.emit("neg", {rest}), 2 * range)}), low);
  }

  // Where a coordinate that leaves the picture is read instead.
  [[nodiscard]] ValueId inside(ValueId x, int64_t extent) const {
    if (outside == Outside::border) return bounded(n, x, 0, static_cast<double>(extent - 1));
    if (outside == Outside::reflection) return reflected(x, extent);
    return x;
  }

  // A pixel along one dim: its index, weight (invalid: 1) and whether it exists (invalid: yes).
  struct Tap {
    ValueId index, weight, exists;
  };
  [[nodiscard]] Tap tap(ValueId pixel, ValueId weight, int64_t extent) const {
    const auto last = static_cast<double>(extent - 1);
    ValueId exists;
    if (outside == Outside::zeros)
      exists = n.emit("and", {n.emit("greater_equal", {pixel, n.like(pixel, 0)}),
                              n.emit("less_equal", {pixel, n.like(pixel, last)})});
    const ValueId safe = bounded(n, inside(pixel, extent), 0, last);
    return {n.cast(safe, DType::i64), weight, exists};
  }

  // Keys' cubic with a = −3/4 at the distances 1 + t, t, 1 − t, 2 − t.
  [[nodiscard]] ValueId cubic(ValueId t, int tap) const {
    constexpr double a = -0.75;
    const auto near = [&](ValueId s) {  // ((a + 2)·s − (a + 3))·s² + 1
      return plus(n, n.emit("mul", {plus(n, times(n, s, a + 2), -(a + 3)), n.emit("mul", {s, s})}), 1);
    };
    const auto far = [&](ValueId s) {  // ((a·s − 5a)·s + 8a)·s − 4a
      const ValueId inner = plus(n, n.emit("mul", {plus(n, times(n, s, a), -5 * a), s}), 8 * a);
      return plus(n, n.emit("mul", {inner, s}), -4 * a);
    };
    const ValueId rest = plus(n, n.emit("neg", {t}), 1);
    return tap == 0 ? far(plus(n, t, 1)) : tap == 1 ? near(t) : tap == 2 ? near(rest) : far(plus(n, rest, 1));
  }

  // The pixels that the place x along a dim is made of.
  [[nodiscard]] std::vector<Tap> taps(ValueId x, int64_t extent, const std::string& mode) const {
    if (mode == "nearest") return {tap(inside(n.emit("round", {x}), extent), {}, extent)};
    x = inside(x, extent);
    const ValueId floor = n.emit("floor", {x}), t = n.emit("sub", {x, floor});
    if (mode == "linear")
      return {tap(floor, plus(n, n.emit("neg", {t}), 1), extent), tap(plus(n, floor, 1), t, extent)};
    std::vector<Tap> result;
    for (int i = 0; i < 4; ++i) result.push_back(tap(plus(n, floor, i - 1), cubic(t, i), extent));
    return result;
  }
};

// x [n, c, spatial…] as rows of c numbers, and the sum over all combinations of taps of rows, weighted.
struct Rows {
  Call& n;
  ValueId rows;   // [n · pixels, c]
  Extents shape;  // spatial
  ValueId batch;  // [n, 1]: where a picture's rows begin
  ValueId sum = {};

  void add(const std::vector<std::vector<Sampler::Tap>>& taps, size_t dim, const Sampler::Tap& so_far) {
    if (dim == taps.size()) {
      ValueId value = n.emit("gather", {rows, n.emit("add", {so_far.index, batch})}, {{"axis", int64_t{0}}});
      const auto beside = [&](ValueId x) {
        Extents s = n.shape(x);
        s.push_back(1);
        return n.reshape(x, s);
      };
      if (so_far.exists.valid()) value = n.emit("where", {beside(so_far.exists), value, n.like(value, 0)});
      if (so_far.weight.valid()) value = n.emit("mul", {value, n.cast(beside(so_far.weight), n.dtype(value))});
      sum = sum.valid() ? n.emit("add", {sum, value}) : value;
      return;
    }
    const auto both = [&](std::string_view op, ValueId a, ValueId b) { return a.valid() ? n.emit(op, {a, b}) : b; };
    for (const Sampler::Tap& tap : taps[dim]) {
      Sampler::Tap next = tap;
      if (so_far.index.valid()) {
        const ValueId scaled = n.emit("mul", {so_far.index, n.like(so_far.index, static_cast<double>(shape[dim]))});
        next.index = n.emit("add", {scaled, tap.index});
      }
      if (tap.weight.valid()) next.weight = both("mul", so_far.weight, tap.weight);
      if (tap.exists.valid()) next.exists = both("and", so_far.exists, tap.exists);
      add(taps, dim + 1, next);
    }
  }
};

std::string sampling_mode(const Call& n) {
  const std::string mode = n.text("mode", "linear");
  if (mode == "bilinear") return "linear";  // until opset 20
  if (mode == "bicubic") return "cubic";
  if (mode != "linear" && mode != "nearest" && mode != "cubic")
    user_error("mode '{}' is unknown; linear, nearest and cubic are", mode);
  return mode;
}

Outside outside_of(const Call& n) {
  const std::string mode = n.text("padding_mode", "zeros");
  if (mode == "zeros") return Outside::zeros;
  if (mode == "border") return Outside::border;
  if (mode == "reflection") return Outside::reflection;
  user_error("padding_mode '{}' is unknown; zeros, border and reflection are", mode);
}

}  // namespace

Values grid_sample(Call& n) {
  const Extents in = n.shape(n.in(0)), places = n.shape(n.in(1));
  const auto spatial = static_cast<int64_t>(in.size()) - 2;
  if (spatial < 1 || places.size() != in.size() || places[0] != in[0] || places.back() != spatial)
    user_error("its grid must have the shape [{}, places…, {}]", in[0], spatial);
  const Sampler sampler{n, outside_of(n), n.flag("align_corners", false)};
  const std::string mode = sampling_mode(n);
  const Extents shape(in.begin() + 2, in.end());
  for (int64_t extent : shape)
    if (extent < 1) user_error("its input has an empty dim");
  const int64_t pixels = product(shape), outputs = product(std::span(places).subspan(1, places.size() - 2));
  const ValueId grid =
      n.reshape(n.cast(n.in(1), n.dtype(n.in(1)) == DType::f64 ? DType::f64 : DType::f32), {in[0], outputs, spatial});
  std::vector<std::vector<Sampler::Tap>> taps;
  for (int64_t d = 0; d < spatial; ++d) {
    const int64_t extent = shape[static_cast<size_t>(d)];
    const ValueId place = n.reshape(n.emit("slice", {grid},
                                           {{"starts", Extents{0, 0, spatial - 1 - d}},
                                            {"sizes", Extents{in[0], outputs, 1}},
                                            {"steps", Extents{1, 1, 1}}}),
                                    {in[0], outputs});
    const auto size = static_cast<double>(extent);
    const ValueId x = sampler.align ? times(n, plus(n, place, 1), (size - 1) / 2)
                                    : plus(n, times(n, plus(n, place, 1), size / 2), -0.5);
    taps.push_back(sampler.taps(x, extent, mode));
  }
  Tensor begins = make_tensor(DType::i64, {in[0], 1});
  for (int64_t i = 0; i < in[0]; ++i) begins.as<int64_t>()[static_cast<size_t>(i)] = i * pixels;
  const ValueId channels_last = n.transpose(n.reshape(n.in(0), {in[0], in[1], pixels}), {0, 2, 1});
  Rows rows{n, n.reshape(channels_last, {in[0] * pixels, in[1]}), shape, n.constant(std::move(begins))};
  rows.add(taps, 0, {});
  Extents out{in[0], in[1]};
  out.insert(out.end(), places.begin() + 1, places.end() - 1);
  return {n.reshape(n.transpose(rows.sum, {0, 2, 1}), out)};
}

// theta [n, d, d + 1] times the homogeneous coordinates of each pixel.
Values affine_grid(Call& n) {
  const std::vector<int64_t> size = n.known_integers(1, "size");
  const auto spatial = static_cast<int64_t>(size.size()) - 2;
  if (spatial != 2 && spatial != 3) user_error("its size has {} values, needs 4 or 5", size.size());
  if (n.shape(n.in(0)) != Extents{size[0], spatial, spatial + 1})
    user_error("its theta must have the shape [{}, {}, {}]", size[0], spatial, spatial + 1);
  for (int64_t extent : size)
    if (extent < 1 || extent > (1 << 20)) user_error("its size holds {}", extent);
  const bool align = n.flag("align_corners", false);
  const Extents shape(size.begin() + 2, size.end());
  const int64_t pixels = product(shape);
  n.spend(DType::f64, pixels * (spatial + 1));
  Tensor base = make_tensor(DType::f64, {spatial + 1, pixels});
  for (int64_t p = 0; p < pixels; ++p) {
    int64_t rest = p;
    const auto at = [&](int64_t row) -> double& { return base.as<double>()[static_cast<size_t>(row * pixels + p)]; };
    for (int64_t d = spatial; d-- > 0;) {
      const int64_t extent = shape[static_cast<size_t>(d)], i = rest % extent;
      rest /= extent;
      const auto x = static_cast<double>(i), count = static_cast<double>(extent);
      at(spatial - 1 - d) = align ? (extent == 1 ? -1 : 2 * x / (count - 1) - 1) : (2 * x + 1) / count - 1;
    }
    at(spatial) = 1;
  }
  const ValueId grid = n.emit("matmul", {n.in(0), n.cast(n.constant(std::move(base)), n.dtype(n.in(0)))});
  Extents out{size[0]};
  out.insert(out.end(), shape.begin(), shape.end());
  out.push_back(spatial);
  return {n.reshape(n.transpose(grid, {0, 2, 1}), out)};
}

}  // namespace oc::from_onnx
