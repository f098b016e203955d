#include "tests/dsl/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc::test {
namespace {

struct View {
  const Tensor& t;
  [[nodiscard]] double at(std::initializer_list<int64_t> index) const {
    const std::vector<int64_t> i(index);
    return t.as<float>()[static_cast<size_t>(row_major(i, t.shape))];
  }
  [[nodiscard]] int64_t extent(size_t d) const { return t.shape[d]; }
};

struct Attributes {
  std::vector<int64_t> strides, pads, dilations;
  explicit Attributes(const Node& node)
      : strides(node.attrs.integers("strides")),
        pads(node.attrs.integers("pads")),
        dilations(node.attrs.integers("dilations")) {}
};

using Fill = std::function<double(const Extents&)>;

Tensor filled(const Type& out, const Fill& f) {
  Tensor t = make_tensor(out.dtype, out.extents());
  for_each_index(t.shape, [&](const Extents& index, int64_t linear) {
    t.as<float>()[static_cast<size_t>(linear)] = static_cast<float>(f(index));
  });
  return t;
}

Tensor conv(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const View x{in[0]}, w{in[1]};
  const Attributes a(node);
  const int64_t group = node.attrs.integer("group", 1), per_out = w.extent(0) / group, per_in = w.extent(1);
  return filled(out, [&](const Extents& o) {
    double sum = in.size() > 2 ? in[2].as<float>()[static_cast<size_t>(o[1])] : 0;
    for (int64_t c = 0; c < per_in; ++c)
      for (int64_t ky = 0; ky < w.extent(2); ++ky)
        for (int64_t kx = 0; kx < w.extent(3); ++kx) {
          const int64_t y = o[2] * a.strides[0] + ky * a.dilations[0] - a.pads[0],
                        col = o[3] * a.strides[1] + kx * a.dilations[1] - a.pads[1];
          if (y < 0 || y >= x.extent(2) || col < 0 || col >= x.extent(3)) continue;
          sum += x.at({o[0], o[1] / per_out * per_in + c, y, col}) * w.at({o[1], c, ky, kx});
        }
    return sum;
  });
}

// Scattered, unlike the algorithm under test, which gathers.
Tensor conv_transpose(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const View x{in[0]}, w{in[1]};
  const Attributes a(node);
  const int64_t group = node.attrs.integer("group", 1), per_in = w.extent(0) / group, per_out = w.extent(1);
  const Extents shape = out.extents();
  std::vector<double> sums(static_cast<size_t>(element_count(shape)));
  for_each_index(in[0].shape, [&](const Extents& i, int64_t) {
    for (int64_t c = 0; c < per_out; ++c)
      for (int64_t ky = 0; ky < w.extent(2); ++ky)
        for (int64_t kx = 0; kx < w.extent(3); ++kx) {
          const int64_t y = i[2] * a.strides[0] + ky * a.dilations[0] - a.pads[0],
                        col = i[3] * a.strides[1] + kx * a.dilations[1] - a.pads[1];
          if (y < 0 || y >= shape[2] || col < 0 || col >= shape[3]) continue;
          const Extents at{i[0], i[1] / per_in * per_out + c, y, col};
          sums[static_cast<size_t>(row_major(at, shape))] += x.at({i[0], i[1], i[2], i[3]}) * w.at({i[1], c, ky, kx});
        }
  });
  return filled(out, [&](const Extents& o) {
    return sums[static_cast<size_t>(row_major(o, shape))] +
           (in.size() > 2 ? in[2].as<float>()[static_cast<size_t>(o[1])] : 0);
  });
}

Tensor pool(const Node& node, const std::vector<Tensor>& in, const Type& out, bool average) {
  const View x{in[0]};
  const Attributes a(node);
  const auto kernel = node.attrs.integers("kernel");
  return filled(out, [&](const Extents& o) {
    double best = -std::numeric_limits<double>::infinity(), sum = 0;
    int64_t count = 0;
    for (int64_t ky = 0; ky < kernel[0]; ++ky)
      for (int64_t kx = 0; kx < kernel[1]; ++kx) {
        const int64_t y = o[2] * a.strides[0] + ky * a.dilations[0] - a.pads[0],
                      col = o[3] * a.strides[1] + kx * a.dilations[1] - a.pads[1];
        if (y < 0 || y >= x.extent(2) || col < 0 || col >= x.extent(3)) continue;
        best = std::max(best, x.at({o[0], o[1], y, col}));
        sum += x.at({o[0], o[1], y, col});
        ++count;
      }
    return average ? sum / static_cast<double>(count) : best;
  });
}

Tensor transposed(const Tensor& t, const Extents& perm) {
  Extents shape;
  for (int64_t p : perm) shape.push_back(t.shape[static_cast<size_t>(p)]);
  Tensor result = make_tensor(t.dtype, shape);
  for_each_index(result.shape, [&](const Extents& index, int64_t linear) {
    Extents at(index.size());
    for (size_t d = 0; d < perm.size(); ++d) at[static_cast<size_t>(perm[d])] = index[d];
    copy_element(t, row_major(at, t.shape), result, linear);
  });
  return result;
}

Tensor matmul(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const auto operand = [&](size_t i, const char* perm) {
    return node.attrs.contains(perm) ? transposed(in[i], node.attrs.integers(perm)) : in[i];
  };
  const Tensor left = operand(0, "a_perm"), right = operand(1, "b_perm");
  const int64_t k = left.shape.back();
  return filled(out, [&](const Extents& o) {
    double sum = 0;
    for (int64_t i = 0; i < k; ++i) {
      Extents a = o, b = o;
      a.back() = i;
      b[b.size() - 2] = i;
      sum += static_cast<double>(left.as<float>()[static_cast<size_t>(broadcast_offset(a, left.shape))]) *
             right.as<float>()[static_cast<size_t>(broadcast_offset(b, right.shape))];
    }
    return sum;
  });
}

Tensor softmax(const Node& node, const std::vector<Tensor>& in, const Type& out, bool logarithm) {
  const auto axis = static_cast<size_t>(node.attrs.integer("axis"));
  return filled(out, [&](const Extents& o) {
    const auto value = [&](int64_t i) {
      Extents at = o;
      at[axis] = i;
      return static_cast<double>(in[0].as<float>()[static_cast<size_t>(row_major(at, in[0].shape))]);
    };
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = 0; i < in[0].shape[axis]; ++i) max = std::max(max, value(i));
    for (int64_t i = 0; i < in[0].shape[axis]; ++i) sum += std::exp(value(i) - max);
    return logarithm ? value(o[axis]) - max - std::log(sum) : std::exp(value(o[axis]) - max) / sum;
  });
}

// Without a mean for rms_norm.
Tensor layer_norm(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const auto axis = static_cast<size_t>(node.attrs.integer("axis"));
  int64_t count = 1;
  for (size_t d = axis; d < in[0].shape.size(); ++d) count *= in[0].shape[d];
  return filled(out, [&](const Extents& o) {
    Extents first = o;
    for (size_t d = axis; d < first.size(); ++d) first[d] = 0;
    const float* row = in[0].as<float>().data() + row_major(first, in[0].shape);
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < count && node.op == "layer_norm"; ++i) mean += row[i] / static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(count);
    double value = (in[0].as<float>()[static_cast<size_t>(row_major(o, in[0].shape))] - mean) /
                   std::sqrt(variance + node.attrs.number("epsilon"));
    if (in.size() > 1) value *= in[1].as<float>()[static_cast<size_t>(broadcast_offset(o, in[1].shape))];
    if (in.size() > 2) value += in[2].as<float>()[static_cast<size_t>(broadcast_offset(o, in[2].shape))];
    return value;
  });
}

// Row by row, on operands and result as they are without their permutations.
Tensor attention(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const auto operand = [&](size_t i, const char* perm) { return transposed(in[i], node.attrs.integers(perm)); };
  const auto read = [](const Tensor& t, const Extents& at) {
    return static_cast<double>(t.as<float>()[static_cast<size_t>(broadcast_offset(at, t.shape))]);
  };
  const Tensor q = operand(0, "q_perm"), k = operand(1, "k_perm"), v = operand(2, "v_perm");
  const int64_t keys = k.shape[k.shape.size() - 2], depth = k.shape.back();
  const auto score = [&](const Extents& row, int64_t key) {  // row: [batch …, m, any]
    Extents at_q = row, at_k = row;
    at_k[row.size() - 2] = key;
    double sum = 0;
    for (int64_t d = 0; d < depth; ++d) {
      at_q.back() = at_k.back() = d;
      sum += read(q, at_q) * read(k, at_k);
    }
    at_q.back() = key;
    return sum * node.attrs.number("scale", 1) + (in.size() > 3 ? read(in[3], at_q) : 0);
  };
  const Extents order = node.attrs.integers("out_perm");
  return filled(out, [&](const Extents& o) {
    Extents at(o.size());
    for (size_t d = 0; d < o.size(); ++d) at[static_cast<size_t>(order[d])] = o[d];
    std::vector<double> weights;
    for (int64_t key = 0; key < keys; ++key) weights.push_back(score(at, key));
    const double max = *std::ranges::max_element(weights);
    double total = 0, value = 0;
    for (int64_t key = 0; key < keys; ++key) {
      const double weight = std::exp(weights[static_cast<size_t>(key)] - max);
      Extents at_v = at;
      at_v[at.size() - 2] = key;
      total += weight;
      value += weight * read(v, at_v);
    }
    return std::isnan(total) && node.attrs.integer("nan_as_zero", 0) != 0 ? 0 : value / total;
  });
}

// ONNX Resize straight from its text, in coordinates of the operator's test generator.
Tensor resize(const Node& node, const std::vector<Tensor>& in, const Type& out) {
  const bool linear = node.attrs.text("mode") == "linear";
  const std::string coordinate = node.attrs.text("coordinate");
  const Extents size = out.extents();
  const auto source = [&](size_t d, int64_t i) {
    const double scale = static_cast<double>(size[d]) / static_cast<double>(in[0].shape[d]);
    if (coordinate == "asymmetric") return static_cast<double>(i) / scale;
    if (coordinate == "align_corners")
      return static_cast<double>(i) * static_cast<double>(in[0].shape[d] - 1) / static_cast<double>(size[d] - 1);
    return (static_cast<double>(i) + 0.5) / scale - 0.5;
  };
  const auto value = [&](const Extents& o, int64_t y, int64_t x) {
    const Extents at{o[0], o[1], std::clamp<int64_t>(y, 0, in[0].shape[2] - 1),
                     std::clamp<int64_t>(x, 0, in[0].shape[3] - 1)};
    return static_cast<double>(in[0].as<float>()[static_cast<size_t>(row_major(at, in[0].shape))]);
  };
  return filled(out, [&](const Extents& o) {
    const double y = source(2, o[2]), x = source(3, o[3]);
    if (!linear) return value(o, static_cast<int64_t>(std::ceil(y - 0.5)), static_cast<int64_t>(std::ceil(x - 0.5)));
    const auto y0 = static_cast<int64_t>(std::floor(y)), x0 = static_cast<int64_t>(std::floor(x));
    const double fy = y - std::floor(y), fx = x - std::floor(x);
    return (1 - fy) * ((1 - fx) * value(o, y0, x0) + fx * value(o, y0, x0 + 1)) +
           fy * ((1 - fx) * value(o, y0 + 1, x0) + fx * value(o, y0 + 1, x0 + 1));
  });
}

}  // namespace

Tensor naive(const Node& node, const std::vector<Tensor>& inputs, const Type& out) {
  if (node.op == "conv") return conv(node, inputs, out);
  if (node.op == "conv_transpose") return conv_transpose(node, inputs, out);
  if (node.op == "max_pool" || node.op == "average_pool") return pool(node, inputs, out, node.op == "average_pool");
  if (node.op == "matmul") return matmul(node, inputs, out);
  if (node.op == "attention") return attention(node, inputs, out);
  if (node.op == "softmax" || node.op == "log_softmax") return softmax(node, inputs, out, node.op == "log_softmax");
  if (node.op == "layer_norm" || node.op == "rms_norm") return layer_norm(node, inputs, out);
  if (node.op == "resize") return resize(node, inputs, out);
  if (node.op == "relayout") return inputs[0];
  internal_error("no reference for '{}'", node.op);
}

}  // namespace oc::test
