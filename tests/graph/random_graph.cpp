#include "tests/graph/random_graph.h"

#include <cmath>
#include <random>

#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

struct Maker {
  std::mt19937 random;
  bool with_branches;
  Graph graph = {};
  std::vector<ValueId> pool = {};        // rank 4, batch 1
  std::vector<ValueId> conditions = {};  // bool inputs

  template <class T>
  T any(std::initializer_list<T> choices) {
    return choices.begin()[random() % choices.size()];
  }
  // Mostly a late value, so that chains form.
  ValueId operand() {
    const size_t back = std::min<size_t>(random() % 6, random() % 6);
    return pool[pool.size() - 1 - std::min(back, pool.size() - 1)];
  }
  [[nodiscard]] Extents shape(ValueId value) const { return graph[value].type.extents(); }
  ValueId constant(const Extents& extents, double low, double high) {
    Tensor t = make_tensor(DType::f32, extents);
    std::uniform_real_distribution<float> real(static_cast<float>(low), static_cast<float>(high));
    for (float& e : t.as<float>()) e = real(random);
    return graph.add_constant({}, std::make_shared<const Tensor>(std::move(t)));
  }
  ValueId node(const char* op, std::vector<ValueId> inputs, Attrs attrs = {}) {
    return add_op(graph, all_ops(), op, std::move(inputs), std::move(attrs));
  }
  static Attrs depthwise(int64_t channels) {
    Attrs attrs = window(1, 1);
    attrs["group"] = channels;
    return attrs;
  }
  static Attrs window(int64_t pad, int64_t stride) {
    return {{"pads", Extents{pad, pad, pad, pad}}, {"strides", Extents{stride, stride}}, {"dilations", Extents{1, 1}}};
  }

  ValueId convolution(ValueId x) {
    const int64_t channels = shape(x)[1], size = any<int64_t>({1, 1, 3});
    const bool depthwise = random() % 3 == 0;
    const int64_t out = depthwise ? channels : any<int64_t>({1, 3, 8, 16, 17});
    Attrs attrs = window(size / 2, any<int64_t>({1, 1, 2}));
    attrs["group"] = depthwise ? channels : int64_t{1};
    const int64_t fan_in = (depthwise ? 1 : channels) * size * size;
    const double reach = 2.0 / std::sqrt(static_cast<double>(fan_in));
    std::vector<ValueId> inputs{x, constant({out, depthwise ? 1 : channels, size, size}, -reach, reach)};
    if (random() % 2 == 0) inputs.push_back(constant({out}, -1, 1));
    return node("conv", inputs, attrs);
  }
  ValueId pooling(ValueId x) {
    Attrs attrs = window(1, any<int64_t>({1, 2}));
    attrs["kernel"] = Extents{3, 3};
    if (random() % 2 == 0) return node("max_pool", {x}, attrs);
    attrs["count_include_pad"] = int64_t{0};
    attrs["ceil_pads"] = Extents{0, 0};
    return node("average_pool", {x}, attrs);
  }
  // With itself, a constant along some dims, or another value of the shape.
  ValueId binary(ValueId x) {
    const char* op = any<const char*>({"add", "mul", "sub", "max"});
    const Extents s = shape(x);
    const Extents constants[] = {{1}, {s[1], 1, 1}, {1, s[1], 1, 1}, {s[3]}, s};
    std::vector<ValueId> inputs{x, random() % 2 == 0 ? constant(constants[random() % 5], 0.5, 1) : operand()};
    if (shape(inputs[1]).size() == 4 && shape(inputs[1]) != s && shape(inputs[1]) != constants[2])
      inputs[1] = node("tanh", {x});
    if (random() % 2 == 0) std::swap(inputs[0], inputs[1]);
    return node(op, inputs);
  }
  ValueId movement(ValueId x) {
    const Extents s = shape(x);
    switch (random() % 4) {
      case 0: return node("transpose", {x}, {{"perm", any<Extents>({{0, 1, 3, 2}, {0, 2, 1, 3}, {0, 3, 1, 2}})}});
      case 1: return node("concat", {x, node("neg", {x})}, {{"axis", any<int64_t>({1, 2})}});
      case 2:
        return node("slice", {x},
                    {{"starts", Extents{0, s[1] / 2, 0, 0}},
                     {"sizes", Extents{1, s[1] - s[1] / 2, s[2], s[3]}},
                     {"steps", Extents{1, 1, 1, 1}}});
      default: return node("reshape", {x}, {{"shape", Extents{1, s[1], 1, s[2] * s[3]}}});
    }
  }
  ValueId rows(ValueId x) {
    switch (random() % 3) {
      case 0: return node("softmax", {x}, {{"axis", any<int64_t>({1, 3})}});
      case 1: return node("mul", {x, node("reduce_mean", {x}, {{"axes", any<Extents>({{2, 3}, {1}, {3}})}})});
      default: return node("matmul", {x, constant({shape(x)[3], any<int64_t>({1, 5, 8})}, -0.5, 0.5)});
    }
  }
  // Something of x's shape, maybe x itself.
  ValueId side(ValueId x) {
    const Extents s = shape(x);
    switch (random() % 5) {
      case 0: return x;
      case 1: return node("softmax", {x}, {{"axis", int64_t{3}}});
      case 2: return node("conv", {x, constant({s[1], 1, 3, 3}, -1, 1)}, depthwise(s[1]));
      case 3: {
        const ValueId half = node("slice", {x},
                                  {{"starts", Extents{0, 0, 0, 0}},
                                   {"sizes", Extents{1, s[1] - 1, s[2], s[3]}},
                                   {"steps", Extents{1, 1, 1, 1}}});
        const ValueId first = node("reduce_max", {x}, {{"axes", Extents{1}}});
        return node("concat", {first, node("tanh", {half})}, {{"axis", int64_t{1}}});
      }
      default: return node("sigmoid", {node("neg", {x})});
    }
  }
  // Both sides from x, on a condition that is given or computed.
  ValueId branches(ValueId x) {
    if (conditions.empty())
      for (const char* name : {"c", "d"}) conditions.push_back(graph.add_input(name, make_type(DType::boolean, {})));
    ValueId condition = conditions[random() % conditions.size()];
    if (random() % 3 == 0) condition = node("not", {condition});
    const ValueId then = random() % 3 == 0 ? branches(x) : side(side(x));
    return node("select", {condition, then, side(x)});
  }
  ValueId next() {
    const ValueId x = operand();
    if (with_branches && random() % 4 == 0 && shape(x)[1] > 1) return branches(x);
    switch (random() % 9) {
      case 0:
      case 1: return convolution(x);
      case 2: return pooling(x);
      case 3: return rows(x);
      case 4: return movement(x);
      case 5:
      case 6: return node(any<const char*>({"relu", "sigmoid", "tanh", "neg", "abs"}), {x});
      default: return binary(x);
    }
  }

  Graph run(int nodes) {
    const int64_t channels = any<int64_t>({3, 8, 16});
    pool.push_back(graph.add_input("x", make_type(DType::f32, {1, channels, 5, 6})));
    while (static_cast<int>(graph.nodes.size()) < nodes) pool.push_back(next());
    graph.outputs = {pool.back()};
    if (const ValueId other = operand(); other != pool.back() && graph[other].producer.valid())
      graph.outputs.push_back(other);
    return compact(graph);
  }
};

}  // namespace

Graph random_graph(uint32_t seed, int nodes, bool with_branches) {
  return Maker{std::mt19937(seed), with_branches}.run(nodes);
}

}  // namespace oc::test
