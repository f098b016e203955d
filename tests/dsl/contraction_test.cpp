// Every knob of the contraction family at odd sizes, on each target that runs here, against plain loops.
#include <gtest/gtest.h>

#include <random>

#include "base/compare.h"
#include "schedules/apply.h"
#include "schedules/families/common.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

struct Product {
  Extents a, b;
  bool weight = false;
  Attrs attrs = {};
};

const std::vector<Product>& products() {
  static const std::vector<Product> list = [] {
    const Extents swapped{1, 0};
    std::vector<Product> result;
    for (int64_t n : {1, 2, 3, 7, 15, 17, 31, 33, 127}) {
      result.push_back({{n, n + 40}, {n + 40, n}, n % 4 == 1});
      result.push_back({{3, n, 65}, {3, 65, 2 * n}, n % 4 == 3});
      result.push_back({{n, 65}, {n + 16, 65}, n % 2 == 0, {{"b_perm", swapped}}});
      result.push_back({{n, 300}, {300, n}, false});
      result.push_back({{16, 4096 + n}, {4096 + n, 16}, false});
      result.push_back({{130, n}, {130, 66}, false, {{"a_perm", swapped}}});
    }
    return result;
  }();
  return list;
}

int64_t fallback(const std::string& name) {
  const std::vector<Argument>& grammar = family_info(Family::contraction).grammar;
  return std::ranges::find(grammar, name, &Argument::name)->fallback;
}

// A random schedule that uses the knob.
std::optional<Schedule> schedule_with(const std::string& name, const Kernel& kernel, const Target& target,
                                      std::mt19937& random) {
  const Space space = schedule_space(kernel, target, 2);
  for (int attempt = 0; attempt < 400; ++attempt) {
    Point point;
    for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    const Schedule s = space.at(point);
    if (s[name] != fallback(name) && space.legal(s)) return s;
  }
  return std::nullopt;
}

void expect_agreement(const OpCase& c, const Kernel& kernel, const Target& target, const Schedule& s) {
  const OpInfo& op = op_info(builtin_ops(), "matmul");
  SCOPED_TRACE(testing::Message() << target.name() << "\n" << kernel.workload.text << "\n" << print_schedule(s));
  const std::vector<Tensor> inputs = case_inputs(c, 1);
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, s);
    const Tensor result = run(lowered, kernel, inputs, weight_packings(kernel, target, s), target);
    EXPECT_LE(err(result, reference(op, kernel, inputs)), 2e-5);
  } catch (const Halide::Error& error) {  // unknown to GoogleTest
    ADD_FAILURE() << error.what();
  }
}

OpCase case_of(const Product& p) {
  return {.inputs = {{.shape = p.a}, {.shape = p.b, .weight = p.weight}}, .attrs = p.attrs, .out_layout = {}};
}

class ContractionKnobs : public testing::TestWithParam<const char*> {};

TEST_P(ContractionKnobs, AgreeWithPlainLoops) {
  std::mt19937 random(5);
  int ran = 0;
  std::vector<Target> targets;
  for (const char* name : {"x86-64-avx512", "x86-64-avx2"})
    if (const Target target = parse_target(name); runs_on_host(target)) targets.push_back(target);
  for (size_t i = 0; i < products().size() && !targets.empty(); ++i) {
    const Target& target = targets[(i + 1) % targets.size()];  // they take turns
    const OpCase c = case_of(products()[i]);
    const Kernel kernel = analyse(case_workload(op_info(builtin_ops(), "matmul"), c), builtin_ops());
    const std::optional<Schedule> s = schedule_with(GetParam(), kernel, target, random);
    if (!s) continue;
    expect_agreement(c, kernel, target, *s);
    ++ran;
  }
  if (runs_on_host(parse_target("x86-64-avx2"))) {
    EXPECT_GT(ran, 5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ContractionKnobs,
                         testing::Values("block.n", "block.k", "copy.b", "vector.along", "block.slices"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

// Caches so small that the formula cuts k where it does so of large products.
TEST(ContractionDefault, AgreesWhereKIsCut) {
  int cut = 0;
  for (const char* name : {"x86-64-avx512", "x86-64-avx2"}) {
    Target target = parse_target(name);
    if (!runs_on_host(target)) continue;
    target.l2_bytes = 24 << 10;
    for (const int64_t m : {17, 31, 33, 127})
      for (const auto& [k, n] : {std::pair<int64_t, int64_t>{127, 33}, {300, 77}, {1000, 7}, {515, 96}})
        for (const int threads : {1, 2}) {
          const OpCase c = case_of({.a = {m, k}, .b = {k, n}, .weight = true});
          const Kernel kernel = analyse(case_workload(op_info(builtin_ops(), "matmul"), c), builtin_ops());
          const Schedule s = default_schedule(kernel, target, threads);
          EXPECT_EQ(why_illegal(kernel, target, s), "") << print_schedule(s);
          if (s["block.k"] == 0) continue;
          ++cut;
          expect_agreement(c, kernel, target, s);
        }
  }
  if (runs_on_host(parse_target("x86-64-avx2"))) {
    EXPECT_GT(cut, 10);
  }
}

TEST(ContractionDefault, IsLegalWhereAPanelIsNarrowAndLong) {
  for (const char* name : {"arm-64-linux", "x86-64-avx2", "x86-64-avx512"})
    for (const int64_t l2_bytes : {256 << 10, 2 << 20})
      for (const int64_t n : {1, 4, 10, 4096}) {
        Target target = parse_target(name);
        target.l2_bytes = l2_bytes;
        const OpCase c = case_of({.a = {128, 25088}, .b = {25088, n}, .weight = true});
        const Kernel kernel = analyse(case_workload(op_info(builtin_ops(), "matmul"), c), builtin_ops());
        EXPECT_EQ(why_illegal(kernel, target, default_schedule(kernel, target, 1)), "");
      }
}

// 77 columns are five vectors, the last not full: of two tiles of four vectors the second would repeat half of the
// first.
TEST(ContractionDefault, CoversOddColumnsWithoutRepeatingMany) {
  const Target target = parse_target("x86-64-avx512");
  const OpCase c = case_of({.a = {77, 77}, .b = {77, 77}});
  const Kernel kernel = analyse(case_workload(op_info(builtin_ops(), "matmul"), c), builtin_ops());
  const Schedule s = default_schedule(kernel, target, 1);
  EXPECT_GT(coverage(5, s["tile.n"]), 0.8) << print_schedule(s);
}

}  // namespace
}  // namespace oc::test
