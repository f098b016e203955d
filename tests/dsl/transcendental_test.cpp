// The bounds that dsl/ops/transcendental.h states, over a dense sweep of all floats, on each target that runs here.
#include "dsl/ops/transcendental.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "schedules/apply.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

constexpr double kMax = std::numeric_limits<float>::max();
constexpr double kLeastNormal = std::numeric_limits<float>::min();

struct Bound {
  const char* op;
  double (*exact)(double);
  double largest;  // |x|
  double ulps;
};

// Every float within ± largest whose bits are a multiple of the step, and those about the ends of the range.
std::vector<float> sweep(double largest) {
  constexpr uint32_t kStep = 1021;
  const auto end = std::bit_cast<uint32_t>(static_cast<float>(largest));
  std::vector<float> x;
  for (uint32_t bits = 0; bits < end - kStep; bits += kStep) x.push_back(std::bit_cast<float>(bits));
  for (uint32_t bits = end - kStep; bits <= end; ++bits) x.push_back(std::bit_cast<float>(bits));
  for (uint32_t bits = std::bit_cast<uint32_t>(80.0f); bits < std::bit_cast<uint32_t>(104.0f); bits += 7)
    if (bits <= end) x.push_back(std::bit_cast<float>(bits));
  const size_t count = x.size();
  for (size_t i = 0; i < count; ++i) x.push_back(-x[i]);
  return x;
}

// |y − exact| in units in the last place of f32; results below the normal floats count as 0.
double ulps(float y, double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0 : kMax;
  if (std::abs(exact) < kLeastNormal) return std::abs(y) <= kLeastNormal ? 0 : kMax;
  if (std::abs(exact) > kMax * (1 + 0x1p-25)) return y == static_cast<float>(exact) ? 0 : kMax;
  if (!std::isfinite(y)) return kMax;
  const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
  return std::abs(y - exact) / unit;
}

// No op is e^x of x ≤ 0 alone.
TEST(Transcendentals, ExpOfNonpositiveStaysWithinItsBound) {
  std::vector<float> x{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  for (const float value : sweep(kMax)) x.push_back(-std::abs(value));
  Halide::Buffer<float> in(x.data(), static_cast<int>(x.size()));
  for (const char* name : {"x86-64-avx512", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    if (!runs_on_host(target)) continue;
    const Halide::Var i("i");
    Halide::Func f("f");
    f(i) = exp_of_nonpositive(in(i));
    f.vectorize(i, target.lanes(4));
    const Halide::Buffer<float> out = f.realize({static_cast<int>(x.size())}, Halide::Target(target.name()));
    double worst = 0;
    for (int at = 0; at < in.width(); ++at)
      worst = std::max(worst, ulps(out(at), std::exp(static_cast<double>(in(at)))));
    EXPECT_LE(worst, 5) << name;
    RecordProperty(name, std::to_string(worst));
  }
}

class Transcendental : public testing::TestWithParam<Bound> {};

TEST_P(Transcendental, StaysWithinItsBound) {
  const Bound& bound = GetParam();
  const std::vector<float> x = sweep(bound.largest);
  Tensor in = make_tensor(DType::f32, {static_cast<int64_t>(x.size())});
  std::ranges::copy(x, in.as<float>().begin());
  const std::string type = fmt::format("f32[{}]", x.size());
  const Kernel kernel =
      analyse({fmt::format("graph {{ %0: {0} = input %1: {0} = {1}(%0) return %1 }}", type, bound.op)}, builtin_ops());
  for (const char* name : {"x86-64-avx512", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    if (!runs_on_host(target)) continue;
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, default_schedule(kernel, target, 1));
    const Tensor out = run(lowered, kernel, {in}, {}, target);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i)
      if (const double error = ulps(out.as<float>()[i], bound.exact(x[i])); error > worst) {
        worst = error;
        at = i;
      }
    EXPECT_LE(worst, bound.ulps) << name << ": " << bound.op << "(" << x[at] << ") = " << out.as<float>()[at];
    RecordProperty(name, std::to_string(worst));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Transcendental,
                         testing::Values(Bound{"exp", [](double x) { return std::exp(x); }, kMax, 6},
                                         Bound{"log", [](double x) { return std::log(x); }, kMax, 3},
                                         Bound{"erf", [](double x) { return std::erf(x); }, kMax, 6},
                                         Bound{"tanh", [](double x) { return std::tanh(x); }, kMax, 5},
                                         Bound{"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, kMax, 7},
                                         Bound{"sin", [](double x) { return std::sin(x); }, 1e6, 2},
                                         Bound{"cos", [](double x) { return std::cos(x); }, 1e6, 2}),
                         [](const auto& info) { return info.param.op; });

}  // namespace
}  // namespace oc::test
