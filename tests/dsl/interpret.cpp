#include "tests/dsl/interpret.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "tests/dsl/reference.h"

namespace oc::test {
namespace {

Tensor converted(const Tensor& from, DType to, const OpSet& ops) {
  Graph graph;
  const ValueId x = graph.add_constant({}, std::make_shared<const Tensor>(from));
  const Node cast{"cast", {x}, {}, {{"to", std::string(dtype_name(to))}}, {}};
  return traits(ops, "cast").evaluate(view(graph, cast))[0];
}

double read(const Tensor& x, const Extents& at) {
  size_t offset = 0;
  for (size_t d = 0; d < at.size(); ++d) offset = offset * static_cast<size_t>(x.shape[d]) + static_cast<size_t>(at[d]);
  return x.as<float>()[offset];
}

// Calls f(index, linear index) for every element.
template <class F>
void each(const Extents& shape, F&& f) {
  Extents at(shape.size(), 0);
  for (int64_t i = 0; i < element_count(shape); ++i) {
    f(at, static_cast<size_t>(i));
    for (size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

// ONNX AveragePool by its text: padding counts only with count_include_pad, and what ceil_mode added never.
Tensor average_pool(const Node& node, const Tensor& x, const Type& out) {
  const auto list = [&](const char* name) { return node.attrs.integers(name); };
  const auto kernel = list("kernel"), strides = list("strides"), pads = list("pads"), dilations = list("dilations"),
             ceil = node.attrs.integers("ceil_pads", Extents{0, 0});
  const bool include = node.attrs.integer("count_include_pad", 0) != 0;
  Tensor result = make_tensor(DType::f32, out.extents());
  each(result.shape, [&](const Extents& o, size_t i) {
    double sum = 0, count = 0;
    for (int64_t ky = 0; ky < kernel[0]; ++ky)
      for (int64_t kx = 0; kx < kernel[1]; ++kx) {
        const int64_t y = o[2] * strides[0] + ky * dilations[0] - pads[0],
                      c = o[3] * strides[1] + kx * dilations[1] - pads[1];
        const bool inside = y >= 0 && y < x.shape[2] && c >= 0 && c < x.shape[3];
        if (inside) sum += read(x, {o[0], o[1], y, c});
        if (inside || (include && y < x.shape[2] + pads[2] - ceil[0] && c < x.shape[3] + pads[3] - ceil[1])) ++count;
      }
    result.as<float>()[i] = static_cast<float>(sum / count);
  });
  return result;
}

// ONNX Resize by its text, over all dims.
struct Resize {
  const Node& node;
  const Tensor& x;
  Extents sizes = node.attrs.integers("sizes");
  std::vector<double> scales = node.attrs.numbers("scales", ratios());
  std::string mode = node.attrs.text("mode"), coordinate = node.attrs.text("coordinate"),
              nearest = node.attrs.text("nearest", "round_prefer_floor");

  [[nodiscard]] std::vector<double> ratios() const {
    std::vector<double> result;
    for (size_t d = 0; d < sizes.size(); ++d)
      result.push_back(static_cast<double>(sizes[d]) / static_cast<double>(x.shape[d]));
    return result;
  }

  [[nodiscard]] double source(size_t d, int64_t i) const {
    const auto out = static_cast<double>(i), in_size = static_cast<double>(x.shape[d]),
               out_size = static_cast<double>(sizes[d]);
    if (coordinate == "asymmetric") return out / scales[d];
    if (coordinate == "align_corners") return sizes[d] == 1 ? 0 : out * (in_size - 1) / (out_size - 1);
    if (coordinate == "pytorch_half_pixel" && sizes[d] == 1) return 0;
    return (out + 0.5) / scales[d] - 0.5;
  }
  [[nodiscard]] double rounded(double at) const {
    if (nearest == "round_prefer_floor") return std::ceil(at - 0.5);
    if (nearest == "round_prefer_ceil") return std::floor(at + 0.5);
    return nearest == "ceil" ? std::ceil(at) : std::floor(at);
  }
  // Dims from d on, the ones before fixed in `at`.
  double value(const Extents& o, size_t d, Extents& at) const {
    if (d == o.size()) return read(x, at);
    const auto tap = [&](double position) {
      at[d] = std::clamp<int64_t>(static_cast<int64_t>(position), 0, x.shape[d] - 1);
      return value(o, d + 1, at);
    };
    const double position = source(d, o[d]);
    if (mode == "nearest") return tap(rounded(position));
    const double low = std::floor(position), share = position - low;
    return (1 - share) * tap(low) + (share > 0 ? share * tap(low + 1) : 0);
  }
  [[nodiscard]] Tensor run() const {
    Tensor result = make_tensor(DType::f32, sizes);
    each(sizes, [&](const Extents& o, size_t i) {
      Extents at(o.size(), 0);
      result.as<float>()[i] = static_cast<float>(value(o, 0, at));
    });
    return result;
  }
};

Tensor run_anchor(const Node& node, const std::vector<Tensor>& inputs, const Type& out) {
  if (node.op == "average_pool") return average_pool(node, inputs[0], out);
  if (node.op == "resize") return Resize{node, inputs[0]}.run();
  return naive(node, inputs, out);
}

std::vector<Tensor> run_node(const Graph& known, const Node& node, const OpSet& ops) {
  const NodeView node_view = view(known, node);
  const OpTraits& op = traits(ops, node.op);
  if (op.evaluate) return op.evaluate(node_view);
  std::vector<Tensor> inputs;
  for (const Tensor* input : node_view.constants)
    if (input != nullptr) inputs.push_back(converted(*input, DType::f32, ops));
  Type out = op.infer(node_view)[0];
  const DType dtype = std::exchange(out.dtype, DType::f32);
  return {converted(run_anchor(node, inputs, out), dtype, ops)};
}

}  // namespace

std::vector<Tensor> interpret(const Graph& graph, const OpSet& ops, const std::vector<Tensor>& inputs) {
  Graph known = graph;
  const auto set = [&](ValueId id, Tensor value) {
    if (make_type(value.dtype, value.shape) != known[id].type)
      internal_error("value '{}' is not of its type", known[id].name);
    known[id].data = std::make_shared<const Tensor>(std::move(value));
  };
  for (size_t i = 0; i < inputs.size(); ++i) set(known.inputs.at(i), inputs[i]);
  for (const Node& node : graph.nodes) set(node.outputs.at(0), std::move(run_node(known, node, ops).at(0)));
  std::vector<Tensor> outputs;
  for (ValueId output : known.outputs) outputs.push_back(*known[output].data);
  return outputs;
}

}  // namespace oc::test
