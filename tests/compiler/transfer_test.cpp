// Which schedule a kernel without trials of its own gets from those of others, and when it gets none.
#include "compiler/transfer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "autotune/provenance.h"
#include "compiler/pick.h"
#include "generators/lock.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kBuild = row_id(BuildRow{"tools", "0", "space"});

// A pointwise convolution of `ci` to `co` channels over so many points, then `epilogue` of %3 into %4, if any.
Kernel conv(int64_t co, int64_t ci, int64_t points, const std::string& epilogue = {}, const std::string& more = "1,1") {
  std::string text = fmt::format(
      "graph {{\n  %0: f32[1,{1},1,{2}] aBcd16b = input\n  %1: f32[{0},{1},{3}] = weight\n  %2: f32[{0}] A16a = "
      "weight\n"
      "  %3: f32[1,{0},1,{2}] aBcd16b = conv(%0, %1, %2) {{dilations=[1,1], group=1, pads=[0,{4},0,{4}], "
      "strides=[1,1]}}\n",
      co, ci, points, more, more == "1,3" ? 1 : 0);
  if (!epilogue.empty()) text += fmt::format("  %4: f32[1,{},1,{}] aBcd16b = {}\n", co, points, epilogue);
  return analyse({text + fmt::format("  return %{}\n}}\n", epilogue.empty() ? 3 : 4)}, builtin_ops());
}

// What a donor's trials look like; the usual ones are evidence.
struct Measured {
  KnobValues changes = {{"unroll.ci", 4}};  // of the winner, from the formula's
  int64_t base_ns = 1000, winner_ns = 900;
  bool base = true, base_confirmed = true, base_quarantined = false, winner_confirmed = true,
       winner_quarantined = false;
  std::string base_build = kBuild;
  TrialStatus base_status = TrialStatus::ok;
};

struct TransferTest : testing::Test {
  Target target = parse_target("x86-64-avx512");
  Machine host{.vendor = "AuthenticAMD",
               .model = "this",
               .family = 25,
               .features = target.features,
               .l1_bytes = target.l1_bytes,
               .l2_bytes = target.l2_bytes,
               .l3_bytes = target.l3_bytes,
               .core_kinds = "8"};
  int threads = 1;
  const Kernel recipient = conv(64, 64, 784);
  const Kernel with_relu = conv(64, 64, 784, "relu(%3)");
  const Kernel longer = conv(64, 64, 1568);
  Database database = Database::in_memory();
  bool transfer = true;
  std::string build{kAnyBuild};  // the asking program's

  [[nodiscard]] Schedule formula(const Kernel& kernel) const { return default_schedule(kernel, target, threads); }
  [[nodiscard]] Schedule changed(const Kernel& kernel, const KnobValues& changes) const {
    Schedule schedule = formula(kernel);
    for (const auto& [name, value] : changes) schedule.values.at(name) = value;
    schedule = settled(kernel, target, schedule);
    EXPECT_NE(schedule, formula(kernel));
    EXPECT_EQ(why_illegal(kernel, target, schedule), "");
    return schedule;
  }

  std::string add(const Kernel& kernel, const Schedule& schedule, int64_t nanoseconds, const Machine& machine,
                  const std::string& build = kBuild, TrialStatus status = TrialStatus::ok, int for_threads = 0) {
    database.add_workload({kernel.workload.text, std::string(family_name(kernel.family))});
    database.add_machine(describe(machine));
    Trial trial{.workload = kernel.workload.text,
                .schedule = print_schedule(schedule),
                .machine = machine.hash(),
                .features = target.name(),
                .threads = for_threads == 0 ? threads : for_threads,
                .build = build,
                .status = status,
                .unix_ms = 1'700'000'000'000};
    if (status == TrialStatus::ok) trial.samples_ns = {nanoseconds};
    return database.add_trial(trial);
  }
  void mark(const std::string& trial, MarkKind kind, int64_t when) {
    database.add_mark({.kind = kind, .trial = trial, .unix_ms = when, .note = {}});
  }
  // The winner's trial.
  std::string measure(const Kernel& kernel, const Measured& how, const Machine& machine) {
    if (how.base) {
      const std::string base = add(kernel, formula(kernel), how.base_ns, machine, how.base_build, how.base_status);
      if (how.base_confirmed) mark(base, MarkKind::confirm, 1);
      if (how.base_quarantined) mark(base, MarkKind::quarantine, 2);
    }
    std::string winner = add(kernel, changed(kernel, how.changes), how.winner_ns, machine);
    if (how.winner_confirmed) mark(winner, MarkKind::confirm, 3);
    if (how.winner_quarantined) mark(winner, MarkKind::quarantine, 4);
    return winner;
  }
  std::string measure(const Kernel& kernel, const Measured& how = {}) { return measure(kernel, how, host); }

  // Its trials and marks, spread over so many layers.
  [[nodiscard]] Layers layers(size_t count) const {
    std::vector<Database> result;
    for (size_t i = 0; i < count; ++i) result.push_back(Database::in_memory("copy"));
    std::istringstream lines(database.export_jsonl());
    size_t number = 0;
    for (std::string line; std::getline(lines, line); ++number) {
      const bool spread =
          line.find(R"("samples_ns":)") != std::string::npos || line.find(R"("kind":"mark")") != std::string::npos;
      for (size_t i = 0; i < count; ++i) {
        if (spread && i != number % count) continue;
        std::istringstream one(line);
        EXPECT_EQ(result[i].import_jsonl(one).skipped, 0);
      }
    }
    return Layers(std::move(result));
  }
  // `warned`, if given, is told the warnings; else there must be none.
  [[nodiscard]] Pick pick(const Kernel& kernel, size_t count = 1, std::vector<std::string>* warned = nullptr) const {
    const Layers all = layers(count);
    const PickSources sources{.layers = &all, .build = build, .transfer = transfer, .ops = &builtin_ops()};
    std::vector<std::string> warnings;
    std::vector<Pick> picks = pick_schedules({kernel}, target, host, threads, sources, warnings);
    if (warned != nullptr)
      *warned = warnings;
    else
      EXPECT_THAT(warnings, IsEmpty());
    return picks.at(0);
  }
  [[nodiscard]] Pick pick() const { return pick(recipient); }

  [[nodiscard]] Machine sibling() const {
    Machine machine = host;
    machine.model = "another";
    return machine;
  }
};

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

TEST_F(TransferTest, WhatIsCarriedMustHaveGainedToo) {
  threads = 4;
  const int64_t tasks = formula(longer)["parallel.tasks"];
  measure(longer, {.changes = {{"unroll.ci", 4}, {"parallel.tasks", tasks / 2}}});
  add(longer, changed(longer, {{"unroll.ci", 4}}), 980, host);
  EXPECT_EQ(pick().rung, "default");
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

TEST_F(TransferTest, NothingIsCarriedWhenItIsNotWanted) {
  measure(recipient, {}, sibling());
  measure(longer);
  measure(with_relu);
  transfer = false;
  EXPECT_EQ(pick().rung, "default");
}

struct Refusal {
  const char* name;
  Measured how;
};
struct TransferRefusal : TransferTest, testing::WithParamInterface<Refusal> {};

TEST_P(TransferRefusal, OfADonor) {
  measure(with_relu, GetParam().how);
  measure(longer, GetParam().how);
  measure(recipient, GetParam().how, sibling());
  EXPECT_EQ(pick().rung, "default");
}

INSTANTIATE_TEST_SUITE_P(All, TransferRefusal,
                         testing::Values(Refusal{"MarginTooSmall", {.winner_ns = 980}},
                                         Refusal{"DefaultMissing", {.base = false}},
                                         Refusal{"DefaultUnconfirmed", {.base_confirmed = false}},
                                         Refusal{"DefaultQuarantined", {.base_quarantined = true}},
                                         Refusal{"DefaultOfAnotherBuild", {.base_build = "another"}},
                                         Refusal{"DefaultFailed", {.base_status = TrialStatus::crash}},
                                         Refusal{"WinnerUnconfirmed", {.winner_confirmed = false}},
                                         Refusal{"WinnerQuarantined", {.winner_quarantined = true}}),
                         [](const auto& info) { return info.param.name; });

TEST_F(TransferTest, WrongResultsOfAWinnerSpeakAgainstIt) {
  measure(with_relu);
  ASSERT_EQ(pick().rung, "other_epilogue");
  add(with_relu, changed(with_relu, {{"unroll.ci", 4}}), 0, host, kBuild, TrialStatus::wrong_result);
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, WhatFailedForTheRecipientIsNotCarriedToIt) {
  measure(with_relu);
  add(recipient, changed(recipient, {{"unroll.ci", 4}}), 0, host, kBuild, TrialStatus::crash, 2);
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, OtherKindsOfAnchorsAreNoDonors) {
  measure(conv(64, 64, 784, "relu(%3)", "1,3"));  // another window
  EXPECT_EQ(pick().rung, "default");
  measure(conv(64, 64, 784 * 8, "relu(%3)"));  // too far
  EXPECT_EQ(pick().rung, "default");
  measure(conv(64, 256, 1568, "relu(%3)"));  // too far along two axes together
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, OtherDeviceClassesAreNoDonors) {
  const auto rung_with = [&](const std::function<void(Machine&)>& change) {
    database = Database::in_memory();
    Machine machine = sibling();
    change(machine);
    measure(recipient, {}, machine);
    return pick().rung;
  };
  EXPECT_EQ(rung_with([](Machine& m) { m.core_kinds = "16"; }), "sibling");
  EXPECT_EQ(rung_with([](Machine& m) { m.core_kinds = "4P+4E"; }), "default");
  EXPECT_EQ(rung_with([](Machine& m) { m.vendor = "GenuineIntel"; }), "default");
  EXPECT_EQ(rung_with([](Machine& m) { m.features.emplace_back("avx512_zen5"); }), "default");
}

TEST_F(TransferTest, AMachineSaysWhatItIsOrIsNoSibling) {
  const Machine machine = sibling();
  EXPECT_EQ(described_machine(describe(machine)), machine);
  for (const char* description : {"", "{}", "no JSON", R"({"vendor":7})"})
    EXPECT_FALSE(described_machine({machine.hash(), description}));
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

TEST_F(TransferTest, ASiblingWithOtherCachesServesWhereTheFormulaGivesTheSame) {
  Machine larger = sibling();
  larger.l3_bytes *= 2;
  measure(recipient, {}, larger);
  EXPECT_EQ(pick().rung, "sibling");
}

TEST_F(TransferTest, WhereTheFormulaChoseOtherwiseTheEvidenceDoesNotApply) {
  const Kernel fewer = conv(48, 64, 784);
  ASSERT_NE(formula(fewer)["tile.x"], formula(recipient)["tile.x"]);
  measure(fewer);
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, WhatIsIllegalForTheRecipientIsNotCarried) {
  const Kernel wider = conv(128, 64, 784);  // of 8 blocks of channels, not 4
  measure(wider, {.changes = {{"tile.c", 6}}});
  EXPECT_EQ(pick().rung, "default");
  measure(wider, {.changes = {{"tile.c", 1}}, .winner_ns = 800});
  EXPECT_EQ(pick().rung, "nearest_shape");
}

TEST_F(TransferTest, WhatTheRecipientCannotKeepIsNotCarried) {
  const auto plain = [](int64_t ci) {
    return analyse({fmt::format("graph {{\n  %0: f32[1,{0},1,784] = input\n  %1: f32[64,{0},1,1] = weight\n"
                                "  %2: f32[1,64,1,784] aBcd16b = conv(%0, %1) {{dilations=[1,1], group=1, "
                                "pads=[0,0,0,0], strides=[1,1]}}\n  return %2\n}}\n",
                                ci)},
                   builtin_ops());
  };
  measure(plain(8));
  EXPECT_EQ(pick(plain(6)).rung, "default");  // 4 do not divide 6
  EXPECT_EQ(pick(plain(12)).rung, "nearest_shape");
}

TEST_F(TransferTest, WhatLeavesThreadsIdleIsNotCarried) {
  threads = 2;
  ASSERT_GT(formula(recipient)["parallel.tasks"], 1);
  measure(with_relu, {.changes = {{"parallel.tasks", 1}}});
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, WhatDependsOnExtentsAloneIsNotCarriedToOthers) {
  threads = 4;
  measure(longer, {.changes = {{"parallel.tasks", formula(longer)["parallel.tasks"] / 2}}});
  EXPECT_EQ(pick().rung, "default");
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

TEST_F(TransferTest, DepthwiseConvolutionsOfOtherChannelsAreNear) {
  const auto depthwise = [](int64_t c) {
    return analyse({fmt::format("graph {{\n  %0: f32[1,{0},28,28] aBcd16b = input\n  %1: f32[{0},1,3,3] = weight\n"
                                "  %2: f32[1,{0},28,28] aBcd16b = conv(%0, %1) {{dilations=[1,1], group={0}, "
                                "pads=[1,1,1,1], strides=[1,1]}}\n  return %2\n}}\n",
                                c)},
                   builtin_ops());
  };
  measure(depthwise(96), {.changes = {{"tile.x", 7}}});
  const Pick found = pick(depthwise(144));
  EXPECT_EQ(found.rung, "nearest_shape");
  EXPECT_EQ(found.schedule["tile.x"], 7);
  EXPECT_EQ(pick(conv(96, 96, 784)).rung, "default");
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
    EXPECT_EQ(pick().rung, "default") << text;
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
