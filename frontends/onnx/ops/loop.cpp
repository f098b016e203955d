// Loop, Scan and SequenceMap, unrolled: shapes are static, so that the number of iterations must be known. Equal
// iterations are equal kernels, which are compiled once.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/model.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/ops/parts.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();

const ::onnx::GraphProto& body_of(const Call& n) {
  const ::onnx::AttributeProto* body = n.attribute("body");
  if (body == nullptr || !body->has_g()) user_error("lacks the attribute 'body'");
  return body->g();
}

// Iteration i of `count`: the body's outputs for these inputs.
Values iterate(Call& n, int64_t i, int64_t count, const Values& arguments) {
  if (n.import.size_of_bodies + std::ssize(n.import.graph.values) > kMostMade)
    user_error("a {} {} is unrolled and makes more than {} values after {} of them; run fewer in one model", n.row.name,
               count == kEndless ? "without a trip count" : fmt::format("of {} iterations", count), kMostMade, i);
  return within(fmt::format("iteration {}", i), [&] { return n.body("body", arguments); });
}

// The body's outputs that are carried on and those that are collected, one vector for each output.
struct Collected {
  explicit Collected(int64_t count) : items(static_cast<size_t>(count)) {}
  std::vector<Values> items;

  // All of `results` from `first` on.
  void append(const Values& results, size_t first) {
    for (size_t k = 0; k < items.size(); ++k) items[k].push_back(results[first + k]);
  }
};

// Output `output` of the body, collected along a new axis. Of no iteration there is what the body declares.
ValueId collected(Call& n, const ::onnx::ValueInfoProto& declared, Values items, int64_t axis, bool backwards) {
  for (ValueId item : items) {
    if (n.list(item) != nullptr) user_error("a sequence ('{}') cannot be stacked", printable(declared.name()));
    if (n.dtype(item) != n.dtype(items[0]) || n.shape(item) != n.shape(items[0]) ||
        n.format(item) != n.format(items[0]))
      user_error("its iterations give tensors of different types for '{}', which is stacked",
                 printable(declared.name()));
  }
  if (backwards) std::ranges::reverse(items);
  if (!items.empty()) return stacked(n, items, normal_axis(axis, n.rank(items[0]) + 1));
  const auto& type = declared.type().tensor_type();
  Extents shape;
  for (const auto& dim : type.shape().dim()) shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  if (!type.has_shape() || std::ranges::any_of(shape, [](int64_t extent) { return extent < 0; }))
    user_error("runs no iteration, and its body does not declare the shape of '{}'", printable(declared.name()));
  shape.insert(shape.begin() + normal_axis(axis, std::ssize(shape) + 1), 0);
  return n.with_format(n.constant(make_tensor(stored_dtype(type.elem_type()), shape)),
                       declared_format(type.elem_type()));
}

// A scalar as the body declares its input: it may be written with one dim.
ValueId as_declared(Call& n, const ::onnx::ValueInfoProto& input, ValueId scalar) {
  return input.type().tensor_type().shape().dim_size() == 1 ? n.reshape(scalar, {1}) : scalar;
}

bool holds(Call& n, ValueId condition) {
  if (n.list(condition) != nullptr || n.dtype(condition) != DType::boolean || product(n.shape(condition)) != 1)
    user_error("its condition must be one element of type bool");
  return n.demand(condition, "condition").bytes[0] != std::byte{0};
}

ValueId iteration_number(Call& n, int64_t i) {
  return n.constant(int64_tensor({&i, 1}, {}));
}

}  // namespace

// Inputs: the most iterations, the condition to begin, what is carried. The body: the number of the iteration, the
// condition, what is carried → the condition to go on, what is carried, what is collected.
Values loop(Call& n) {
  const ::onnx::GraphProto& body = body_of(n);
  if (!n.has(0) && !n.has(1)) user_error("has neither a trip count nor a condition and never ends");
  const int64_t count = n.has(0) ? std::max<int64_t>(n.demand_integer(0, "trip count"), 0) : kEndless;
  Values carried;
  for (size_t i = 2; i < n.inputs.size(); ++i) carried.push_back(n.any(i));
  const int64_t scanned = body.output_size() - 1 - std::ssize(carried);
  if (scanned < 0 || body.input_size() != 2 + std::ssize(carried))
    user_error("carries {} values, its body has {} inputs and {} outputs", carried.size(), body.input_size(),
               body.output_size());
  Collected scans(scanned);
  bool goes_on = !n.has(1) || holds(n, n.in(1));
  for (int64_t i = 0; i < count && goes_on; ++i) {
    Values arguments{as_declared(n, body.input(0), iteration_number(n, i)),
                     as_declared(n, body.input(1), n.scalar(DType::boolean, 1))};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    const Values results = iterate(n, i, count, arguments);
    std::copy_n(results.begin() + 1, carried.size(), carried.begin());
    scans.append(results, 1 + carried.size());
    if (i + 1 == count) break;
    goes_on = holds(n, results[0]);
    // ONNX has such a condition ignored, onnxruntime heeds it.
    if (!goes_on && !n.has(1)) user_error("its body ends it early, but it has no condition to begin with; give it one");
  }
  Values results = carried;
  for (int64_t k = 0; k < scanned; ++k) {
    const int output = static_cast<int>(1 + std::ssize(carried) + k);
    results.push_back(collected(n, body.output(output), scans.items[static_cast<size_t>(k)], 0, false));
  }
  return results;
}

namespace {

// How a Scan takes its inputs apart and puts its outputs together.
struct ScanPlan {
  std::vector<int64_t> input_axes, output_axes;
  std::vector<bool> input_backwards, output_backwards;
};

std::vector<bool> directions(const Call& n, std::string_view attribute, size_t count) {
  const std::vector<int64_t> given = n.integers(attribute, std::vector<int64_t>(count, 0));
  if (given.size() != count || std::ranges::any_of(given, [](int64_t d) { return d != 0 && d != 1; }))
    user_error("attribute '{}' must hold {} values, each 0 or 1", attribute, count);
  return {given.begin(), given.end()};
}

std::vector<int64_t> axes(const Call& n, std::string_view attribute, size_t count) {
  const std::vector<int64_t> given = n.integers(attribute, std::vector<int64_t>(count, 0));
  if (given.size() != count) user_error("attribute '{}' must hold {} values", attribute, count);
  return given;
}

// The body over all steps, without a batch: final states, then what was collected.
Values scan_once(Call& n, const ScanPlan& plan, Values states, const Values& inputs) {
  const ::onnx::GraphProto& body = body_of(n);
  std::vector<int64_t> along;
  for (size_t k = 0; k < inputs.size(); ++k) along.push_back(normal_axis(plan.input_axes[k], n.rank(inputs[k])));
  const auto steps_of = [&](size_t k) { return n.shape(inputs[k])[static_cast<size_t>(along[k])]; };
  const int64_t steps = steps_of(0);
  for (size_t k = 1; k < inputs.size(); ++k)
    if (steps_of(k) != steps) user_error("its inputs have {} and {} steps", steps, steps_of(k));
  Collected scans(body.output_size() - std::ssize(states));
  for (int64_t i = 0; i < steps; ++i) {
    Values arguments = states;
    for (size_t k = 0; k < inputs.size(); ++k)
      arguments.push_back(item(n, inputs[k], along[k], plan.input_backwards[k] ? steps - 1 - i : i));
    const Values results = iterate(n, i, steps, arguments);
    std::copy_n(results.begin(), states.size(), states.begin());
    scans.append(results, states.size());
  }
  for (ValueId state : states)
    if (n.list(state) != nullptr) user_error("its states must be tensors");
  Values results = states;
  for (size_t k = 0; k < scans.items.size(); ++k)
    results.push_back(collected(n, body.output(static_cast<int>(states.size() + k)), scans.items[k],
                                plan.output_axes[k], plan.output_backwards[k]));
  return results;
}

// Opset 8: input 0 may hold the lengths of a batch of sequences; all inputs and outputs have the batch in front.
Values scan_batch(Call& n, const ScanPlan& plan, const Values& states, const Values& inputs) {
  for (const Values* values : {&states, &inputs})
    for (ValueId value : *values)
      if (n.rank(value) < 1 || n.shape(value)[0] != n.shape(inputs[0])[0])
        user_error("its states and inputs must have one batch in front");
  const int64_t batch = n.shape(inputs[0])[0];
  if (n.rank(inputs[0]) < 2 || batch < 1) user_error("its inputs must have a batch and steps in front");
  const int64_t steps = n.shape(inputs[0])[1];
  if (n.has(0))
    for (int64_t length : n.known_integers(0, "sequence_lens"))
      if (length != steps) user_error("a sequence of {} of {} steps is not supported", length, steps);
  std::vector<Values> items;
  for (int64_t b = 0; b < batch; ++b) {
    const auto of_batch = [&](const Values& all) {
      Values one;
      for (ValueId value : all) one.push_back(item(n, value, 0, b));
      return one;
    };
    const Values results = scan_once(n, plan, of_batch(states), of_batch(inputs));
    items.resize(results.size());
    for (size_t k = 0; k < results.size(); ++k) items[k].push_back(results[k]);
  }
  Values results;
  for (const Values& of_output : items) results.push_back(stacked(n, of_output, 0));
  return results;
}

}  // namespace

// Inputs: states, then tensors that are taken apart along an axis. The body: states, one element of each → states, what
// is collected.
Values scan(Call& n) {
  const ::onnx::GraphProto& body = body_of(n);
  const bool batched = n.opset < 9;
  const int64_t first = batched ? 1 : 0, scanned = n.integer("num_scan_inputs"), given = std::ssize(n.inputs);
  if (scanned < 1 || scanned > given) user_error("has {} inputs, {} of them scanned", given, scanned);
  const int64_t states = given - first - scanned, outputs = body.output_size() - states;
  if (states < 0 || outputs < 0 || body.input_size() != states + scanned)
    user_error("has {} inputs, {} of them scanned; its body has {} inputs and {} outputs", n.inputs.size(), scanned,
               body.input_size(), body.output_size());
  Values initial, inputs;
  for (int64_t i = 0; i < states + scanned; ++i)
    (i < states ? initial : inputs).push_back(n.in(static_cast<size_t>(first + i)));
  const auto of_inputs = static_cast<size_t>(scanned), of_outputs = static_cast<size_t>(outputs);
  const ScanPlan plan{.input_axes = axes(n, "scan_input_axes", of_inputs),
                      .output_axes = axes(n, "scan_output_axes", of_outputs),
                      .input_backwards = directions(n, batched ? "directions" : "scan_input_directions", of_inputs),
                      .output_backwards = directions(n, "scan_output_directions", of_outputs)};
  return batched ? scan_batch(n, plan, initial, inputs) : scan_once(n, plan, initial, inputs);
}

// The body for each element of the first input, of other sequences their element at the same place, of tensors the
// whole.
Values sequence_map(Call& n) {
  const int64_t count = std::ssize(n.elements(0));
  std::vector<Values> items(static_cast<size_t>(body_of(n).output_size()));
  for (int64_t i = 0; i < count; ++i) {
    Values arguments;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      if (n.list(n.any(k)) == nullptr) {
        arguments.push_back(n.in(k));
        continue;
      }
      const Values& elements = n.elements(k);
      if (std::ssize(elements) != count) user_error("its sequences have {} and {} elements", count, elements.size());
      arguments.push_back(elements[static_cast<size_t>(i)]);
    }
    const Values results = iterate(n, i, count, arguments);
    for (size_t k = 0; k < items.size(); ++k) items[k].push_back(results[k]);
  }
  Values results;
  for (Values& elements : items) results.push_back(add_list(n.import, {std::move(elements)}));
  return results;
}

}  // namespace oc::from_onnx
