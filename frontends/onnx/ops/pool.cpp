// Pooling.
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/ops/window.h"

namespace oc::from_onnx {
namespace {

// ceil_mode rounds the number of outputs up: the last window may leave the padded input, but must start inside the
// input or its leading pad. Returned as larger pads at the end; how much larger is the result.
std::vector<int64_t> apply_ceil_mode(WindowAttrs& window) {
  std::vector<int64_t> added{0, 0};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t room = window.in[i] + window.pads[i] + window.pads[i + 2] - window.reach(i);
    if (room < 0) user_error("its window of {} is larger than the padded input", window.reach(i));
    int64_t steps = (room + window.strides[i] - 1) / window.strides[i];
    if (steps * window.strides[i] >= window.in[i] + window.pads[i]) --steps;
    const int64_t end =
        std::max<int64_t>(steps * window.strides[i] + window.reach(i) - window.in[i] - window.pads[i], 0);
    if (end <= window.pads[i + 2]) continue;
    added[i] = end - window.pads[i + 2];
    window.pads[i + 2] = end;
  }
  return added;
}

struct Pool {
  WindowAttrs window;
  std::vector<int64_t> ceil_pads;
};

Pool read_pool(Call& n) {
  Pool pool{window_attrs(n, n.in(0), n.integers("kernel_shape")), {0, 0}};
  apply_auto_pad(pool.window);
  if (n.flag("ceil_mode", false)) pool.ceil_pads = apply_ceil_mode(pool.window);
  return pool;
}

Attrs pool_attrs(const WindowAttrs& window) {
  return {
      {"kernel", window.kernel}, {"strides", window.strides}, {"pads", window.pads}, {"dilations", window.dilations}};
}

}  // namespace

Values max_pool(Call& n) {
  if (n.wants(1)) user_error("its output Indices is not supported");
  const Pool pool = read_pool(n);
  return {from_2d(n, n.emit("max_pool", {to_2d(n, n.in(0))}, pool_attrs(pool.window)), n.rank(n.in(0)))};
}

Values average_pool(Call& n) {
  const Pool pool = read_pool(n);
  Attrs attrs = pool_attrs(pool.window);
  attrs["count_include_pad"] = int64_t{n.flag("count_include_pad", false)};
  attrs["ceil_pads"] = pool.ceil_pads;
  return {from_2d(n, n.emit("average_pool", {to_2d(n, n.in(0))}, attrs), n.rank(n.in(0)))};
}

Values global_pool(Call& n) {
  if (n.rank(n.in(0)) < 3) user_error("its input has rank {}, needs spatial dims", n.rank(n.in(0)));
  std::vector<int64_t> axes(static_cast<size_t>(n.rank(n.in(0)) - 2));
  std::iota(axes.begin(), axes.end(), 2);
  return {n.emit(n.row.op, {n.in(0)}, {{"axes", axes}})};
}

}  // namespace oc::from_onnx
