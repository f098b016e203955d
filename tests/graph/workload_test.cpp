// Workload texts: what two kernels must have in common to be tuned once.
#include "graph/workload.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "dsl/kernel.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"
#include "tests/graph/graphs.h"
#include "tests/graph/random_graph.h"

namespace oc::test {
namespace {

std::string workload_of(const Graph& graph, const Group& group) {
  return print_graph(group_graph(graph, group, all_ops()), {.names = false, .weights = true});
}

// The workload of the only kernel of a model.
std::string workload(const std::string& text) {
  const Graph graph = parse_graph(text);
  verify(graph, all_ops());
  const Partition p = partition(graph, all_ops());
  EXPECT_EQ(p.groups.size(), 1U) << text;
  return workload_of(graph, p.groups[0]);
}

TEST(Workload, ForgetsNamesAndContents) {
  const std::string model = R"(graph "{0}" {{
    %0 "{0}.x": f32[1,2,3,3] = input
    %1 "{0}.w": f32[2,2,3,3] = constant {{{1}}}
    %2 "{0}.c": f32[1,2,3,3] = conv(%0, %1) {2} "{0}.Conv"
    %3 "{0}.y": f32[1,2,3,3] = relu(%2) "{0}.Relu"
    return %3 }})";
  std::string zeros = "0", ones = "1";
  for (int i = 1; i < 36; ++i) {
    zeros += ", 0";
    ones += ", 1";
  }
  const std::string a = workload(fmt::format(fmt::runtime(model), "first", zeros, kSame));
  EXPECT_EQ(a, workload(fmt::format(fmt::runtime(model), "second", ones, kSame)));
  EXPECT_EQ(a, fmt::format("graph {{\n  %0: f32[1,2,3,3] = input\n  %1: f32[2,2,3,3] = weight\n"
                           "  %2: f32[1,2,3,3] = conv(%0, %1) {}\n  %3: f32[1,2,3,3] = relu(%2)\n  return %3\n}}\n",
                           kSame));
}

TEST(Workload, ForgetsTheOrderOfCommutativeOperandsAndOfIndependentNodes) {
  const std::string model = R"(graph {{
    %0: f32[4] = input
    %1: f32[4] = input
    {}
    return %5 }})";
  const std::string a = workload(
      fmt::format(fmt::runtime(model),
                  "%2: f32[4] = exp(%0) %3: f32[4] = tanh(%1) %4: f32[4] = sub(%2, %3) %5: f32[4] = add(%4, %0)"));
  const std::string b = workload(
      fmt::format(fmt::runtime(model),
                  "%3: f32[4] = tanh(%1) %2: f32[4] = exp(%0) %4: f32[4] = sub(%2, %3) %5: f32[4] = add(%0, %4)"));
  EXPECT_EQ(a, b);
  const std::string other = workload(
      fmt::format(fmt::runtime(model),
                  "%2: f32[4] = exp(%0) %3: f32[4] = tanh(%1) %4: f32[4] = sub(%3, %2) %5: f32[4] = add(%4, %0)"));
  EXPECT_NE(a, other);
}

TEST(Workload, SingleNumbersAndIndicesStayInTheText) {
  EXPECT_EQ(workload("graph { %0: f32[4] = input %1: f32[1] = constant {0.5} %2: f32[4] = constant {1, 2, 3, 4} "
                     "%3: f32[4] = mul(%0, %1) %4: f32[4] = add(%3, %2) return %4 }"),
            "graph {\n  %0: f32[4] = input\n  %1: f32[1] = constant {0.5}\n  %2: f32[4] = mul(%0, %1)\n"
            "  %3: f32[4] = weight\n  %4: f32[4] = add(%2, %3)\n  return %4\n}\n");
  EXPECT_EQ(workload("graph { %0: f32[4] = input %1: i64[2] = constant {3, -1} %2: f32[2] = gather(%0, %1) {axis=0} "
                     "return %2 }"),
            "graph {\n  %0: f32[4] = input\n  %1: i64[2] = constant {3, -1}\n"
            "  %2: f32[2] = gather(%0, %1) {axis=0}\n  return %2\n}\n");
}

struct Collapse {
  std::string before, after;
};

TEST(Workload, DimsThatNoOpTellsApartAreOne) {
  const Collapse cases[] = {
      {"graph { %0: f32[2,3,4] = input %1: f32[2,3,4] = relu(%0) return %1 }",
       "graph { %0: f32[1,1,24] = input %1: f32[1,1,24] = relu(%0) return %1 }"},
      // Along the channels only: the rest of the image is one dim.
      {"graph { %0: f32[2,3,4,5] = input %1: f32[2,3,1,1] = input %2: f32[2,3,4,5] = add(%0, %1) return %2 }",
       "graph { %0: f32[1,1,6,20] = input %1: f32[1,1,6,1] = input %2: f32[1,1,6,20] = add(%0, %1) return %2 }"},
      // A row vector reaches only the last dim.
      {"graph { %0: f32[2,3,4] = input %1: f32[4] = input %2: f32[2,3,4] = add(%0, %1) return %2 }",
       "graph { %0: f32[1,6,4] = input %1: f32[4] = input %2: f32[1,6,4] = add(%0, %1) return %2 }"},
      {"graph { %0: f32[2,3,4] = input %1: f32[4,5] = weight %2: f32[2,3,5] = matmul(%0, %1) return %2 }",
       "graph { %0: f32[1,6,4] = input %1: f32[4,5] = weight %2: f32[1,6,5] = matmul(%0, %1) return %2 }"},
      {"graph { %0: f32[2,3,4,5] = input %1: f32[2,3,1,1] = reduce_mean(%0) {axes=[2,3]} return %1 }",
       "graph { %0: f32[1,6,1,20] = input %1: f32[1,6,1,1] = reduce_mean(%0) {axes=[2,3]} return %1 }"},
      {fmt::format("graph {{ %0: f32[1,8,3,5] aBcd8b = input %1: f32[8,8,1,1] = weight "
                   "%2: f32[1,8,3,5] aBcd8b = conv(%0, %1) {} return %2 }}",
                   kPoint),
       fmt::format("graph {{ %0: f32[1,8,1,15] aBcd8b = input %1: f32[8,8,1,1] = weight "
                   "%2: f32[1,8,1,15] aBcd8b = conv(%0, %1) {} return %2 }}",
                   kPoint)},
  };
  for (const Collapse& c : cases) {
    Graph graph = parse_graph(c.before);
    collapse_dims(graph, all_ops());
    EXPECT_EQ(print_graph(graph), normal(c.after));
    EXPECT_NO_THROW(verify(graph, all_ops())) << c.after;
  }
}

TEST(Workload, DimsThatAnOpTellsApartStay) {
  const std::string cases[] = {
      "graph { %0: f32[2,3] = input %1: f32[3,2] = transpose(%0) {perm=[1,0]} return %1 }",
      "graph { %0: f32[2,3] = input %1: f32[2,3] = softmax(%0) {axis=1} return %1 }",
      "graph { %0: f32[2,3] = input %1: f32[2,1] = reduce_sum(%0) {axes=[1]} return %1 }",
      "graph { %0: f32[2,3] = input %1: f32[2,1] = input %2: f32[2,3] = add(%0, %1) return %2 }",
      "graph { %0: f32[1,3,2,2] = input %1: f32[3,3,3,3] = weight %2: f32[1,3,2,2] = conv(%0, %1) " +
          std::string(kSame) + " return %2 }",
      "graph { %0: f32[2,8,1,1] aBcd8b = input %1: f32[2,8,1,1] aBcd8b = relu(%0) return %1 }",
      "graph { %0: f32[2,3] ba = input %1: f32[2,3] ba = relu(%0) return %1 }",
  };
  for (const std::string& text : cases) {
    Graph graph = parse_graph(text);
    collapse_dims(graph, all_ops());
    EXPECT_EQ(print_graph(graph), normal(text));
  }
}

// Anyone who holds the text can rebuild the kernel, and whoever writes it again writes the same.
TEST(Workload, TextsOfRandomModelsAreKernels) {
  for (uint32_t seed = 200; seed < 230; ++seed) {
    const Target target = parse_target("x86-64-avx2");
    const Graph graph = optimize(random_graph(seed, 20), {all_ops(), target});
    for (const Group& group : partition(graph, all_ops()).groups) {
      const std::string text = workload_of(graph, group);
      SCOPED_TRACE(text);
      const Kernel kernel = analyse({text}, builtin_ops());
      EXPECT_EQ(kernel.graph.inputs.size(), group.inputs.size());
      EXPECT_EQ(print_graph(parse_graph(text), {.names = false, .weights = true}), text);
    }
  }
}

// 4 steps of 2^62 end, modulo 2^64, where they began.
TEST(Workload, SlicesThatOverflowAreRefused) {
  EXPECT_EQ(error_of<UserError>([] {
              (void)analyse({"graph { %0: f32[9] = input %1: f32[5] = slice(%0) "
                             "{sizes=[5], starts=[0], steps=[4611686018427387904]} return %1 }"},
                            builtin_ops());
            }),
            "graph '': node 0 '' (slice): slice: 5 elements from 0 on, 4611686018427387904 apart");
}

// Databases of strangers hold workloads: whatever stands there is a kernel or a UserError.
TEST(Workload, DamagedTextsAreKernelsOrUserErrors) {
  const std::string texts[] = {
      "graph {\n  %0: f32[1,8,3,5] aBcd8b = input\n  %1: f32[8,8,3,3] = weight\n  %2: f32[8] A8a = weight\n"
      "  %3: f32[1,8,3,5] aBcd8b = conv(%0, %1, %2) " +
          std::string(kSame) + "\n  %4: f32[1,8,3,5] aBcd8b = add(%3, %0)\n  return %4\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[6,9] = weight\n  %2: f32[4,9] = matmul(%0, %1)\n  return %2\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[4,1] = reduce_max(%0) {axes=[1]}\n  return %1\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[4,3] = slice(%0) {sizes=[4,3], starts=[0,5], steps=[1,-2]}\n"
      "  return %1\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[2,6] = input\n  %2: f32[6,6] = concat(%0, %1) {axis=0}\n"
      "  return %2\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: i64[2] = constant {1, 2}\n  %2: f32[4,2] = gather(%0, %1) {axis=1}\n"
      "  return %2\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[6] = weight\n  %2: f32[6] = weight\n"
      "  %3: f32[4,6] = layer_norm(%0, %1, %2) {axis=1, epsilon=0.00001}\n  return %3\n}\n",
      "graph {\n  %0: f32[1,2,4,6] = input\n  %1: f32[1,2,2,3] = max_pool(%0) {dilations=[1,1], kernel=[2,2], "
      "pads=[0,0,0,0], strides=[2,2]}\n  return %1\n}\n",
      "graph {\n  %0: f32[4,6] = input\n  %1: f32[6,8] = pad(%0) {mode=\"edge\", pads=[1,1,1,1], value=0.0}\n"
      "  return %1\n}\n",
  };
  for (const std::string& text : texts) EXPECT_NO_THROW((void)analyse({text}, builtin_ops())) << text;
  const std::string alphabet = "0123456789_-%,[]{}()ab=";
  std::mt19937 random(5);
  for (int round = 0; round < 60000; ++round) {
    std::string text = texts[random() % std::size(texts)];
    for (size_t edits = 1 + random() % 2; edits-- > 0;) {
      char& c = text[random() % text.size()];
      // Mostly digit for digit, or the text no longer parses.
      c = c >= '0' && c <= '9' && random() % 4 != 0 ? static_cast<char>('0' + random() % 10)
                                                    : alphabet[random() % alphabet.size()];
    }
    try {
      (void)analyse({text}, builtin_ops());
    } catch (const UserError&) {
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace oc::test
