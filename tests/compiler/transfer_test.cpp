// Which schedule a kernel without trials of its own gets from those of others.
#include "compiler/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "generators/lock.h"
#include "tests/compiler/transfer_fixture.h"

namespace oc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST_F(TransferTest, AnotherEpilogueGivesTheWinnersChoicesWhole) {
  const std::string trial = measure(with_relu, {.changes = {{"unroll.ci", 4}, {"tile.x", 7}}});
  const Pick found = pick();
  EXPECT_EQ(found.rung, "other_epilogue");
  EXPECT_EQ(found.trial, trial);
  EXPECT_EQ(found.source, "copy");
  EXPECT_EQ(found.origin, Pick::Origin::database);
  EXPECT_EQ(found.schedule, changed(recipient, {{"unroll.ci", 4}, {"tile.x", 7}}));
}

TEST_F(TransferTest, ANearShapeGivesWhatDoesNotDependOnExtents) {
  threads = 4;
  const KnobValues carried{{"unroll.ci", 4}};
  const int64_t tasks = formula(longer)["parallel.tasks"];
  const std::string whole = measure(longer, {.changes = {{"unroll.ci", 4}, {"parallel.tasks", tasks / 2}}});
  EXPECT_EQ(pick().rung, "default");  // what would be carried has not been timed
  const std::string part = add(longer, changed(longer, carried), 950, host);
  const Pick found = pick();
  EXPECT_EQ(found.rung, "nearest_shape");
  EXPECT_EQ(found.trial, part);
  EXPECT_EQ(found.schedule, changed(recipient, carried));
  EXPECT_EQ(found.schedule["parallel.tasks"], formula(recipient)["parallel.tasks"]);
}

TEST_F(TransferTest, TheWinnerOfTheAskingBuildIsEvidence) {
  measure(with_relu, {.changes = {{"unroll.ci", 4}}});
  const Schedule other = changed(with_relu, {{"unroll.ci", 8}});
  mark(add(with_relu, formula(with_relu), 1000, host, "another"), MarkKind::confirm, 5);
  mark(add(with_relu, other, 800, host, "another"), MarkKind::confirm, 6);
  EXPECT_EQ(pick().schedule, changed(recipient, {{"unroll.ci", 8}})) << "confirmed last";
  build = kBuild;
  EXPECT_EQ(pick().schedule, changed(recipient, {{"unroll.ci", 4}}));
  build = "another";
  EXPECT_EQ(pick().schedule, changed(recipient, {{"unroll.ci", 8}}));
}

TEST_F(TransferTest, OneOfTheDefaultsTrialsIsConfirmed) {
  const std::string winner = measure(with_relu);
  add(with_relu, formula(with_relu), 990, host);  // timed again without a duel, a little faster
  EXPECT_EQ(pick().trial, winner);
  add(with_relu, formula(with_relu), 901, host);
  EXPECT_EQ(pick().rung, "default") << "the fastest counts";
}

TEST_F(TransferTest, ATrialThatDoesNotFitDoesNotEndTheLadder) {
  const std::string donor = measure(with_relu);
  const auto add_text = [&](const std::string& schedule) {
    return database.add_trial({.workload = recipient.workload.text,
                               .schedule = schedule,
                               .machine = host.hash(),
                               .features = target.name(),
                               .build = kBuild,
                               .samples_ns = {1},
                               .unix_ms = 1});
  };
  const std::string unusable = add_text("nonsense");
  std::vector<std::string> warnings;
  EXPECT_EQ(pick(recipient, 1, &warnings).trial, donor);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("trial " + unusable));
  EXPECT_THAT(warnings[0], EndsWith("; that of trial " + donor + " (other_epilogue) is used"));
  transfer = false;
  EXPECT_EQ(pick(recipient, 1, &warnings).rung, "default");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], EndsWith("; the default is used"));
}

TEST_F(TransferTest, ATrialThatDoesNotFitHidesNoOtherOfItsKernel) {
  Schedule illegal = formula(recipient);
  illegal.values.at("tile.c") = 6;  // of 4 blocks
  ASSERT_NE(why_illegal(recipient, target, illegal), "");
  add(recipient, changed(recipient, {{"unroll.ci", 1}}), 800, host, kBuild, TrialStatus::ok, 2);
  const std::string nonsense = database.add_trial({.workload = recipient.workload.text,
                                                   .schedule = "nonsense",
                                                   .machine = host.hash(),
                                                   .features = target.name(),
                                                   .build = kBuild,
                                                   .samples_ns = {1},
                                                   .unix_ms = 1});
  const std::string pinned = add(recipient, illegal, 900, host);
  mark(pinned, MarkKind::pin, 9);
  for (const size_t layers : {1, 3}) {
    std::vector<std::string> warnings;
    EXPECT_EQ(pick(recipient, layers, &warnings).rung, "other_threads");
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_THAT(warnings[0], HasSubstr("trial " + pinned)) << "not of " << nonsense << ", which comes behind it";
  }
  add(recipient, changed(recipient, {{"unroll.ci", 8}}), 1000, host);
  const std::string next = add(recipient, changed(recipient, {{"unroll.ci", 4}}), 900, host);
  for (const size_t layers : {1, 3}) {
    std::vector<std::string> warnings;
    EXPECT_EQ(pick(recipient, layers, &warnings).trial, next);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_THAT(warnings[0], EndsWith("; that of trial " + next + " (exact) is used"));
  }
}

TEST_F(TransferTest, ASiblingGivesItsWinner) {
  const std::string trial = measure(recipient, {.changes = {{"unroll.ci", 4}, {"tile.x", 7}}}, sibling());
  const Pick found = pick();
  EXPECT_EQ(found.rung, "sibling");
  EXPECT_EQ(found.trial, trial);
  EXPECT_EQ(found.schedule, changed(recipient, {{"unroll.ci", 4}, {"tile.x", 7}}));
}

TEST_F(TransferTest, TheLadderIsClimbedFromTheFoot) {
  EXPECT_EQ(pick().rung, "default");
  measure(recipient, {}, sibling());
  EXPECT_EQ(pick().rung, "sibling");
  measure(longer);
  EXPECT_EQ(pick().rung, "nearest_shape");
  measure(with_relu);
  EXPECT_EQ(pick().rung, "other_epilogue");
  add(recipient, changed(recipient, {{"unroll.ci", 1}}), 900, host, kBuild, TrialStatus::ok, 2);
  EXPECT_EQ(pick().rung, "other_threads");
  add(recipient, formula(recipient), 900, host);
  EXPECT_EQ(pick().rung, "exact");
}

TEST_F(TransferTest, ALockReplaysItWithoutTheDatabase) {
  measure(with_relu);
  const Pick found = pick();
  const Lock lock{
      target.name(), 1, "tools", {{recipient.workload.text, print_schedule(found.schedule), found.trial, found.rung}}};
  const Lock read = parse_lock(print_lock(lock), "m.lock");
  std::vector<std::string> warnings;
  const std::vector<Pick> again =
      pick_schedules({recipient}, target, host, 1, {.lock = &read, .lock_file = "m.lock"}, warnings);
  EXPECT_EQ(again.at(0).schedule, found.schedule);
  EXPECT_EQ(again.at(0).trial, found.trial);
  EXPECT_EQ(again.at(0).rung, "other_epilogue");
}

TEST_F(TransferTest, ASiblingWithOtherCachesServesWhereTheFormulaGivesTheSame) {
  Machine larger = sibling();
  larger.l3_bytes *= 2;
  measure(recipient, {}, larger);
  EXPECT_EQ(pick().rung, "sibling");
}

TEST_F(TransferTest, TheNearestDonorIsAskedFirst) {
  measure(conv(64, 64, 3136), {.changes = {{"unroll.ci", 8}}, .winner_ns = 500});
  const std::string near = measure(longer, {.changes = {{"unroll.ci", 4}}});
  EXPECT_EQ(pick().trial, near);
  mark(near, MarkKind::quarantine, 9);
  EXPECT_EQ(pick().schedule, changed(recipient, {{"unroll.ci", 8}}));
}

TEST_F(TransferTest, OfEquallyNearDonorsTheOneThatGainedMostThenTheSmallerId) {
  const std::string first = measure(with_relu, {.changes = {{"unroll.ci", 4}}, .winner_ns = 900});
  const std::string second =
      measure(conv(64, 64, 784, "sigmoid(%3)"), {.changes = {{"unroll.ci", 8}}, .winner_ns = 899});
  EXPECT_EQ(pick().trial, second);
  const std::string third = measure(conv(64, 64, 784, "tanh(%3)"), {.changes = {{"unroll.ci", 1}}, .winner_ns = 899});
  EXPECT_EQ(pick().trial, std::min(second, third));
}

TEST_F(TransferTest, TheOrderOfRowsDoesNotMatter) {
  const Kernel others[] = {with_relu, longer, conv(64, 64, 784, "sigmoid(%3)"), conv(128, 64, 784), conv(64, 64, 392)};
  int64_t time = 800;
  for (const Kernel& kernel : others)
    measure(kernel, {.changes = {{"unroll.ci", time % 2 == 0 ? 4 : 8}}, .winner_ns = ++time});
  measure(recipient, {.winner_ns = 700}, sibling());
  std::vector<std::string> lines;
  std::istringstream exported(database.export_jsonl());
  for (std::string line; std::getline(exported, line);) lines.push_back(line + "\n");
  const Pick expected = pick();
  ASSERT_EQ(expected.rung, "other_epilogue");
  std::mt19937 random(1);
  for (int i = 0; i < 10; ++i) {
    std::ranges::shuffle(lines, random);
    std::string text;
    for (const std::string& line : lines) text += line;
    std::istringstream shuffled(text);
    database = Database::in_memory();
    ASSERT_EQ(database.import_jsonl(shuffled).skipped, 0);
    const Pick found = pick();
    EXPECT_EQ(found.schedule, expected.schedule);
    EXPECT_EQ(found.trial, expected.trial);
  }
}

TEST_F(TransferTest, LayersLendTogether) {
  const std::string trial = measure(with_relu);
  measure(recipient, {.winner_ns = 700}, sibling());
  for (const size_t count : {2, 3, 4, 5}) EXPECT_EQ(pick(recipient, count).trial, trial);
  database = Database::in_memory();
  const std::string of_sibling = measure(recipient, {.winner_ns = 700}, sibling());
  for (const size_t count : {2, 3, 4, 5}) EXPECT_EQ(pick(recipient, count).trial, of_sibling);
}

TEST_F(TransferTest, WhatIsExportedAsTheBestLendsToo) {
  threads = 2;
  const std::string trial = measure(with_relu);
  const std::map<std::string, Machine> machines = described_machines(database.machines());
  const auto exported = [&](const Baseline& baseline) {
    std::istringstream lines(database.export_jsonl(ExportScope::best, baseline));
    Database copy = Database::in_memory();
    EXPECT_EQ(copy.import_jsonl(lines).skipped, 0);
    return copy;
  };
  Database winners = exported({});
  Database both = exported([&](const Key& key) { return formula_of(key, machines, builtin_ops()); });
  EXPECT_EQ(winners.stats().trials, 1);
  EXPECT_EQ(both.stats().trials, 2);
  database = std::move(winners);
  EXPECT_EQ(pick().rung, "default");
  EXPECT_EQ(pick(with_relu).trial, trial);
  database = std::move(both);
  EXPECT_EQ(pick().trial, trial);
  EXPECT_EQ(pick().rung, "other_epilogue");
  EXPECT_EQ(pick(with_relu).trial, trial);
}

TEST_F(TransferTest, OfWhatNobodyKnowsThereIsNoFormula) {
  const std::map<std::string, Machine> machines = {{host.hash(), host}};
  const Key key{recipient.workload.text, host.hash(), target.name(), 1};
  EXPECT_EQ(formula_of(key, machines, builtin_ops()), print_schedule(formula(recipient)));
  EXPECT_EQ(formula_of(key, {}, builtin_ops()), "");
  EXPECT_EQ(formula_of({"graph {", key.machine, key.features, 1}, machines, builtin_ops()), "");
  EXPECT_EQ(formula_of({key.workload, key.machine, "nonsense", 1}, machines, builtin_ops()), "");
}

TEST_F(TransferTest, DepthwiseConvolutionsOfOtherChannelsAreNear) {
  const auto depthwise = [](int64_t c) { return conv(c, c, 784, {}, {.taps = 3, .depthwise = true}); };
  measure(depthwise(96), {.changes = {{"tile.x", 7}}});
  const Pick found = pick(depthwise(144));
  EXPECT_EQ(found.rung, "nearest_shape");
  EXPECT_EQ(found.schedule["tile.x"], 7);
  EXPECT_EQ(pick(conv(96, 96, 784)).rung, "default");
}

}  // namespace
}  // namespace oc
