#include "tests/autotune/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "tests/autotune/cut.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {
namespace {

constexpr const char* kConv =
    "graph {\n"
    "  %0: f32[1,32,14,14] aBcd16b = input\n"
    "  %1: f32[32,32,3,3] = weight\n"
    "  %2: f32[1,32,14,14] aBcd16b = conv(%0, %1) {dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]}\n"
    "  return %2\n"
    "}\n";

Target some_target() {
  return parse_target("x86-64-avx512");
}

TEST(Cut, HoldsTheStartsAndWhatIsLegalOfTheirNeighbourhoodAndNoMore) {
  const Target target = some_target();
  const Kernel kernel = kernel_of(kConv);
  const Space whole = schedule_space(kernel, target, 1);
  for (const size_t most : {150, 400}) {
    const Cut cut = cut_space(kernel, target, 1, most);
    EXPECT_LE(cut.schedules.size(), most);
    EXPECT_GE(cut.schedules.size(), most / 2);
    std::set<std::string> texts;
    std::set<int64_t> forms;
    for (const Schedule& schedule : cut.schedules) {
      EXPECT_TRUE(texts.insert(print_schedule(schedule)).second);
      EXPECT_EQ(why_illegal(kernel, target, schedule), "");
      EXPECT_EQ(settled(kernel, target, schedule), schedule);
      forms.insert(schedule["algorithm.form"]);
    }
    EXPECT_GT(forms.size(), 1U) << "direct and Winograd";
    EXPECT_EQ(cut.starts.front(), default_schedule(kernel, target, 1));
    for (const Schedule& start : whole.starts) EXPECT_THAT(cut.starts, ::testing::Contains(start));
    for (const Schedule& start : cut.starts) EXPECT_TRUE(texts.contains(print_schedule(start)));
  }
}

TEST(Cut, ASpaceThatIsSmallStaysWhole) {
  const Target target = some_target();
  const Kernel kernel =
      kernel_of("graph {\n  %0: f32[32,1024] = input\n  %1: f32[32,1024] = softmax(%0) {axis=1}\n  return %1\n}\n");
  const Cut cut = cut_space(kernel, target, 1, 400);
  ASSERT_EQ(cut.knobs.size(), 1U);
  EXPECT_EQ(cut.knobs[0].values, schedule_space(kernel, target, 1).knobs[0].values);
  EXPECT_EQ(cut.schedules.size(), cut.knobs[0].values.size());
}

TEST(Cut, FewerThanTheStartsNeedIsRefused) {
  EXPECT_THROW((void)cut_space(kernel_of(kConv), some_target(), 1, 2), UserError);
}

// Of the conv, with made-up times.
Table some_table() {
  const Target target = some_target();
  const Cut cut = cut_space(kernel_of(kConv), target, 1, 150);
  Table table{.workload = kConv,
              .target = target.name(),
              .machine = "a machine",
              .toolchain = "a compiler",
              .date = "2024-02-29",
              .l1 = 48 << 10,
              .l2 = 3 << 20,
              .l3 = 5 << 20,
              .family = Family::window,
              .fixed = cut.fixed,
              .knobs = cut.knobs,
              .default_ns = 1000};
  for (const Schedule& start : cut.starts) table.starts.push_back(table.values_of(start));
  for (const Schedule& schedule : cut.schedules)
    table.rows.push_back({table.values_of(schedule), TrialStatus::ok, 1000 + static_cast<int64_t>(table.rows.size())});
  table.rows[3] = {table.rows[3].values, TrialStatus::wrong_result, 0};
  table.retimed = {{table.rows[1].values, 0.5, 51}, {table.rows[0].values, 0.625, 51}};
  return table;
}

TEST(Table, TextRoundTripsAndGivesTheSchedulesBack) {
  const TempDir folder;
  const auto path = folder.path() / "conv.tsv";
  const Table table = some_table();
  write_file_atomic(path, print_table(table));
  const Table read = read_table(path);
  EXPECT_EQ(print_table(read), print_table(table));
  EXPECT_EQ(read.rows.size(), table.rows.size());
  EXPECT_EQ(read.retimed, table.retimed);
  EXPECT_EQ(read.built_for().name(), some_target().name());
  EXPECT_EQ(read.built_for().l2_bytes, 3 << 20);
  const Kernel kernel = kernel_of(read.workload);
  for (const TableRow& row : read.rows) {
    const Schedule schedule = read.schedule(row.values);
    EXPECT_EQ(parse_schedule(print_schedule(schedule)), schedule);
    EXPECT_EQ(why_illegal(kernel, some_target(), schedule), "");
  }
}

TEST(Table, ARowCutShortIsLeftOut) {
  const TempDir folder;
  const auto path = folder.path() / "conv.tsv";
  Table table = some_table();
  table.retimed.clear();
  const std::string text = print_table(table);
  write_file_atomic(path, text.substr(0, text.size() - 2));
  EXPECT_EQ(read_table(path).rows.size(), table.rows.size() - 1);
}

TEST(Table, ABadLineIsNamed) {
  const TempDir folder;
  const auto path = folder.path() / "conv.tsv";
  const Table table = some_table();
  const auto fault = [&](const std::string& text) {
    write_file_atomic(path, text);
    try {
      (void)read_table(path);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const std::string header = print_header(table), row = print_row(table.rows[0]), start = path.string();
  const std::string advice = "; remove the table and make it anew";
  EXPECT_EQ(fault(""), start + ": no table; remove the file and make it anew");
  EXPECT_EQ(fault(header + row + row), start + ":3: a schedule that stood there before" + advice);
  EXPECT_EQ(fault(header + "7\t7\n"),
            fmt::format("{}:2: 2 cells; {} knobs and a time expected{}", start, table.knobs.size(), advice));
  EXPECT_EQ(fault(header + row.substr(0, row.rfind('\t') + 1) + "soon\n"),
            start + ":2: 'soon' is no whole number" + advice);
  Table odd = table;
  odd.rows[0].values[0] = 77;
  EXPECT_EQ(fault(header + print_row(odd.rows[0])),
            fmt::format("{}:2: {}=77 is not among the header's values{}", start, table.knobs[0].name, advice));
  odd = table;
  odd.version = 9;
  EXPECT_EQ(fault(print_header(odd)), start + ":1: version 9 of family window; this build has 1" + advice);
}

TEST(Table, ItsSpaceIsWhatItHoldsEvenIfTheFamilyWouldSettleItOtherwise) {
  Table table = some_table();
  const Kernel kernel = kernel_of(kConv);
  // A row that the family would write in another way, as one from before a change of the family.
  TableRow old{{}, TrialStatus::ok, 900};
  for (Knob& knob : table.knobs) {
    old.values.push_back(knob.values.back());
    if (knob.name == "order.inner") old.values.back() = 0;
    if (knob.name != "tile.c") continue;
    knob.values.insert(knob.values.begin(), 1);
    knob.values.erase(std::ranges::unique(knob.values).begin(), knob.values.end());
    old.values.back() = 1;  // order inner is then without effect
  }
  ASSERT_NE(settled(kernel, some_target(), table.schedule(old.values)), table.schedule(old.values));
  table.rows.push_back(old);

  const Space space = table_space(table, kernel, some_target());
  std::set<std::string> reached;
  Point point(space.knobs.size(), 0);
  for (size_t knob = 0; knob < point.size();) {
    const Schedule schedule = space.at(point);
    if (space.legal(schedule)) reached.insert(print_schedule(schedule));
    for (knob = 0; knob < point.size() && ++point[knob] == space.knobs[knob].values.size(); ++knob) point[knob] = 0;
  }
  std::set<std::string> held;
  for (const TableRow& row : table.rows) held.insert(print_schedule(table.schedule(row.values)));
  EXPECT_EQ(reached, held);
}

}  // namespace
}  // namespace oc::testing
