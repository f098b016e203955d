// Bench with kernels written in C++: what the measuring child does once a kernel is loaded.
#include "autotune/measure/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>

#include "autotune/measure/calibrate.h"
#include "autotune/measure/inputs.h"
#include "base/error.h"

namespace oc {
namespace {

constexpr int64_t kPatience = 10'000'000'000;

// out = x · w over four elements; x an activation, w a weight.
Kernel product_kernel() {
  Kernel kernel;
  Graph& g = kernel.graph;
  const ValueId x = g.add_input("", make_type(DType::f32, {4}));
  const ValueId w = g.add_weight(make_type(DType::f32, {4}));
  g.inputs = {x, w};
  g.outputs = {g.add_node("mul", {x, w}, {}, make_type(DType::f32, {4}))};
  kernel.axes = {{"d0", Role::spatial, 4}};
  return kernel;
}

std::vector<Tensor> product_inputs() {
  std::vector<Tensor> inputs(2, make_tensor(DType::f32, {4}));
  for (size_t i = 0; i < 4; ++i) {
    inputs[0].as<float>()[i] = static_cast<float>(i);
    inputs[1].as<float>()[i] = 2;
  }
  return inputs;
}

struct Calls {
  int64_t count = 0;
  std::set<const float*> weights;
  std::chrono::microseconds slow{0};
  int64_t overrun = 0;
  int32_t code = 0;
};

float* host(void* buffer) {
  return reinterpret_cast<float*>(static_cast<KernelBuffer*>(buffer)->host);
}

int32_t product(void** args) {
  Calls& calls = **static_cast<Calls**>(args[0]);
  ++calls.count;
  calls.weights.insert(host(args[2]));
  if (calls.slow.count() > 0) std::this_thread::sleep_for(calls.slow);
  for (int64_t i = 0; i < 4 + calls.overrun; ++i) host(args[3])[i] = host(args[1])[i % 4] * host(args[2])[i % 4];
  return calls.code;
}

TEST(Bench, RunsTheKernelOnTheInputs) {
  Calls calls;
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 0);
  const std::string output = bench.run_checked();
  ASSERT_EQ(output.size(), 16U);
  EXPECT_EQ(reinterpret_cast<const float*>(output.data())[3], 6);
}

TEST(Bench, RotatesOverMoreThanTheColdBytes) {
  Calls calls;
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 1000);
  (void)bench.time_calls(100);
  EXPECT_EQ(calls.weights.size(), 16U) << "64-byte copies: 16 of them are the first to exceed 1000 bytes";
}

TEST(Bench, AKernelThatWritesOutsideItsOutputIsFound) {
  Calls calls;
  calls.overrun = 1;
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 0);
  EXPECT_THROW((void)bench.run_checked(), UserError);
}

TEST(Bench, AKernelsErrorCodeIsAFailure) {
  Calls calls;
  calls.code = -3;
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 0);
  EXPECT_THROW((void)bench.run_checked(), UserError);
}

TEST(Bench, TheClockDoesNotSeeSingleCalls) {
  Calls calls;
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 0);
  EXPECT_GT(batch_calls(bench), 100) << "a call of nanoseconds is timed in large batches";
  const auto samples = time_samples(bench, std::nullopt, kPatience);
  EXPECT_GE(samples.size(), 7U);
  EXPECT_LT(median(samples), 10'000);
}

TEST(Bench, AHopelessCandidateIsStoppedEarly) {
  Calls calls;
  calls.slow = std::chrono::microseconds(3000);
  Bench bench(product_kernel(), {product, &calls}, product_inputs(), 0);
  EXPECT_EQ(time_samples(bench, 1e6, kPatience).size(), 2U);
  EXPECT_LE(calls.count, 6);
  EXPECT_GE(time_samples(bench, 1e9, kPatience).size(), 7U);
}

TEST(Bench, ADuelTimesBothInEveryRound) {
  Calls fast, slow;
  slow.slow = std::chrono::microseconds(300);
  Bench first(product_kernel(), {product, &fast}, product_inputs(), 0),
      second(product_kernel(), {product, &slow}, product_inputs(), 0);
  const Duel duel = time_duel(first, second, kPatience);
  EXPECT_GE(duel.candidate_ns.size(), 11U);
  EXPECT_EQ(duel.candidate_ns.size(), duel.incumbent_ns.size());
  EXPECT_TRUE(promotes(duel));
}

TEST(Bench, SlowKernelsAreTimedLessOftenButOftenEnoughToPromote) {
  Calls fast, slow;
  fast.slow = std::chrono::milliseconds(20);
  slow.slow = std::chrono::milliseconds(30);
  Bench first(product_kernel(), {product, &fast}, product_inputs(), 0),
      second(product_kernel(), {product, &slow}, product_inputs(), 0);
  EXPECT_EQ(time_samples(first, std::nullopt, 50'000'000).size(), 3U);
  EXPECT_EQ(time_samples(first, std::nullopt, kPatience).size(), 7U);
  const Duel duel = time_duel(first, second, 100'000'000);
  EXPECT_EQ(duel.candidate_ns.size(), 5U);
  EXPECT_TRUE(promotes(duel));
  EXPECT_EQ(time_duel(first, second, kPatience).candidate_ns.size(), 21U);
}

TEST(Inputs, FollowTheSeedAndTheKind) {
  const Kernel kernel = product_kernel();
  EXPECT_EQ(make_inputs(kernel, 1, InputKind::usual), make_inputs(kernel, 1, InputKind::usual));
  EXPECT_NE(make_inputs(kernel, 1, InputKind::usual), make_inputs(kernel, 2, InputKind::usual));
}

Kernel gather_kernel() {
  Kernel kernel;
  Graph& g = kernel.graph;
  const ValueId table = g.add_weight(make_type(DType::f32, {50, 8}));
  const ValueId indices = g.add_input("", make_type(DType::i64, {1000}));
  const ValueId mask = g.add_input("", make_type(DType::boolean, {100}));
  g.inputs = {table, indices, mask};
  g.outputs = {g.add_node("gather", {table, indices}, {{"axis", int64_t{0}}}, make_type(DType::f32, {1000, 8}))};
  return kernel;
}

TEST(Inputs, IndicesStayWithinTheGatheredAxis) {
  const Kernel kernel = gather_kernel();
  EXPECT_EQ(highest_integer(kernel, 1), 49);
  EXPECT_EQ(highest_integer(kernel, 2), 1);
  for (const InputKind kind : {InputKind::usual, InputKind::adversarial}) {
    const std::vector<Tensor> inputs = make_inputs(kernel, 3, kind);
    std::set<int64_t> seen;
    for (const int64_t index : inputs[1].as<int64_t>()) seen.insert(index);
    EXPECT_EQ(*seen.begin(), 0);
    EXPECT_EQ(*seen.rbegin(), 49);
    for (const uint8_t bit : inputs[2].as<uint8_t>()) EXPECT_LE(bit, 1);
  }
}

Kernel relu_kernel(DType out, std::string op, const std::string& layout) {
  Kernel kernel;
  Graph& g = kernel.graph;
  const ValueId x = g.add_input("", make_type(DType::f32, {1, 3, 20, 20}, parse_layout(layout, 4)));
  g.inputs = {x};
  g.outputs = {g.add_node(std::move(op), {x}, {}, make_type(out, {1, 3, 20, 20}))};
  return kernel;
}

TEST(Inputs, UsualOnesAreFiniteAndHalfRectified) {
  const Tensor x = make_inputs(relu_kernel(DType::f32, "relu", ""), 1, InputKind::usual)[0];
  size_t zeros = 0;
  for (const float value : x.as<float>()) {
    ASSERT_TRUE(std::isfinite(value));
    ASSERT_GE(value, 0);
    zeros += value == 0;
  }
  EXPECT_NEAR(static_cast<double>(zeros), 600, 80);
}

TEST(Inputs, AdversarialOnesHaveNanAndInfinitiesAtTheBorders) {
  const Tensor x = make_inputs(relu_kernel(DType::f32, "relu", ""), 1, InputKind::adversarial)[0];
  const auto values = x.as<float>();
  EXPECT_TRUE(std::isnan(values.front()));
  EXPECT_TRUE(std::isnan(values.back()));
  EXPECT_TRUE(std::isinf(values[1]));
  EXPECT_EQ(std::ranges::count(values, 1000.0f) + std::ranges::count(values, -1000.0f), 13);
  // A float that no integer can hold has no defined cast.
  const Tensor cast = make_inputs(relu_kernel(DType::i32, "cast", ""), 1, InputKind::adversarial)[0];
  for (const float value : cast.as<float>()) EXPECT_LT(std::abs(value), 10);
}

TEST(Inputs, BlockedLayoutsArePaddedWithZeros) {
  const Kernel kernel = relu_kernel(DType::f32, "relu", "aBcd4b");
  const Tensor x = make_inputs(kernel, 1, InputKind::adversarial)[0];
  ASSERT_EQ(x.as<float>().size(), 4U * 400);
  for (size_t i = 3; i < x.as<float>().size(); i += 4) EXPECT_EQ(x.as<float>()[i], 0);
}

TEST(Calibrate, FindsPlausibleSpeedsOnOneThreadAndOnMoreThanThereAreCores) {
  for (const int threads : {1, 4096}) {
    const Calibration found = calibrate_host(host_target(), threads);
    EXPECT_GT(found.flops, 1e9);
    EXPECT_LT(found.flops, 1e12 * std::min(threads, host_machine().cores));
    EXPECT_GT(found.bandwidth, 1e9);
    EXPECT_GT(found.cached_bandwidth, 0.5 * found.bandwidth);
  }
}

TEST(Calibrate, ThreadsStayBetweenRuns) {
  constexpr int kThreads = 3;
  std::array<int, kThreads> runs{};
  const double seconds = shortest_run(kThreads, [&](int t) {
    thread_local int count = 0;
    runs[static_cast<size_t>(t)] = ++count;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  for (const int count : runs) EXPECT_GT(count, 1);
  EXPECT_GE(seconds, 0.005);
  EXPECT_LT(seconds, 0.2);
}

}  // namespace
}  // namespace oc
