// Which kernels compiles of one model at several shapes share.
#include "compiler/variants.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "dsl/varying.h"
#include "generators/build.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"

namespace oc::test {
namespace {

Kernel product(int64_t m, int64_t n) {
  Graph graph;
  const ValueId a = graph.add_input("", make_type(DType::f32, {m, 48}));
  const ValueId b = graph.add_weight(make_type(DType::f32, {48, n}));
  graph.outputs = {graph.add_node("matmul", {a, b}, {}, make_type(DType::f32, {m, n}))};
  return analyse({print_graph(graph, {.names = false, .weights = true})}, builtin_ops());
}

// A model of products, each run by one group.
Model model_of(const std::vector<Kernel>& kernels) {
  Model model;
  for (size_t k = 0; k < kernels.size(); ++k) {
    model.kernels.push_back(kernels[k]);
    model.kernel_of.push_back(k);
    model.uses.push_back(1);
  }
  return model;
}

class VariantsTest : public testing::Test {
 protected:
  // What a compile of this model makes of its kernels.
  Model compile(const std::vector<Kernel>& kernels, const std::string& rung = "default") {
    Variants variants(file_, builtin_ops());
    Model model = model_of(kernels);
    const auto pick = [&](const Kernel& kernel) {
      return Pick{.schedule = default_schedule(kernel, target_, 1), .trial = {}, .rung = rung, .source = {}};
    };
    std::vector<Pick> picks;
    for (const Kernel& kernel : kernels) picks.push_back(pick(kernel));
    variants.apply(model, picks, target_, pick);
    EXPECT_EQ(picks.size(), model.kernels.size());
    variants.save();
    return model;
  }

  TempDir folder_;
  std::filesystem::path file_ = folder_.path() / "variants" / "model.json";
  Target target_ = parse_target("x86-64-avx2");
};

TEST_F(VariantsTest, TheSecondShapeMakesWhatTheThirdUses) {
  const Model first = compile({product(64, 32)});
  EXPECT_TRUE(first.kernels[0].symbols.empty());
  EXPECT_TRUE(first.sizes_of[0].empty());
  const Model second = compile({product(40, 32)});
  EXPECT_EQ(print_symbols(second.kernels[0]), "%0.0=0 %2.0=0");
  EXPECT_EQ(second.kernels[0].workload, product(40, 32).workload);
  const Model third = compile({product(50, 32)});
  EXPECT_EQ(third.kernels[0].workload, second.kernels[0].workload);
  EXPECT_EQ(print_symbols(third.kernels[0]), print_symbols(second.kernels[0]));
  EXPECT_EQ(third.sizes_of[0], (std::vector<Extents>{{50, 48}, {48, 32}, {50, 32}}));
  const Model again = compile({product(64, 32)});
  EXPECT_TRUE(again.kernels[0].symbols.empty()) << "the first shape keeps its own";
}

TEST_F(VariantsTest, WhatIsSmallerThanATileOrFarAwayGetsItsOwn) {
  static_cast<void>(compile({product(64, 32)}));
  static_cast<void>(compile({product(40, 32)}));
  EXPECT_EQ(compile({product(2, 32)}).kernels[0].workload, product(2, 32).workload);
  EXPECT_EQ(compile({product(4000, 32)}).kernels[0].workload, product(4000, 32).workload);
  EXPECT_FALSE(compile({product(4000, 32)}).kernels[0].symbols.empty());
}

TEST_F(VariantsTest, KernelsOfOneModelAreNoVariantsOfEachOther) {
  const Model first = compile({product(64, 32), product(32, 32)});
  EXPECT_TRUE(first.kernels[0].symbols.empty() && first.kernels[1].symbols.empty());
}

TEST_F(VariantsTest, OneThatTwoGroupsShareStandsOnce) {
  static_cast<void>(compile({product(64, 32), product(60, 32)}));
  static_cast<void>(compile({product(40, 32), product(36, 32)}));
  const Model third = compile({product(50, 32), product(51, 32)});
  ASSERT_EQ(third.kernels.size(), 1);
  EXPECT_EQ(third.kernel_of, (std::vector<size_t>{0, 0}));
  EXPECT_EQ(third.uses, std::vector<int>{2});
  EXPECT_EQ(third.sizes_of[1][0], (Extents{51, 48}));
}

TEST_F(VariantsTest, WhatWasTimedWithItsExtentsStays) {
  static_cast<void>(compile({product(64, 32)}));
  EXPECT_TRUE(compile({product(40, 32)}, "exact").kernels[0].symbols.empty());
}

TEST_F(VariantsTest, WhatCannotBeBuiltIsNotTriedAgain) {
  static_cast<void>(compile({product(64, 32)}));
  const Model second = compile({product(40, 32)});
  Variants variants(file_, builtin_ops());
  variants.give_up(second.kernels[0]);
  variants.save();
  EXPECT_TRUE(compile({product(40, 32)}).kernels[0].symbols.empty());
  EXPECT_EQ(compile({product(50, 32)}).kernels[0].workload, product(50, 32).workload) << "one of its own";
}

TEST_F(VariantsTest, AKernelThatDoesNotServeItsOwnExtentsDoesNotVary) {
  // Slices of a long sum are for one pair of extents.
  const auto sliced = [](const Kernel& kernel) {
    Schedule schedule = default_schedule(kernel, parse_target("x86-64-avx2"), 2);
    schedule.values["block.slices"] = 2;
    return Pick{.schedule = schedule, .trial = {}, .rung = "default", .source = {}};
  };
  for (const int64_t m : {4, 8}) {
    Graph graph;
    const ValueId a = graph.add_input("", make_type(DType::f32, {m, 8192}));
    const ValueId b = graph.add_weight(make_type(DType::f32, {8192, 32}));
    graph.outputs = {graph.add_node("matmul", {a, b}, {}, make_type(DType::f32, {m, 32}))};
    const Kernel kernel = analyse({print_graph(graph, {.names = false, .weights = true})}, builtin_ops());
    Model model = model_of({kernel});
    std::vector<Pick> picks{sliced(kernel)};
    Variants variants(file_, builtin_ops());
    variants.apply(model, picks, target_, sliced);
    variants.save();
    EXPECT_TRUE(model.kernels[0].symbols.empty()) << m;
  }
}

TEST_F(VariantsTest, AFileThatIsNoneIsAnEmptyOne) {
  static_cast<void>(compile({product(64, 32)}));
  static_cast<void>(compile({product(40, 32)}));
  const std::string good = read_file(file_);
  const std::string other_program = R"({"kernels":[],"toolchain":"another"})";
  const std::string no_workload = fmt::format(R"({{"kernels":[["graph","",0]],"toolchain":"{}"}})", toolchain_id());
  for (const std::string& text : {std::string(), good.substr(0, good.size() / 2), other_program, no_workload}) {
    write_file_atomic(file_, text);
    EXPECT_TRUE(compile({product(50, 32)}).kernels[0].symbols.empty()) << text.substr(0, 60);
  }
}

TEST_F(VariantsTest, AFolderThatCannotBeWrittenForgets) {
  file_ = "/proc/nowhere/model.json";
  static_cast<void>(compile({product(64, 32)}));
  EXPECT_TRUE(compile({product(40, 32)}).kernels[0].symbols.empty());
}

}  // namespace
}  // namespace oc::test
