// How long the look-up takes with 2,000 workloads, of which a sixth have a winner that is not the formula's (twice the
// share in the databases of real models), and a model of 60 kernels that none of them is; prints the times.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>

#include "autotune/provenance.h"
#include "compiler/pick.h"
#include "compiler/transfer.h"
#include "opencompiler/dsl.h"
#include "tuning_db/rows.h"

namespace oc {
namespace {

constexpr int kWorkloads = 2000, kKernels = 60, kTrials = 20;

// Pointwise and 3×3 convolutions, products, normalisations, sums: every text another workload.
std::string workload_text(int i) {
  const int channels = 16 * (1 + i % 40), points = 49 * (1 + i / 40);
  switch (i % 5) {
    case 0:
    case 1:
      return fmt::format(
          "graph {{\n  %0: f32[1,{0},1,{1}] aBcd16b = input\n  %1: f32[64,{0},1,1] = weight\n  %2: f32[64] A16a = "
          "weight\n  %3: f32[1,64,1,{1}] aBcd16b = conv(%0, %1, %2) {{dilations=[1,1], group=1, pads=[0,0,0,0], "
          "strides=[1,1]}}\n  %4: f32[1,64,1,{1}] aBcd16b = relu(%3)\n  return %4\n}}\n",
          channels, points);
    case 2:
      return fmt::format(
          "graph {{\n  %0: f32[1,{0},28,{1}] aBcd16b = input\n  %1: f32[64,{0},3,3] = weight\n  %2: f32[64] A16a = "
          "weight\n  %3: f32[1,64,28,{1}] aBcd16b = conv(%0, %1, %2) {{dilations=[1,1], group=1, pads=[1,1,1,1], "
          "strides=[1,1]}}\n  return %3\n}}\n",
          channels, points);
    case 3:
      return fmt::format(
          "graph {{\n  %0: f32[{1},{0}] = input\n  %1: f32[{0},384] = weight\n  %2: f32[{1},384] = matmul(%0, %1)\n"
          "  %3: f32[384] = weight\n  %4: f32[{1},384] = add(%2, %3)\n  return %4\n}}\n",
          channels, points);
    default:
      return fmt::format(
          "graph {{\n  %0: f32[{1},{0}] = input\n  %1: f32[{1},{0}] = softmax(%0) {{axis=1}}\n  return %1\n}}\n",
          channels, points);
  }
}

TEST(Speed, OfTheLadder) {
  const Target target = parse_target("x86-64-avx512");
  Machine machine{.vendor = "AuthenticAMD", .features = target.features, .core_kinds = "8"};
  std::string lines = row_line(describe(machine)) + "\n";
  const auto add = [&](const Kernel& kernel, const Schedule& schedule, int64_t nanoseconds) {
    Trial trial{.workload = kernel.workload.text,
                .schedule = print_schedule(schedule),
                .machine = machine.hash(),
                .features = target.name(),
                .build = "build",
                .samples_ns = std::vector<int64_t>(30, nanoseconds),
                .unix_ms = nanoseconds};
    lines += row_line(trial) + "\n";
    return row_id(trial);
  };
  std::vector<Kernel> kernels;
  for (int i = 0; i < kWorkloads + kKernels; ++i) {
    const Kernel kernel = analyse({workload_text(i)}, builtin_ops());
    if (i % (kWorkloads / kKernels) == 7 && kernels.size() < kKernels) {
      kernels.push_back(kernel);
      continue;
    }
    const Schedule formula = default_schedule(kernel, target, 1);
    lines += row_line(WorkloadRow{kernel.workload.text, std::string(family_name(kernel.family))}) + "\n";
    const std::string base = add(kernel, formula, 1000);
    lines += row_line(Mark{MarkKind::confirm, base, 4, ""}) + "\n";
    const Space space = schedule_space(kernel, target, 1);
    for (int k = 1; k < kTrials; ++k) {
      Schedule other = formula;
      const Knob& knob = space.knobs[static_cast<size_t>(k) % space.knobs.size()];
      other.values.at(knob.name) = knob.values[static_cast<size_t>(k + i) % knob.values.size()];
      const std::string id = add(kernel, settled(kernel, target, other), 900 + 10 * k);
      if (k == 1 && i % 6 == 0) lines += row_line(Mark{MarkKind::confirm, id, 5, ""}) + "\n";
    }
  }
  Database database = Database::in_memory();
  std::istringstream stream(lines);
  ASSERT_EQ(database.import_jsonl(stream).skipped, 0);
  std::vector<Database> all;
  all.push_back(std::move(database));
  const Layers layers(std::move(all));
  std::map<std::string, int> rungs;
  const auto time = [&](const OpTable* transfer) {
    PickSources sources;
    sources.trials.emplace(layers, kAnyBuild).transfer = transfer;
    std::vector<std::string> warnings;
    rungs.clear();
    const std::clock_t started = std::clock();  // the processor's time: others may be at work beside
    for (const Pick& pick : pick_schedules(kernels, target, machine, 1, sources, warnings)) ++rungs[pick.rung];
    const double taken = 1e3 * static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC;
    for (const auto& [rung, count] : rungs) fmt::print("{:>6} {}\n", count, rung);
    return taken;
  };
  const double without = time(nullptr);
  const double with = time(&builtin_ops());
  fmt::print("{:<44}{:10.3f} ms\n{:<44}{:10.3f} ms\n", "60 kernels without transfer", without, "with transfer", with);
  EXPECT_GT(rungs["nearest_shape"] + rungs["other_epilogue"], 0) << "some kernels have a donor";
  EXPECT_LT(with, 50);
}

}  // namespace
}  // namespace oc
