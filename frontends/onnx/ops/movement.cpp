// Ops that move elements.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"
#include "frontends/onnx/texts.h"

namespace oc::from_onnx {
namespace {

// A box of a tensor, as our slice takes it.
struct Box {
  Extents starts, sizes, steps;
  explicit Box(const Extents& shape) : starts(shape.size(), 0), sizes(shape), steps(shape.size(), 1) {}
};

ValueId cut(Call& n, ValueId x, const Box& box) {
  const bool whole = box.sizes == n.shape(x) && std::ranges::all_of(box.steps, [](int64_t s) { return s == 1; });
  if (whole) return x;
  return n.emit("slice", {x}, {{"starts", box.starts}, {"sizes", box.sizes}, {"steps", box.steps}});
}

// ONNX's start:end:step along one dim: negative bounds count from the end, all are clamped to the tensor.
void set_range(Box& box, size_t d, int64_t extent, int64_t start, int64_t end, int64_t step) {
  if (step == 0) user_error("its step along dim {} is 0", d);
  const auto clamped = [&](int64_t v) {
    if (v < 0) v += extent;
    return step > 0 ? std::clamp<int64_t>(v, 0, extent) : std::clamp<int64_t>(v, -1, extent - 1);
  };
  step =
      std::clamp<int64_t>(step, -std::max<int64_t>(extent, 1), std::max<int64_t>(extent, 1));  // one element either way
  const int64_t first = clamped(start), last = clamped(end);
  const int64_t span = step > 0 ? last - first : first - last, stride = step > 0 ? step : -step;
  box.sizes[d] = span > 0 ? (span + stride - 1) / stride : 0;
  box.starts[d] = box.sizes[d] > 0 ? first : 0;
  box.steps[d] = box.sizes[d] > 1 ? step : 1;
}

std::vector<int64_t> pad_list(const Call& n) {
  if (n.opset < 11) return n.attribute("pads") != nullptr ? n.integers("pads") : n.integers("paddings");
  return n.known_integers(1, "pads");
}

double pad_value(Call& n) {
  if (is_text(n, n.in(0))) {
    if (n.opset < 11 ? n.attribute("value") != nullptr : n.has(2)) user_error("fills strings with \"\" only");
    return kEmptyText;
  }
  if (n.opset < 11) return n.number("value", 0);
  if (!n.has(2)) return 0;
  return n.demand_number(2, "value");
}

// The tensor again on each side, as often as its pads reach.
ValueId wrapped(Call& n, ValueId x, const std::vector<int64_t>& pads) {
  const auto rank = static_cast<size_t>(n.rank(x));
  for (size_t d = 0; d < rank; ++d) {
    const int64_t extent = n.shape(x)[d], size = extent + pads[d] + pads[d + rank];
    if (size == extent) continue;
    if (extent == 0) user_error("dim {} has no elements to repeat", d);
    n.spend(DType::i64, size);
    Tensor from = make_tensor(DType::i64, {size});
    for (int64_t i = 0; i < size; ++i)
      from.as<int64_t>()[static_cast<size_t>(i)] = ((i - pads[d]) % extent + extent) % extent;
    x = n.emit("gather", {x, n.constant(std::move(from))}, {{"axis", static_cast<int64_t>(d)}});
  }
  return x;
}

// Constants around x: what pad does with a value that is not finite.
ValueId surrounded(Call& n, ValueId x, const std::vector<int64_t>& pads, double value) {
  const auto rank = static_cast<size_t>(n.rank(x));
  for (size_t d = 0; d < rank; ++d) {
    const auto beside = [&](int64_t extent) {
      Extents shape = n.shape(x);
      shape[d] = extent;
      return n.expand(n.like(x, value), shape);
    };
    Values parts{x};
    if (pads[d] > 0) parts.insert(parts.begin(), beside(pads[d]));
    if (pads[d + rank] > 0) parts.push_back(beside(pads[d + rank]));
    if (parts.size() > 1) x = n.emit("concat", parts, {{"axis", static_cast<int64_t>(d)}});
  }
  return x;
}

}  // namespace

// Attributes before opset 10, inputs after.
Values slice(Call& n) {
  const Extents shape = n.shape(n.in(0));
  const bool old = n.opset < 10;
  const std::vector<int64_t> starts = old ? n.integers("starts") : n.known_integers(1, "starts");
  const std::vector<int64_t> ends = old ? n.integers("ends") : n.known_integers(2, "ends");
  std::vector<int64_t> axes = axes_from(0, std::ssize(starts));
  if (const auto given = old ? n.integers("axes", axes) : n.has(3) ? n.known_integers(3, "axes") : axes; !given.empty())
    axes = given;
  const std::vector<int64_t> steps =
      !old && n.has(4) ? n.known_integers(4, "steps") : std::vector<int64_t>(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    user_error("its starts, ends, axes and steps have {}, {}, {} and {} values", starts.size(), ends.size(),
               axes.size(), steps.size());
  static_cast<void>(normal_axes(axes, n.rank(n.in(0))));  // in range, none twice
  Box box(shape);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normal_axis(axes[i], n.rank(n.in(0))));
    set_range(box, d, shape[d], starts[i], ends[i], steps[i]);
  }
  return {cut(n, n.in(0), box)};
}

// Sizes: an attribute before opset 13, an input after; none: equal parts (num_outputs, opset 18: the last may be
// smaller).
Values split(Call& n) {
  const ValueId x = n.in(0);
  const Extents shape = n.shape(x);
  const auto axis = static_cast<size_t>(normal_axis(n.integer("axis", 0), n.rank(x)));
  const int64_t extent = shape[axis], parts = std::max<int64_t>(n.proto.output_size(), 1);
  std::vector<int64_t> sizes;
  if (const auto given = n.integers_or_input("split", 1)) {
    sizes = *given;
  } else {
    if (n.integer("num_outputs", parts) != parts)
      user_error("num_outputs is {} with {} outputs", n.integer("num_outputs"), parts);
    if (extent % parts != 0 && n.opset < 18)
      user_error("{} elements cannot be split into {} equal parts", extent, parts);
    const int64_t chunk = (extent + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(extent - i * chunk, 0, chunk));
  }
  if (static_cast<int64_t>(sizes.size()) != parts) user_error("has {} sizes for {} outputs", sizes.size(), parts);
  int64_t rest = extent;
  for (int64_t size : sizes) {
    if (size < 0 || size > rest) user_error("its sizes do not add up to the {} elements of dim {}", extent, axis);
    rest -= size;
  }
  if (rest != 0) user_error("its sizes leave {} of the {} elements of dim {} over", rest, extent, axis);
  Values results;
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    results.push_back(n.wants(i) ? part(n, x, static_cast<int64_t>(axis), start, sizes[i]) : ValueId());
    start += sizes[i];
  }
  return results;
}

Values concat(Call& n) {
  Values operands;
  for (size_t i = 0; i < n.inputs.size(); ++i) operands.push_back(n.in(i));
  if (operands.empty()) user_error("has no inputs");
  const int64_t axis = normal_axis(n.integer("axis"), n.rank(operands[0]));
  if (operands.size() == 1) return {operands[0]};
  return {n.emit("concat", operands, {{"axis", axis}})};
}

Values transpose(Call& n) {
  std::vector<int64_t> perm(static_cast<size_t>(n.rank(n.in(0))));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(perm.size() - 1 - i);
  perm = n.integers("perm", perm);
  std::vector<int64_t> sorted = perm;
  std::ranges::sort(sorted);
  for (size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<int64_t>(i)) user_error("its perm is no permutation");
  if (static_cast<int64_t>(perm.size()) != n.rank(n.in(0)))
    user_error("its perm has {} values for an input of rank {}", perm.size(), n.rank(n.in(0)));
  return {n.transpose(n.in(0), perm)};
}

// Broadcasts both ways: an extent 1 of the given shape keeps the input's.
Values expand(Call& n) {
  const Extents in = n.shape(n.in(0));
  Extents shape = n.known_integers(1, "sizes");
  if (shape.size() < in.size()) shape.insert(shape.begin(), in.size() - shape.size(), 1);
  for (size_t i = 0; i < in.size(); ++i) {
    int64_t& extent = shape[shape.size() - in.size() + i];
    if (extent == 1) extent = in[i];
  }
  return {n.expand(n.in(0), shape)};
}

// Repeats along each dim: [d] → [1, d] → expanded to [r, d] → [r·d].
Values tile(Call& n) {
  const Extents in = n.shape(n.in(0));
  const std::vector<int64_t> repeats = n.known_integers(1, "repeats");
  if (repeats.size() != in.size()) user_error("has {} repeats for an input of rank {}", repeats.size(), in.size());
  Extents split, wide, result;
  for (size_t d = 0; d < in.size(); ++d) {
    if (repeats[d] < 0) user_error("its repeats hold {}", repeats[d]);
    if (repeats[d] != 1 && in[d] != 1) {
      split.push_back(1);
      wide.push_back(repeats[d]);
    }
    split.push_back(in[d]);
    wide.push_back(in[d] == 1 ? repeats[d] : in[d]);
    int64_t extent = 0;
    if (__builtin_mul_overflow(in[d], repeats[d], &extent)) user_error("its result is too large");
    result.push_back(extent);
  }
  return {n.reshape(n.expand(n.reshape(n.in(0), split), wide), result)};
}

// Negative pads cut.
Values pad(Call& n) {
  ValueId x = n.in(0);
  const int64_t rank = n.rank(x);
  const std::vector<int64_t> given = pad_list(n);
  const std::vector<int64_t> axes = n.has(3) ? n.known_integers(3, "axes") : axes_from(0, rank);
  static_cast<void>(normal_axes(axes, rank));
  if (given.size() != 2 * axes.size()) user_error("has {} pads, needs {}", given.size(), 2 * axes.size());
  Box box(n.shape(x));
  std::vector<int64_t> pads(static_cast<size_t>(2 * rank), 0);
  constexpr int64_t kMaxPad = int64_t{1} << 40;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normal_axis(axes[i], rank));
    const int64_t begin = given[i], end = given[i + axes.size()];
    if (std::max(begin, end) > kMaxPad || std::min(begin, end) < -box.sizes[d])
      user_error("its pads {} and {} of dim {} are out of range", begin, end, d);
    box.starts[d] = std::max<int64_t>(-begin, 0);
    box.sizes[d] -= std::max<int64_t>(-begin, 0) + std::max<int64_t>(-end, 0);
    if (box.sizes[d] < 0)
      user_error("its pads {} and {} cut more than the {} elements of dim {}", begin, end, n.shape(x)[d], d);
    pads[d] = std::max<int64_t>(begin, 0);
    pads[d + static_cast<size_t>(rank)] = std::max<int64_t>(end, 0);
  }
  const std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap")
    user_error("mode '{}' is unknown; constant, edge, reflect and wrap are", mode);
  x = cut(n, x, box);
  if (mode == "wrap") return {wrapped(n, x, pads)};
  if (std::ranges::all_of(pads, [](int64_t p) { return p == 0; })) return {x};
  const double value = pad_value(n);
  if (mode == "constant" && !std::isfinite(value)) return {surrounded(n, x, pads, value)};
  return {n.emit("pad", {x}, {{"pads", pads}, {"mode", mode}, {"value", mode == "constant" ? value : 0}})};
}

// Cuts or pads both sides alike; of an odd number the end gets one more.
Values center_crop_pad(Call& n) {
  const Extents in = n.shape(n.in(0));
  const std::vector<int64_t> axes = n.integers("axes", axes_from(0, std::ssize(in)));
  static_cast<void>(normal_axes(axes, n.rank(n.in(0))));
  const std::vector<int64_t> wanted = n.known_integers(1, "sizes");
  if (wanted.size() != axes.size()) user_error("has {} sizes for {} axes", wanted.size(), axes.size());
  std::vector<int64_t> pads(2 * in.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normal_axis(axes[i], n.rank(n.in(0))));
    if (wanted[i] < 0 || wanted[i] > (int64_t{1} << 40)) user_error("its size {} is out of range", wanted[i]);
    const int64_t more = std::abs(wanted[i] - in[d]), sign = wanted[i] < in[d] ? -1 : 1;
    pads[d] = sign * (more / 2);
    pads[d + in.size()] = sign * (more - more / 2);
  }
  if (std::ranges::all_of(pads, [](int64_t p) { return p == 0; })) return {n.in(0)};
  return {n.emit("pad", {n.in(0)}, {{"pads", pads}, {"mode", std::string("constant")}, {"value", 0.0}})};
}

namespace {

// x [n, c, h, w] and a block size that its dims allow.
int64_t block_of(const Call& n) {
  if (n.rank(n.in(0)) != 4) user_error("its input has rank {}, must be 4", n.rank(n.in(0)));
  const int64_t block = n.integer("blocksize");
  if (block < 1 || block > (1 << 15)) user_error("blocksize {} is out of range", block);
  return block;
}

bool depth_first(const Call& n) {
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") user_error("mode '{}' is unknown; DCR and CRD are", mode);
  return mode == "DCR";
}

}  // namespace

// DCR: [n, b, b, c, h, w] → [n, c, h, b, w, b]; CRD: [n, c, b, b, h, w] likewise.
Values depth_to_space(Call& n) {
  const Extents s = n.shape(n.in(0));
  const int64_t b = block_of(n);
  const bool dcr = depth_first(n);
  if (s[1] % (b * b) != 0) user_error("{} channels cannot be divided into blocks of {}", s[1], b * b);
  const int64_t c = s[1] / (b * b);
  const ValueId parts =
      n.reshape(n.in(0), dcr ? Extents{s[0], b, b, c, s[2], s[3]} : Extents{s[0], c, b, b, s[2], s[3]});
  const ValueId moved = n.transpose(parts, dcr ? Extents{0, 3, 4, 1, 5, 2} : Extents{0, 1, 4, 2, 5, 3});
  return {n.reshape(moved, {s[0], c, s[2] * b, s[3] * b})};
}

Values space_to_depth(Call& n) {
  const Extents s = n.shape(n.in(0));
  const int64_t b = block_of(n);
  if (s[2] % b != 0 || s[3] % b != 0) user_error("{} × {} elements cannot be divided into blocks of {}", s[2], s[3], b);
  const ValueId parts = n.reshape(n.in(0), {s[0], s[1], s[2] / b, b, s[3] / b, b});
  const ValueId moved = n.transpose(parts, depth_first(n) ? Extents{0, 3, 5, 1, 2, 4} : Extents{0, 1, 3, 5, 2, 4});
  return {n.reshape(moved, {s[0], s[1] * b * b, s[2] / b, s[3] / b})};
}

// The upper (lower) triangle from the k-th diagonal on; the rest becomes 0.
Values trilu(Call& n) {
  const ValueId x = n.in(0);
  const Extents shape = n.shape(x);
  if (shape.size() < 2) user_error("its input has rank {}, needs matrices", shape.size());
  const bool upper = n.flag("upper", true);
  const std::vector<int64_t> diagonal = n.has(1) ? n.known_integers(1, "diagonal") : std::vector<int64_t>{0};
  if (diagonal.size() != 1) user_error("its diagonal k must be a scalar");
  const int64_t rows = shape[shape.size() - 2], columns = shape[shape.size() - 1];
  const int64_t k = std::clamp<int64_t>(diagonal[0], -rows, columns);
  n.spend(DType::boolean, product(std::span(shape).last(2)));
  Tensor keep = make_tensor(DType::boolean, {rows, columns});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      keep.bytes[static_cast<size_t>(r * columns + c)] = std::byte(upper ? c - r >= k : c - r <= k);
  return {n.emit("where", {n.constant(std::move(keep)), x, n.like(x, 0)})};
}

}  // namespace oc::from_onnx
