// A database whose trials may lend, and a kernel that has none.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "autotune/provenance.h"
#include "compiler/pick.h"
#include "opencompiler/dsl.h"

namespace oc {

inline const std::string kBuild = row_id(BuildRow{"tools", "0", "space"});

struct ConvForm {
  int64_t taps = 1;                        // side by side
  bool depthwise = false, blocked = true;  // blocked: the input's channels
};

// A convolution of `ci` to `co` channels over so many points, then `epilogue` of %3 into %4, if any.
inline Kernel conv(int64_t co, int64_t ci, int64_t points, const std::string& epilogue = {},
                   const ConvForm& form = {}) {
  std::string text = fmt::format(
      "graph {{\n  %0: f32[1,{ci},1,{points}]{layout} = input\n  %1: f32[{co},{summed},1,{taps}] = weight\n"
      "  %2: f32[{co}] A16a = weight\n"
      "  %3: f32[1,{co},1,{points}] aBcd16b = conv(%0, %1, %2) {{dilations=[1,1], group={group}, "
      "pads=[0,{pad},0,{pad}], strides=[1,1]}}\n",
      fmt::arg("co", co), fmt::arg("ci", ci), fmt::arg("points", points), fmt::arg("taps", form.taps),
      fmt::arg("pad", form.taps / 2), fmt::arg("layout", form.blocked ? " aBcd16b" : ""),
      fmt::arg("summed", form.depthwise ? 1 : ci), fmt::arg("group", form.depthwise ? ci : 1));
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
    PickSources sources;
    sources.trials.emplace(all, build);
    if (transfer) sources.trials->transfer = &builtin_ops();
    std::vector<std::string> warnings;
    std::vector<Pick> picks = pick_schedules({kernel}, target, host, threads, sources, warnings);
    if (warned != nullptr)
      *warned = warnings;
    else
      EXPECT_THAT(warnings, testing::IsEmpty());
    return picks.at(0);
  }
  [[nodiscard]] Pick pick() const { return pick(recipient); }

  [[nodiscard]] Machine sibling() const {
    Machine machine = host;
    machine.model = "another";
    return machine;
  }
};

}  // namespace oc
