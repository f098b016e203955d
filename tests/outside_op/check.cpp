// The op inside a fused group with ops of the project, exp(−distance(a, b)): under the default schedule and random ones
// of its family's space, against plain loops. Prints how many schedules agreed.
#include <fmt/format.h>

#include <cmath>
#include <random>
#include <set>

#include "base/compare.h"
#include "base/target.h"
#include "distance.h"
#include "graph/text.h"
#include "schedules/apply.h"

namespace {

constexpr size_t kSchedules = 5;

oc::Kernel make_kernel(const oc::OpTable& ops, const oc::Extents& a, const oc::Extents& b) {
  const oc::OpSet set = oc::op_set(ops);
  oc::Graph graph;
  const oc::ValueId x = graph.add_input("", oc::make_type(oc::DType::f32, a));
  const oc::ValueId w = graph.add_weight(oc::make_type(oc::DType::f32, b));
  const oc::ValueId distance = add_op(graph, set, "distance", {x, w});
  graph.outputs = {add_op(graph, set, "exp", {add_op(graph, set, "neg", {distance})})};
  return oc::analyse({print_graph(graph, {.names = false, .weights = true})}, ops);
}

oc::Tensor random_tensor(const oc::Extents& shape, std::mt19937& random) {
  oc::Tensor tensor = oc::make_tensor(oc::DType::f32, shape);
  std::uniform_real_distribution<float> value(-0.5F, 0.5F);
  for (float& element : tensor.as<float>()) element = value(random);
  return tensor;
}

oc::Tensor expected(const oc::Tensor& a, const oc::Tensor& b) {
  const int64_t m = a.shape[0], k = a.shape[1], n = b.shape[1];
  oc::Tensor out = oc::make_tensor(oc::DType::f32, {m, n});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < k; ++r) {
        const double difference = a.as<float>()[size_t(i * k + r)] - b.as<float>()[size_t(r * n + j)];
        sum += difference * difference;
      }
      out.as<float>()[size_t(i * n + j)] = static_cast<float>(std::exp(-sum));
    }
  return out;
}

Halide::Buffer<> buffer(oc::Tensor& tensor) {
  const oc::Extents physical = physical_extents(tensor.layout, tensor.shape);
  const std::vector<int> sizes(physical.rbegin(), physical.rend());
  return Halide::Buffer<>(Halide::Float(32), tensor.bytes.data(), sizes);
}

double error_under(const oc::Schedule& schedule, const oc::Kernel& kernel, const oc::OpTable& ops, oc::Tensor a,
                   oc::Tensor b) {
  const oc::Target target = oc::host_target();
  const oc::Tensor reference = expected(a, b);
  oc::Lowered lowered = apply_schedule(kernel, ops, target, schedule);
  b = oc::pack_tensors({a, b}, weight_packings(kernel, target, schedule))[1];
  lowered.inputs[0].set(buffer(a));
  lowered.inputs[1].set(buffer(b));
  oc::Tensor out = oc::make_tensor(oc::DType::f32, reference.shape);
  Halide::Buffer<> result = buffer(out);
  lowered.output.realize(result, Halide::Target(target.name()));
  return oc::err(out, reference);
}

}  // namespace

int main() {
  try {
    oc::OpTable ops = oc::builtin_ops();
    ops.emplace(op_distance().name, &op_distance());
    std::mt19937 random(11);
    const oc::Tensor a = random_tensor({21, 10}, random), b = random_tensor({10, 37}, random);
    const oc::Kernel kernel = make_kernel(ops, a.shape, b.shape);
    const oc::Target target = oc::host_target();
    const oc::Space space = schedule_space(kernel, target, 1);
    std::set<std::string> seen;
    oc::Schedule schedule = default_schedule(kernel, target, 1);
    while (seen.size() < 1 + kSchedules) {
      if (space.legal(schedule) && seen.insert(print_schedule(schedule)).second) {
        const double error = error_under(schedule, kernel, ops, a, b);
        if (!(error <= oc::kernel_tolerance(10))) {
          fmt::print(stderr, "error {} under\n{}", error, print_schedule(schedule));
          return 1;
        }
      }
      oc::Point point;
      for (const oc::Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
      schedule = space.at(point);
    }
    fmt::print("{} schedules agree\n", seen.size());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
  } catch (const Halide::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
  }
  return 1;
}
