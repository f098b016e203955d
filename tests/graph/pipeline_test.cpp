#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "graph/pass.h"
#include "graph/text.h"
#include "tests/graph/graphs.h"

namespace oc::test {
namespace {

constexpr const char* kAllPasses =
    "\n  eliminate_dead (required)\n  eliminate_empty (required)\n  fold_constants\n  simplify\n  eliminate_common\n  "
    "fold_scale\n  sink_scale\n  shuffle_transposed\n  fuse_norm\n  fuse_attention\n  absorb_transpose\n  "
    "assign_layout";

// Something to do for every pass but eliminate_empty, sink_scale, shuffle_transposed, fuse_norm, fuse_attention,
// absorb_transpose and assign_layout.
constexpr const char* kModel = R"(graph {
  %0 "x": f32[1,2,2,2] = input
  %1: f32[2,2,1,1] = constant {1, 2, 3, 4}
  %2: f32[1,2,2,2] = conv(%0, %1) {dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}
  %3: f32[1] = constant {2}
  %4: f32[1] = constant {3}
  %5: f32[1] = add(%3, %4)
  %6: f32[1,2,2,2] = mul(%2, %5)
  %7: f32[1,2,2,2] = relu(%6)
  %8: f32[1,2,2,2] = relu(%7)
  %9: f32[1,2,2,2] = exp(%8)
  %10: f32[1,2,2,2] = exp(%8)
  %11 "y": f32[1,2,2,2] = add(%9, %10)
  %12: f32[1,2,2,2] = neg(%0)
  return %11
})";

Graph run(const PipelineOptions& options) {
  static const Target target = parse_target("x86-64-avx2");
  return optimize(parse_graph(kModel), {all_ops(), target}, options);
}

size_t count(const Graph& graph, std::string_view op) {
  return static_cast<size_t>(std::ranges::count(graph.nodes, op, &Node::op));
}

std::vector<std::string> names_run(PipelineOptions options) {
  std::vector<std::string> names;
  options.observe = [&](const PassRecord& record, const Graph&) { names.push_back(record.name); };
  (void)run(options);
  return names;
}

TEST(Pipeline, UnknownPassesAreRefusedWithTheListOfAll) {
  EXPECT_EQ(error_of<UserError>([] { (void)run({.disabled = {"fold_scales"}}); }),
            std::string("there is no pass 'fold_scales'; the passes in order are") + kAllPasses);
  EXPECT_EQ(error_of<UserError>([] { (void)run({.stop_after = "last"}); }),
            std::string("there is no pass 'last'; the passes in order are") + kAllPasses);
}

TEST(Pipeline, RequiredPassesCannotBeDisabled) {
  EXPECT_EQ(
      error_of<UserError>([] { (void)run({.disabled = {"eliminate_dead"}}); }),
      std::string("the pass 'eliminate_dead' cannot be disabled: later stages rely on it; the passes in order are") +
          kAllPasses);
}

TEST(Pipeline, ADisabledPassDoesNotRunAndTheOthersDo) {
  EXPECT_EQ(count(run({}), "mul"), 0U);
  EXPECT_EQ(count(run({.disabled = {"fold_scale"}}), "mul"), 1U);
  EXPECT_EQ(count(run({}), "exp"), 1U);
  EXPECT_EQ(count(run({.disabled = {"eliminate_common"}}), "exp"), 2U);
  EXPECT_EQ(names_run({.disabled = {"simplify", "fold_scale"}}),
            (std::vector<std::string>{"eliminate_dead", "eliminate_empty", "fold_constants", "eliminate_common",
                                      "sink_scale", "shuffle_transposed", "fuse_norm", "fuse_attention",
                                      "absorb_transpose", "assign_layout"}));
}

TEST(Pipeline, StopsAfterTheNamedPass) {
  EXPECT_EQ(names_run({.stop_after = "simplify"}),
            (std::vector<std::string>{"eliminate_dead", "eliminate_empty", "fold_constants", "simplify"}));
  const Graph graph = run({.stop_after = "fold_constants"});
  EXPECT_EQ(count(graph, "neg"), 0U);   // dead
  EXPECT_EQ(count(graph, "add"), 1U);   // 2 + 3 is folded
  EXPECT_EQ(count(graph, "relu"), 2U);  // simplify's
  // Stopping after a pass that does not run stops where it would have.
  EXPECT_EQ(names_run({.disabled = {"simplify"}, .stop_after = "simplify"}),
            (std::vector<std::string>{"eliminate_dead", "eliminate_empty", "fold_constants"}));
}

TEST(Pipeline, ObserversSeeEveryPassWithItsGraph) {
  std::vector<PassRecord> records;
  size_t nodes = parse_graph(kModel).nodes.size();
  (void)run({.observe = [&](const PassRecord& record, const Graph& graph) {
    EXPECT_EQ(record.nodes_before, nodes) << record.name;
    EXPECT_EQ(record.nodes_after, graph.nodes.size()) << record.name;
    EXPECT_GE(record.milliseconds, 0) << record.name;
    nodes = graph.nodes.size();
    records.push_back(record);
  }});
  ASSERT_EQ(records.size(), pass_pipeline().size());
  for (const PassRecord& record : records)
    EXPECT_EQ(record.changed,
              !std::set<std::string>({"assign_layout", "absorb_transpose", "eliminate_empty", "fuse_attention",
                                      "fuse_norm", "shuffle_transposed", "sink_scale"})
                   .contains(record.name))
        << record.name;
}

TEST(Pipeline, TheWholeKeepsWhatTheModelComputes) {
  expect_same_outputs(parse_graph(kModel), run({}));
}

TEST(Pipeline, MalformedGraphsAreNotOptimised) {
  const Target target = parse_target("x86-64-avx2");
  Graph graph = parse_graph(kModel);
  graph.nodes[0].op = "convolve";
  EXPECT_THROW((void)optimize(graph, {all_ops(), target}), InternalError);
}

}  // namespace
}  // namespace oc::test
