// Every op × its cases × {unscheduled, formula default, random schedules} against an independent reference.
#include <gtest/gtest.h>

#include <random>

#include "base/compare.h"
#include "schedules/apply.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

constexpr int kRandomSchedules = 2;

// Random legal points; fewer when the space is small or sparse.
std::vector<Schedule> random_schedules(const Space& space, int count, std::mt19937& random) {
  std::vector<Schedule> result;
  for (int attempt = 0; attempt < 50 * count && static_cast<int>(result.size()) < count; ++attempt) {
    Point point;
    for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    const Schedule s = space.at(point);
    if (space.legal(s)) result.push_back(s);
  }
  return result;
}

class Ops : public testing::TestWithParam<std::string> {};

// Halide's exceptions are unknown to GoogleTest.
template <class F>
void reporting(F&& f) {
  try {
    f();
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
  }
}

TEST_P(Ops, AgreesWithReferenceUnderEverySchedule) {
  const OpInfo& op = op_info(builtin_ops(), GetParam());
  std::mt19937 random(7);
  const Target target = host_target();
  for (const OpCase& c : op.cases) {
    const Workload workload = case_workload(op, c);
    SCOPED_TRACE(workload.text);
    const Kernel kernel = analyse(workload, builtin_ops());
    const std::vector<Tensor> inputs = case_inputs(c, 1);
    const Tensor expected = reference(op, kernel, inputs);
    const double tolerance = 2e-5;
    reporting([&] {
      Lowered plain = unscheduled(kernel, builtin_ops());
      EXPECT_LE(err(run(plain, kernel, inputs, {}, target), expected), tolerance) << "unscheduled";
    });
    std::vector<Schedule> schedules = random_schedules(schedule_space(kernel, target, 2), kRandomSchedules, random);
    schedules.push_back(default_schedule(kernel, target, 1));
    for (const Schedule& s : schedules) {
      SCOPED_TRACE(print_schedule(s));
      EXPECT_EQ(print_schedule(parse_schedule(print_schedule(s))), print_schedule(s));
      reporting([&] {
        Lowered lowered = apply_schedule(kernel, builtin_ops(), target, s);
        const bool winograd = print_schedule(s).find("winograd") != std::string::npos;
        EXPECT_LE(err(run(lowered, kernel, inputs, weight_packings(kernel, target, s), target), expected),
                  winograd ? kWinogradTolerance : tolerance);
      });
    }
  }
}

std::vector<std::string> ops_with_cases() {
  std::vector<std::string> names;
  for (const auto& [name, info] : builtin_ops())
    if (!info->cases.empty()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Ops, testing::ValuesIn(ops_with_cases()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace oc::test
