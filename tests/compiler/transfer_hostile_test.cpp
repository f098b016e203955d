// Rows are data from anybody: what cannot be evidence is passed over.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "compiler/anchor.h"
#include "tests/compiler/transfer_fixture.h"

namespace oc {
namespace {

TEST_F(TransferTest, AMachineSaysWhatItIsOrIsNoSibling) {
  const Machine machine = sibling();
  EXPECT_EQ(described_machine(describe(machine)), machine);
  for (const char* description : {"", "{}", "no JSON", R"({"vendor":7})"})
    EXPECT_FALSE(described_machine({machine.hash(), description}));
  std::string huge = describe(machine).description;
  const size_t family = huge.find("\"family\":");
  huge.replace(family, huge.find(',', family) - family, "\"family\":3e300");  // no int: what the sanitizers watch
  EXPECT_FALSE(described_machine({machine.hash(), huge}));
  EXPECT_FALSE(described_machine({machine.hash(), describe(host).description}));
  measure(recipient, {}, machine);
  std::istringstream exported(database.export_jsonl());
  database = Database::in_memory();
  for (std::string line; std::getline(exported, line);) {
    if (line.find(R"("kind":"machine")") != std::string::npos) continue;
    std::istringstream one(line);
    EXPECT_EQ(database.import_jsonl(one).added, 1) << line;
  }
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, HostileWorkloadsArePassedOver) {
  size_t likely = 0;
  for (const char* text : {"graph {", "graph {\n  %0: f32[1,64,1,784] aBcd16b = conv(%0, %1, %2) {\n}\n", "\n: = (\n",
                           "graph {\n  %3: f32[1,64,1,784] aBcd16b = conv(\n"}) {
    for (const char* schedule : {"window v1", "window v1\nunroll ci=4"})
      mark(database.add_trial({.workload = text,
                               .schedule = schedule,
                               .machine = host.hash(),
                               .features = target.name(),
                               .samples_ns = {1},
                               .unix_ms = 1}),
           MarkKind::confirm, 1);
    const std::vector<std::string> wanted = node_outlines(recipient.workload.text), found = node_outlines(text);
    likely += std::ranges::any_of(found, [&](const auto& each) { return std::ranges::count(wanted, each) != 0; });
  }
  ASSERT_EQ(layers(1).contested(host.hash(), target.name(), threads).size(), 4U) << "all are looked at";
  ASSERT_GT(likely, 0U) << "and some of them parsed";
  EXPECT_EQ(pick().rung, "default");
  measure(with_relu);
  EXPECT_EQ(pick().rung, "other_epilogue");
}

TEST_F(TransferTest, HostileWinnersOfDonorsArePassedOver) {
  const Schedule illegal = [&] {
    Schedule schedule = formula(with_relu);
    schedule.values.at("tile.c") = 6;  // of 4 blocks
    return schedule;
  }();
  ASSERT_NE(why_illegal(with_relu, target, illegal), "");
  for (const std::string& text : {std::string("nonsense"), std::string("window v99\n"), print_schedule(illegal)}) {
    database = Database::in_memory();
    measure(with_relu);
    ASSERT_EQ(pick().rung, "other_epilogue");
    mark(database.add_trial({.workload = with_relu.workload.text,
                             .schedule = text,
                             .machine = host.hash(),
                             .features = target.name(),
                             .build = kBuild,
                             .samples_ns = {1},
                             .unix_ms = 1}),
         MarkKind::confirm, 9);
    EXPECT_EQ(pick().rung, "other_epilogue") << text;
  }
}

TEST_F(TransferTest, SiblingsWithAbsurdCachesArePassedOver) {
  for (const int64_t bytes : {INT64_C(-1), INT64_C(0), INT64_MAX, (INT64_C(1) << 40) + 1}) {
    database = Database::in_memory();
    Machine machine = sibling();
    machine.l2_bytes = bytes;
    EXPECT_EQ(described_machine(describe(machine)), machine);
    EXPECT_FALSE(target_on(target.name(), machine));
    measure(recipient, {}, machine);
    EXPECT_EQ(pick().rung, "default") << bytes;
  }
}

TEST_F(TransferTest, FeaturesThatAreNoTargetArePassedOver) {
  for (const char* features : {"", "nonsense", "x86-64-linux-avx1024", "x86-64-linux-\xff"})
    EXPECT_FALSE(target_on(features, sibling())) << features;
  measure(recipient, {}, sibling());
  ASSERT_EQ(pick().rung, "sibling");
  mark(database.add_trial({.workload = recipient.workload.text,
                           .schedule = print_schedule(formula(recipient)),
                           .machine = sibling().hash(),
                           .features = "nonsense",
                           .build = kBuild,
                           .samples_ns = {1},
                           .unix_ms = 1}),
       MarkKind::confirm, 9);
  EXPECT_EQ(pick().rung, "sibling") << "the other key's trials serve still";
}

}  // namespace
}  // namespace oc
