// When a kernel without trials of its own gets nothing from those of others.
#include <gtest/gtest.h>

#include <functional>

#include "tests/compiler/transfer_fixture.h"

namespace oc {
namespace {

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
  measure(conv(64, 64, 784, "relu(%3)", {.taps = 3}));  // another window
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
  const auto plain = [](int64_t ci) { return conv(64, ci, 784, {}, {.blocked = false}); };
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

TEST_F(TransferTest, WhatIsCarriedMustHaveGainedToo) {
  threads = 4;
  const int64_t tasks = formula(longer)["parallel.tasks"];
  measure(longer, {.changes = {{"unroll.ci", 4}, {"parallel.tasks", tasks / 2}}});
  add(longer, changed(longer, {{"unroll.ci", 4}}), 980, host);
  EXPECT_EQ(pick().rung, "default");
}

TEST_F(TransferTest, NothingIsCarriedWhenItIsNotWanted) {
  measure(recipient, {}, sibling());
  measure(longer);
  measure(with_relu);
  transfer = false;
  EXPECT_EQ(pick().rung, "default");
}

}  // namespace
}  // namespace oc
