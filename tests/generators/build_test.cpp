#include "generators/build.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "generators/disassemble.h"

namespace oc {
const OpTable& builtin_ops();  // opencompiler/dsl.h, without Halide.h
}

namespace oc::test {
namespace {

std::vector<Kernel> kernels() {
  std::vector<Kernel> result;
  for (const char* text :
       {"graph { %0: f32[7,24] = input %1: f32[24,33] = weight %2: f32[7,33] = matmul(%0, %1) return %2 }",
        "graph { %0: f32[1,16,9,9] aBcd8b = input %1: f32[16,16,3,3] = weight %2: f32[1,16,9,9] aBcd8b = conv(%0, %1) "
        "{dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]} return %2 }",
        "graph { %0: f32[5,17] = input %1: f32[5,17] = softmax(%0) {axis=1} return %1 }"})
    result.push_back(analyse({text}, builtin_ops()));
  return result;
}

std::vector<BuildOutcome> build(const std::vector<Kernel>& list, const Target& target, const BuildOptions& options) {
  std::vector<BuildJob> jobs;
  for (const Kernel& kernel : list) jobs.push_back({&kernel, default_schedule(kernel, target, 2)});
  std::vector<BuildOutcome> outcomes = build_kernels(jobs, builtin_ops(), target, options);
  for (const BuildOutcome& outcome : outcomes) EXPECT_EQ(outcome.status, ChildStatus::ok) << outcome.error;
  return outcomes;
}

TEST(Build, TheSameKernelGivesTheSameBytes) {
  const std::vector<Kernel> list = kernels();
  for (const char* name : {"x86-64-avx2", "arm-64-linux"}) {
    const Target target = parse_target(name);
    const std::vector<BuildOutcome> first = build(list, target, {.jobs = 1});
    // Neither the order nor what is built beside it matters.
    const std::vector<BuildOutcome> second = build({list.rbegin(), list.rend()}, target, {.jobs = 2});
    for (size_t i = 0; i < list.size(); ++i) {
      EXPECT_FALSE(first[i].artifact.object.empty());
      EXPECT_EQ(first[i].artifact, second[list.size() - 1 - i].artifact) << name << " " << i;
    }
  }
}

TEST(Build, KeysTellKernelsSchedulesAndTargetsApart) {
  const std::vector<Kernel> list = kernels();
  const Target avx2 = parse_target("x86-64-avx2"), sse = parse_target("x86-64-sse41");
  Schedule schedule = default_schedule(list[0], avx2, 1);
  const std::string key = artifact_key(list[0].workload, schedule, avx2);
  EXPECT_EQ(artifact_key(list[0].workload, schedule, avx2), key);
  EXPECT_NE(artifact_key(list[0].workload, schedule, sse), key);
  EXPECT_NE(artifact_key(list[1].workload, schedule, avx2), key);
  schedule.values["tile.m"] = 1 + schedule["tile.m"] % 4;
  EXPECT_NE(artifact_key(list[0].workload, schedule, avx2), key);
}

TEST(Build, TheObjectDefinesItsSymbol) {
  const Target target = parse_target("x86-64-avx2");
  const std::vector<BuildOutcome> outcomes = build({kernels()[2]}, target, {});
  const Artifact& artifact = outcomes[0].artifact;
  EXPECT_EQ(artifact.symbol, "oc_k_" + artifact.key);
  const std::string code = disassemble(artifact.object, target);
  EXPECT_NE(code.find(artifact.symbol + ":"), std::string::npos);
  EXPECT_NE(code.find(artifact.symbol + "_argv:"), std::string::npos);
}

std::string with_weights_asked_for(const Target& target) {
  const Kernel kernel = analyse({"graph { %0: f32[1,64,1,49] aBcd16b = input %1: f32[64,64,1,1] = weight "
                                 "%2: f32[1,64,1,49] aBcd16b = conv(%0, %1) "
                                 "{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]} return %2 }"},
                                builtin_ops());
  Schedule schedule = default_schedule(kernel, target, 1);
  schedule.values.insert_or_assign("tile.x", 7);
  schedule.values.insert_or_assign("tile.c", 1);
  schedule.values.insert_or_assign("prefetch.w", 64);
  EXPECT_EQ(why_illegal(kernel, target, schedule), "");
  const std::vector<BuildJob> jobs = {{&kernel, schedule}};
  const BuildOutcome outcome = build_kernels(jobs, builtin_ops(), target, {})[0];
  EXPECT_EQ(outcome.status, ChildStatus::ok) << outcome.error;
  return outcome.artifact.object;
}

TEST(Build, WeightsAreAskedForIntoTheSecondLevelOfCache) {
  for (const char* name : {"x86-64-avx512", "x86-64-windows-avx512_skylake", "x86-64-osx-avx512_skylake"}) {
    const Target target = parse_target(name);
    const std::string code = disassemble(with_weights_asked_for(target), target);
    EXPECT_NE(code.find("prefetcht1"), std::string::npos) << name;
    EXPECT_EQ(code.find("prefetchnta"), std::string::npos) << name;
  }
  const Target arm = parse_target("arm-64-linux");
  const std::string object = with_weights_asked_for(arm);
  std::string same = object;
  prefetch_into_second_level(same, arm);
  EXPECT_EQ(same, object);
}

TEST(Build, DamagedCacheEntriesAreBuiltAnew) {
  const TempDir folder;
  ObjectCache cache(folder.path());
  const Target target = parse_target("x86-64-avx2");
  const std::vector<Kernel> list = {kernels()[2]};
  const BuildOutcome first = build(list, target, {.cache = &cache})[0];
  EXPECT_FALSE(first.cached);
  EXPECT_TRUE(build(list, target, {.cache = &cache})[0].cached);
  const std::filesystem::path entry = folder.path() / (first.artifact.key + ".kernel");
  const std::string file = read_file(entry);
  std::string flipped = file;
  flipped[file.size() / 2] ^= 1;
  for (const std::string& damaged : {file.substr(0, file.size() / 2), flipped, std::string("not an entry")}) {
    write_file_atomic(entry, damaged);
    const BuildOutcome again = build(list, target, {.cache = &cache})[0];
    EXPECT_FALSE(again.cached);
    EXPECT_EQ(again.artifact, first.artifact);
    EXPECT_EQ(read_file(entry), file);
  }
}

TEST(Build, EqualJobsAreBuiltOnceAndEachIsReported) {
  const std::vector<Kernel> list = {kernels()[2], kernels()[2]};
  const Target target = parse_target("x86-64-avx2");
  std::vector<BuildJob> jobs;
  for (const Kernel& kernel : list) jobs.push_back({&kernel, default_schedule(kernel, target, 1)});
  std::vector<size_t> reports;
  const std::vector<BuildOutcome> outcomes =
      build_kernels(jobs, builtin_ops(), target, {}, [&](size_t finished) { reports.push_back(finished); });
  EXPECT_EQ(outcomes[0].artifact, outcomes[1].artifact);
  EXPECT_EQ(reports, (std::vector<size_t>{1, 2}));
}

TEST(Build, AScheduleThatDoesNotFitIsAnOutcomeNotACrash) {
  const std::vector<Kernel> list = kernels();
  const Target target = parse_target("x86-64-avx2");
  const BuildJob job{list.data(), parse_schedule("contraction v1\ntile m=9")};
  const std::vector<BuildOutcome> outcomes = build_kernels({&job, 1}, builtin_ops(), target, {});
  EXPECT_EQ(outcomes[0].status, ChildStatus::failed);
  EXPECT_EQ(outcomes[0].error, "schedule: tile m=9 of 7 rows");
}

}  // namespace
}  // namespace oc::test
