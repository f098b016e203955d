// Relayout between plain and channel-blocked through registers: every number of columns, on rows that tiles do not
// divide and channels that fill no block, exactly, the zeros of the padding included.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/compare.h"
#include "schedules/apply.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

constexpr int64_t kColumns[] = {0, 2, 4, 8, 16};

struct Case {
  OpCase op;
  Kernel kernel;
};

Case make_case(int64_t channels, int64_t row, int64_t block, bool to_blocked) {
  const std::string plain = "abcd", blocked = fmt::format("aBcd{}b", block);
  OpCase c;
  c.inputs = {{.shape = {2, channels, 1, row}, .layout = to_blocked ? plain : blocked}};
  c.out_layout = to_blocked ? blocked : plain;
  c.attrs = {{"to", c.out_layout}};
  return {c, analyse(case_workload(op_info(builtin_ops(), "relayout"), c), builtin_ops())};
}

Tensor run_schedule(const Kernel& kernel, const Target& target, const Schedule& s, const std::vector<Tensor>& inputs) {
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, s);
    return run(lowered, kernel, inputs, {}, target);
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
    return {};
  }
}

class RelayoutRows : public testing::TestWithParam<int64_t> {};

TEST_P(RelayoutRows, MoveExactlyWithAnyNumberOfColumns) {
  int64_t turn = 0;
  for (const char* name : {"host", "x86-64-avx2"}) {
    const Target target = parse_target(name);
    std::map<bool, std::set<int64_t>> legal_columns, run_columns;  // by direction
    for (const int64_t channels : {1, 3, 8, 15, 16, 17, 24, 33})
      for (const bool to_blocked : {true, false}) {
        const Case c = make_case(channels, GetParam(), channels < 8 ? 4 : target.lanes(4), to_blocked);
        const std::vector<Tensor> inputs = case_inputs(c.op, 5);
        const Tensor expected = relayout(inputs[0], c.kernel.output().layout);
        Schedule s = default_schedule(c.kernel, target, 1);
        std::vector<int64_t> legal;
        for (const int64_t columns : kColumns) {
          s.values["transpose.columns"] = columns;
          if (why_illegal(c.kernel, target, s).empty()) legal.push_back(columns);
        }
        // One after the other; in both directions each, whose cases alternate.
        s.values["transpose.columns"] = legal[static_cast<size_t>(turn / 2) % legal.size()];
        s.values["parallel.tasks"] = 1 + turn / 4 % 2;
        ++turn;
        legal_columns[to_blocked].insert(legal.begin(), legal.end());
        run_columns[to_blocked].insert(s["transpose.columns"]);
        SCOPED_TRACE(std::string(name) + "\n" + c.kernel.workload.text + print_schedule(s));
        EXPECT_EQ(run_schedule(c.kernel, target, s, inputs).bytes, expected.bytes);
      }
    EXPECT_EQ(legal_columns, run_columns) << name;
  }
}
INSTANTIATE_TEST_SUITE_P(Rows, RelayoutRows, testing::Values(1, 2, 3, 7, 15, 17, 31, 33, 49, 127, 196));

// What follows reads operands of its own, along rows and broadcast; one of them is computed beside the relayout.
TEST(Relayout, WhatFollowsReadsItsOperandsWhereTheTileLies) {
  const Target target = parse_target("x86-64-avx2");
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"", "aBcd8b"}, {"aBcd8b", ""}}) {
    const std::string text = fmt::format(
        "graph {{ %0: f32[2,17,1,49] {0} = input %1: f32[2,17,1,49] {1} = input %2: f32[1,1,1,49] = input "
        "%3: f32[2,17,1,1] {1} = input %4: f32[2,17,1,49] {1} = relayout(%0) {{to=\"{2}\"}} "
        "%5: f32[2,17,1,49] {1} = sigmoid(%1) %6: f32[2,17,1,49] {1} = mul(%5, %4) "
        "%7: f32[2,17,1,49] {1} = add(%6, %2) %8: f32[2,17,1,49] {1} = sub(%7, %3) return %8 }}",
        from, to, to.empty() ? "abcd" : to);
    SCOPED_TRACE(text);
    const Kernel kernel = analyse({text}, builtin_ops());
    OpCase c;
    for (size_t i = 0; i < kernel.graph.inputs.size(); ++i) {
      const Type& type = kernel.input(i);
      c.inputs.push_back({.shape = type.extents(), .layout = layout_tag(type.layout, 4)});
    }
    const std::vector<Tensor> inputs = case_inputs(c, 9);
    Lowered plain = unscheduled(kernel, builtin_ops());
    const Tensor expected = run(plain, kernel, inputs, {}, target);
    Schedule s = default_schedule(kernel, target, 1);
    EXPECT_EQ(s["transpose.columns"], 4);
    for (const int64_t columns : {2, 4, 8})
      for (const int64_t tasks : {1, 3}) {
        s.values["transpose.columns"] = columns;
        s.values["parallel.tasks"] = tasks;
        if (!why_illegal(kernel, target, s).empty()) continue;
        EXPECT_LE(err(run_schedule(kernel, target, s, inputs), expected), 1e-6) << print_schedule(s);
      }
  }
}

TEST(Relayout, RowsOfTwoAndMoreGoThroughRegisters) {
  const auto columns = [](int64_t row, bool to_blocked) {
    const Target target = parse_target("x86-64-avx512");
    return default_schedule(make_case(16, row, 16, to_blocked).kernel, target, 1)["transpose.columns"];
  };
  for (const auto& [row, wanted] : {std::pair<int64_t, int64_t>{1, 0}, {2, 2}, {3, 2}, {4, 4}, {7, 4}, {8, 8}, {49, 8}})
    for (const bool to_blocked : {true, false}) EXPECT_EQ(columns(row, to_blocked), wanted) << row;
  EXPECT_EQ(columns(1000, false), 8);
  EXPECT_EQ(columns(1024, false), 16);  // 16 rows 4 KB apart in sets of 8 ways: each line is written at once
  EXPECT_EQ(columns(1024, true), 8);
}

TEST(Relayout, ATileThatIsShiftedInwardsIsATaskToo) {
  const Target target = parse_target("x86-64-avx2");
  const Kernel kernel = make_case(8, 7, 8, true).kernel;  // two images of two tiles
  Schedule s = default_schedule(kernel, target, 1);
  EXPECT_EQ(s["transpose.columns"], 4);
  s.values["parallel.tasks"] = 9;
  EXPECT_EQ(settled(kernel, target, s)["parallel.tasks"], 4);
}

}  // namespace
}  // namespace oc::test
