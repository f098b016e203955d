// Pooling.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "frontends/onnx/ops/reduce.h"
#include "frontends/onnx/ops/window.h"

namespace oc::from_onnx {
namespace {

// ceil_mode rounds the number of outputs up: the last window may leave the padded input, but must start inside the
// input or its leading pad. Returned as larger pads at the end; how much larger is the result.
std::vector<int64_t> apply_ceil_mode(WindowAttrs& window) {
  const size_t spatial = window.in.size();
  std::vector<int64_t> added(spatial, 0);
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t room = window.in[i] + window.pads[i] + window.pads[i + spatial] - window.reach(i);
    if (room < 0) user_error("its window of {} is larger than the padded input", window.reach(i));
    int64_t steps = (room + window.strides[i] - 1) / window.strides[i];
    if (steps * window.strides[i] >= window.in[i] + window.pads[i]) --steps;
    const int64_t end =
        std::max<int64_t>(steps * window.strides[i] + window.reach(i) - window.in[i] - window.pads[i], 0);
    if (end <= window.pads[i + spatial]) continue;
    added[i] = end - window.pads[i + spatial];
    window.pads[i + spatial] = end;
  }
  return added;
}

struct Pool {
  WindowAttrs window;
  std::vector<int64_t> ceil_pads;
};

Pool read_pool(Call& n) {
  Pool pool{window_attrs(n, n.in(0), n.integers("kernel_shape")), {}};
  const WindowAttrs& window = pool.window;
  for (size_t i = 0; i < window.pads.size(); ++i)  // else the window may lie in the padding alone, where nothing is
    if (const size_t dim = i % window.in.size(); window.pads[i] >= window.reach(dim))
      user_error("attribute 'pads' holds {}, its window of {} must be larger", window.pads[i], window.reach(dim));
  apply_auto_pad(pool.window);
  pool.ceil_pads.assign(pool.window.in.size(), 0);
  if (n.flag("ceil_mode", false)) pool.ceil_pads = apply_ceil_mode(pool.window);
  return pool;
}

// The window along two of its dims, y first; without y: along the x of images of one column.
Attrs plane(const Pool& pool, std::optional<size_t> y, std::optional<size_t> x, const Attrs& others) {
  const auto pair = [&](const std::vector<int64_t>& values, int64_t none, size_t offset = 0) {
    return Extents{y ? values[*y + offset] : none, x ? values[*x + offset] : none};
  };
  const WindowAttrs& w = pool.window;
  Extents pads = pair(w.pads, 0);
  const Extents end = pair(w.pads, 0, w.in.size());
  pads.insert(pads.end(), end.begin(), end.end());
  Attrs attrs = others;
  attrs["kernel"] = pair(w.kernel, 1);
  attrs["strides"] = pair(w.strides, 1);
  attrs["dilations"] = pair(w.dilations, 1);
  attrs["pads"] = pads;
  if (attrs.contains("count_include_pad")) attrs["ceil_pads"] = pair(pool.ceil_pads, 0);
  return attrs;
}

// Over three spatial dims: over the last two, then over the first. Means too: what counts in a box is the product of
// what counts along its dims.
ValueId pooled(Call& n, std::string_view op, const Pool& pool, ValueId x, const Attrs& others) {
  if (pool.window.in.size() == 2) return from_2d(n, n.emit(op, {to_2d(n, x)}, plane(pool, 0, 1, others)), n.rank(x));
  const Extents in = n.shape(x);
  const ValueId planes = n.emit(op, {n.reshape(x, {in[0], in[1] * in[2], in[3], in[4]})}, plane(pool, 1, 2, others));
  const Extents out = n.shape(planes);
  const ValueId columns =
      n.emit(op, {n.reshape(planes, {in[0], in[1], in[2], out[2] * out[3]})}, plane(pool, 0, {}, others));
  return n.reshape(columns, {in[0], in[1], n.shape(columns)[2], out[2], out[3]});
}

}  // namespace

Values max_pool(Call& n) {
  if (n.wants(1)) user_error("its output Indices is not supported");
  return {pooled(n, "max_pool", read_pool(n), n.in(0), {})};
}

Values average_pool(Call& n) {
  const Attrs attrs{{"count_include_pad", int64_t{n.flag("count_include_pad", false)}}};
  return {pooled(n, "average_pool", read_pool(n), n.in(0), attrs)};
}

// (Σ |x|ᵖ)^(1/p) over the window: the mean with its padding, times the window's size.
Values lp_pool(Call& n) {
  const int64_t p = n.integer("p", 2);
  if (p < 1 || p > 1024) user_error("p is {}, must be 1 or more", p);
  Pool pool = read_pool(n);
  std::ranges::fill(pool.ceil_pads, 0);  // what ceil_mode adds counts as well, with nothing in it
  const ValueId x = n.in(0), size = n.like(x, static_cast<double>(product(pool.window.kernel)));
  const auto power = [&](ValueId value, double e) { return n.emit("pow", {value, n.like(value, e)}); };
  const ValueId mean = pooled(n, "average_pool", pool, power(n.emit("abs", {x}), static_cast<double>(p)),
                              {{"count_include_pad", int64_t{1}}});
  return {power(n.emit("mul", {mean, size}), 1 / static_cast<double>(p))};
}

Values global_lp_pool(Call& n) {
  const ValueId x = n.in(0);
  const auto p = static_cast<double>(n.integer("p", 2));
  if (p < 1) user_error("p is {}, must be 1 or more", p);
  const ValueId powers = n.emit("pow", {n.emit("abs", {x}), n.like(x, p)});
  const ValueId sum = reduce_over(n, "reduce_sum", powers, axes_from(2, n.rank(x)));
  return {n.emit("pow", {sum, n.like(sum, 1 / p)})};
}

Values global_pool(Call& n) {
  if (n.rank(n.in(0)) < 3) user_error("its input has rank {}, needs spatial dims", n.rank(n.in(0)));
  return {n.emit(n.row.op, {n.in(0)}, {{"axes", axes_from(2, n.rank(n.in(0)))}})};
}

}  // namespace oc::from_onnx
