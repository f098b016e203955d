#include "generators/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/compare.h"
#include "base/error.h"
#include "generators/alias.h"
#include "graph/pass.h"
#include "graph/text.h"
#include "tests/dsl/interpret.h"
#include "tests/graph/graphs.h"
#include "tests/graph/random_graph.h"

namespace oc::test {
namespace {

bool share_a_step(const Buffer& a, const Buffer& b) {
  return a.first <= b.last && b.first <= a.last;
}
bool share_a_byte(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes) {
  return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}

// Aligned, inside the arena, and apart from all that live at the same time.
void expect_sound(const std::vector<Buffer>& buffers, int64_t arena) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& a = buffers[i];
    ASSERT_EQ(a.offset % kBufferAlignment, 0);
    ASSERT_GE(a.offset, 0);
    ASSERT_LE(a.offset + a.bytes, arena);
    for (size_t k = 0; k < i; ++k)
      ASSERT_FALSE(share_a_step(a, buffers[k]) && share_a_byte(a.offset, a.bytes, buffers[k].offset, buffers[k].bytes))
          << i << " and " << k;
  }
}

TEST(MemoryPlan, BuffersThatLiveTogetherLieApart) {
  std::mt19937 random(17);
  for (int round = 0; round < 300; ++round) {
    std::vector<Buffer> buffers(random() % 60);
    int64_t all = 0;
    std::vector<int64_t> live(51);
    for (Buffer& buffer : buffers) {
      buffer.bytes = random() % 8 == 0 ? 0 : static_cast<int64_t>(1 + random() % (random() % 2 == 0 ? 100 : 100'000));
      buffer.first = static_cast<int>(random() % 40);
      buffer.last = buffer.first + static_cast<int>(random() % 10);
      const int64_t rounded = (buffer.bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
      all += rounded;
      for (int t = buffer.first; t <= buffer.last; ++t) live[static_cast<size_t>(t)] += rounded;
    }
    const int64_t arena = assign_offsets(buffers);
    expect_sound(buffers, arena);
    EXPECT_LE(arena, all);
    EXPECT_GE(arena, *std::ranges::max_element(live));
  }
}

TEST(Weights, WhatBeginsAnotherTakesNoMoreRoom) {
  const auto weights_of = [](int64_t rows) {
    Tensor tensor = make_tensor(DType::f32, {rows, 100});
    for (size_t i = 0; i < tensor.as<float>().size(); ++i) tensor.as<float>()[i] = static_cast<float>(i);
    return std::make_shared<const Tensor>(std::move(tensor));
  };
  Packer packer;
  const auto pack = [&](const std::shared_ptr<const Tensor>& data) {
    Graph graph;
    const ValueId x = graph.add_input("x", make_type(DType::f32, data->shape));
    const ValueId w = graph.add_constant("w", data);
    graph.outputs = {graph.add_node("add", {x, w}, {}, graph[x].type)};
    const GroupBinding binding{.inputs = {x, w}};
    return packer.pack(graph, {&binding, 1}).groups[0];
  };
  for (const int64_t rows : {7, 7, 3, 1}) {
    const auto spots = pack(weights_of(rows));
    EXPECT_EQ(spots[0].offset, -1);
    EXPECT_EQ(spots[1].offset, 0);
  }
  EXPECT_EQ(pack(weights_of(8))[1].offset, 2816);  // 7 · 100 · 4, up to a multiple of 64
  EXPECT_EQ(packer.take().blob.size(), 2816U + 3200U);
}

TEST(MemoryPlan, MemoryIsUsedAgain) {
  std::vector<Buffer> chain;
  for (int i = 0; i < 10; ++i) chain.push_back({0, 1000, i, i + 1});
  EXPECT_EQ(assign_offsets(chain), 2 * 1024);
  std::vector<Buffer> none;
  EXPECT_EQ(assign_offsets(none), 0);
}

// ---- whole plans, carried out on bytes by the interpreter

struct Planned {
  Graph graph;
  Partition partition;
  std::vector<GroupBinding> bindings;
  Plan plan;
  PackedWeights weights;
};

Planned planned(Graph graph) {
  Packer packer;
  Planned p{std::move(graph), {}, {}, {}, {}};
  p.partition = partition(p.graph, all_ops());
  for (size_t g = 0; g < p.partition.groups.size(); ++g) {
    const Group& group = p.partition.groups[g];
    p.bindings.push_back({.symbol = std::to_string(g),
                          .label = "group " + std::to_string(g),
                          .inputs = group.inputs,
                          .packings = {},
                          .in_place_ok = !group.anchor.valid()});
  }
  p.plan = make_plan(p.graph, p.partition, p.bindings, packer.pack(p.graph, p.bindings));
  p.weights = packer.take();
  return p;
}

struct Machine {
  const Planned& p;
  std::vector<Tensor> inputs, outputs = {};
  int kernels_run = 0;
  std::vector<std::byte> arena = std::vector<std::byte>(static_cast<size_t>(p.plan.arena_bytes), std::byte{0x7f});

  std::byte* at(const Location& l) {
    switch (l.place) {
      case Place::arena: return arena.data() + l.offset;
      case Place::weights: return reinterpret_cast<std::byte*>(const_cast<char*>(p.weights.blob.data())) + l.offset;
      case Place::own: return reinterpret_cast<std::byte*>(const_cast<char*>(p.weights.own.data())) + l.offset;
      case Place::rows:
        return reinterpret_cast<std::byte*>(const_cast<char*>(p.weights.blob.data())) + p.weights.whole + l.offset;
      case Place::input: return inputs[l.index].bytes.data() + l.offset;
      case Place::output: return outputs[l.index].bytes.data() + l.offset;
    }
    return nullptr;
  }

  Tensor read(const Location& l, const Type& type) {
    Tensor t = make_tensor(type.dtype, type.extents(), type.layout);
    if (!t.bytes.empty()) std::memcpy(t.bytes.data(), at(l), t.bytes.size());
    return relayout(t, {});
  }

  void kernel(const Step& step) {
    const Group& group = p.partition.groups[std::stoul(step.symbol)];
    Graph graph = without_layouts(group_graph(p.graph, group, all_ops()));
    for (size_t i = 0; i < group.inputs.size(); ++i) {
      Tensor value = read(step.args[i], p.graph[group.inputs[i]].type);
      value.shape = graph.values[i].type.extents();
      graph.values[i].data = std::make_shared<const Tensor>(std::move(value));
    }
    const Type& type = p.graph[group.output].type;
    Tensor result = interpret(graph, all_ops(), {})[0];
    result.shape = type.extents();
    result = relayout(result, type.layout);
    std::memcpy(at(step.args.back()), result.bytes.data(), result.bytes.size());
  }

  std::vector<Tensor> run() {
    for (ValueId output : p.graph.outputs)
      outputs.push_back(make_tensor(p.graph[output].type.dtype, p.graph[output].type.extents()));
    for (size_t s = 0; s < p.plan.steps.size(); ++s) {
      const Step& step = p.plan.steps[s];
      switch (step.kind) {
        case Step::Kind::kernel: kernel(step); break;
        case Step::Kind::copy:
          std::memmove(at(step.args[1]), at(step.args[0]), static_cast<size_t>(step.args[1].bytes));
          break;
        case Step::Kind::skip_if: s += *at(step.args[0]) == std::byte{1} ? step.skipped : 0; break;
        case Step::Kind::skip_unless: s += *at(step.args[0]) == std::byte{0} ? step.skipped : 0; break;
        case Step::Kind::fail: user_error("{}", step.label);
      }
      kernels_run += step.kind == Step::Kind::kernel;
    }
    return outputs;
  }
};

// A kernel reads its inputs while it writes: they lie apart, or are the same bytes of an elementwise kernel.
void expect_no_clobbering(const Planned& p) {
  for (const Step& step : p.plan.steps) {
    if (step.args.empty()) continue;
    const Location& out = step.args.back();
    const bool in_place_ok = step.kind == Step::Kind::kernel && p.bindings[std::stoul(step.symbol)].in_place_ok;
    for (size_t i = 0; i + 1 < step.args.size(); ++i) {
      const Location& in = step.args[i];
      if (in.place != out.place || in.index != out.index) continue;
      const bool same = in_place_ok && in.offset == out.offset && in.bytes == out.bytes;
      EXPECT_TRUE(same || !share_a_byte(in.offset, in.bytes, out.offset, out.bytes)) << step.label;
    }
    for (const Location& l : step.args) EXPECT_EQ(l.place == Place::arena ? l.offset % kBufferAlignment : 0, 0);
  }
}

TEST(Plan, CarriedOutItComputesWhatTheModelDoes) {
  size_t in_place = 0, elided = 0;
  for (uint32_t seed = 300; seed < 900; ++seed) {
    const Graph model = random_graph(seed, 18);
    const Target target = parse_target(seed % 2 == 0 ? "x86-64-avx2" : "x86-64-avx512");
    const Planned p = planned(optimize(model, {all_ops(), target}));
    SCOPED_TRACE(testing::Message() << seed << "\n" << print_graph(p.graph));
    expect_sound(p.plan.buffers, p.plan.arena_bytes);
    expect_no_clobbering(p);
    const std::vector<Tensor> inputs = random_inputs(model, seed);
    const std::vector<Tensor> expected = outputs_of(model, inputs), found = Machine{p, inputs}.run();
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_LE(err(found[i], expected[i]), 1e-4) << "output " << i;
    for (const Step& step : p.plan.steps)
      for (size_t i = 0; i + 1 < step.args.size(); ++i) in_place += step.args[i] == step.args.back();
    elided += p.partition.groups.size() - static_cast<size_t>(std::ranges::count_if(p.plan.steps, [](const Step& s) {
                return s.kind == Step::Kind::kernel;
              }));
  }
  EXPECT_GT(in_place, 50U);  // the shortcuts were tested
  EXPECT_GT(elided, 30U);
}

Plan plan_of(const std::string& text) {
  return planned(parse_graph(text)).plan;
}

// Whatever the conditions are; the arena holds rubbish where a step was skipped.
TEST(Plan, OnlyTheChosenBranchRuns) {
  int skipped = 0, elided = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const Graph model = random_graph(seed, 18, true);
    const Planned p = planned(optimize(model, {all_ops(), parse_target("x86-64-avx2")}));
    SCOPED_TRACE(testing::Message() << seed << "\n" << print_graph(p.graph));
    expect_sound(p.plan.buffers, p.plan.arena_bytes);
    expect_no_clobbering(p);
    std::vector<Tensor> inputs = random_inputs(model, seed);
    const int kernels =
        static_cast<int>(std::ranges::count(p.plan.steps, Step::Kind::kernel, [](const Step& s) { return s.kind; }));
    for (int choice = 0; choice < 4; ++choice) {
      for (size_t i = 1; i < inputs.size(); ++i) inputs[i].bytes[0] = std::byte(choice >> (i - 1) & 1);
      const std::vector<Tensor> expected = outputs_of(model, inputs);
      Machine machine{p, inputs};
      const std::vector<Tensor> found = machine.run();
      for (size_t i = 0; i < found.size(); ++i) EXPECT_LE(err(found[i], expected[i]), 1e-4) << "output " << i;
      skipped += kernels - machine.kernels_run;
    }
    for (const Group& group : p.partition.groups) elided += p.graph[group.nodes[0]].op == "select";
    for (const Step& step : p.plan.steps)
      if (step.kind == Step::Kind::kernel)
        elided -= p.graph[p.partition.groups[std::stoul(step.symbol)].nodes[0]].op == "select";
  }
  EXPECT_GT(skipped, 500);
  EXPECT_GT(elided, 50);
}

constexpr const char* kBranches =
    "graph { %0 \"c\": bool[] = input %1 \"x\": f32[3,4] = input %2: f32[3,4] = softmax(%1) {axis=1} "
    "%3: f32[3,4] = softmax(%2) {axis=0} %4: f32[3,4] = softmax(%1) {axis=0} %5 \"y\": f32[3,4] = select(%0, %3, %4) "
    "return %5 }";

TEST(Plan, BothSidesAreMadeInTheSelectsPlace) {
  const Plan plan = plan_of(kBranches);
  std::vector<Step::Kind> kinds;
  for (const Step& step : plan.steps) kinds.push_back(step.kind);
  using enum Step::Kind;
  EXPECT_EQ(kinds, (std::vector{skip_unless, kernel, kernel, skip_if, kernel}));
  EXPECT_EQ(plan.steps[0].skipped, 2U);
  EXPECT_EQ(plan.steps[3].skipped, 1U);
  EXPECT_EQ(plan.steps[2].args.back().place, Place::output);
  EXPECT_EQ(plan.steps[4].args.back(), plan.steps[2].args.back());
}

TEST(Plan, AnAbsentSideFailsWhenItIsChosen) {
  const Planned p = planned(
      parse_graph("graph { %0 \"c\": bool[] = input %1 \"x\": f32[3,4] = input %2: f32[3,4] = softmax(%1) {axis=1} "
                  "%3 \"y\": f32[3,4] = select(%0, %2, _) return %3 }"));
  std::vector<Tensor> inputs = random_inputs(p.graph, 1);
  inputs[0].bytes[0] = std::byte{1};
  EXPECT_LE(err(Machine{p, inputs}.run()[0], outputs_of(p.graph, inputs)[0]), 1e-6);
  inputs[0].bytes[0] = std::byte{0};
  EXPECT_EQ(error_of<UserError>([&] { static_cast<void>(Machine{p, inputs}.run()); }),
            "group 1 chose a branch that was not compiled");
}

TEST(Plan, AConstantThatChoosesAnAbsentSideFailsAlways) {
  const auto run = [](const std::string& select) {
    const Planned p =
        planned(parse_graph("graph { %0 \"x\": f32[3,4] = input %1: bool[] = constant {1} %2: bool[] = constant {0} "
                            "%3: f32[3,4] = softmax(%0) {axis=1} %4 \"y\": f32[3,4] = " +
                            select + " return %4 }"));
    return error_of<UserError>([&] { static_cast<void>(Machine{p, random_inputs(p.graph, 1)}.run()); });
  };
  EXPECT_EQ(run("select(%1, %3, _)"), "");
  EXPECT_EQ(run("select(%2, _, %3)"), "");
  EXPECT_EQ(run("select(%2, %3, _)"), "group 1 chose a branch that was not compiled");
  EXPECT_EQ(run("select(%1, _, %3)"), "group 1 chose a branch that was not compiled");
}

TEST(Plan, ASelectOfConstantsAloneFailsToo) {
  const Planned p =
      planned(parse_graph("graph { %0: bool[] = constant {0} %1: f32[2] = constant {1, 2} "
                          "%2 \"y\": f32[2] = select(%0, %1, _) return %2 }"));
  EXPECT_EQ(error_of<UserError>([&] { static_cast<void>(Machine{p, {}}.run()); }),
            "group 0 chose a branch that was not compiled");
}

TEST(Plan, AnOptimisedSelectOfConstantsAloneFailsWhereItsReadersRun) {
  const Graph graph = optimize(parse_graph("graph { %0 \"x\": f32[2] = input %1: bool[] = constant {0} "
                                           "%2: f32[2] = constant {1, 2} %3: f32[2] = select(%1, %2, _) "
                                           "%4 \"y\": f32[2] = add(%0, %3) return %4 }"),
                               {all_ops(), host_target()}, {});
  const Planned p = planned(graph);
  EXPECT_THAT(error_of<UserError>([&] { static_cast<void>(Machine{p, random_inputs(p.graph, 1)}.run()); }),
              testing::HasSubstr("chose a branch that was not compiled"));
}

// The failing select stands in a side that need not be chosen.
TEST(Plan, AnAbsentSideFailsOnlyInTheBranchThatChoosesIt) {
  const Planned p =
      planned(parse_graph("graph { %0 \"c\": bool[] = input %1 \"x\": f32[3,4] = input %2: bool[] = constant {0} "
                          "%3: f32[3,4] = softmax(%1) {axis=1} %4: f32[3,4] = select(%2, %3, _) "
                          "%5: f32[3,4] = softmax(%1) {axis=0} %6 \"y\": f32[3,4] = select(%0, %4, %5) return %6 }"));
  std::vector<Tensor> inputs = random_inputs(p.graph, 1);
  for (const bool choice : {true, false}) {
    inputs[0].bytes[0] = std::byte{choice};
    EXPECT_EQ(error_of<UserError>([&] { static_cast<void>(Machine{p, inputs}.run()); }).empty(), !choice);
  }
}

// %3 is read by both sides: it is computed whatever is chosen.
TEST(Plan, WhatBothSidesNeedIsNotGuarded) {
  const Plan plan = plan_of(
      "graph { %0 \"c\": bool[] = input %1 \"x\": f32[3,4] = input %2: f32[3,4] = softmax(%1) {axis=1} "
      "%3: f32[3,4] = softmax(%2) {axis=0} %4 \"y\": f32[3,4] = select(%0, %3, %2) return %4 }");
  EXPECT_EQ(plan.steps[0].kind, Step::Kind::kernel);
  EXPECT_EQ(plan.steps[1].kind, Step::Kind::skip_unless);
}

TEST(Plan, AnOutputIsWrittenWhereTheCallerWantsIt) {
  const Plan plan = plan_of("graph { %0: f32[3] = input %1: f32[3] = exp(%0) return %1 }");
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_EQ(plan.steps[0].args, (std::vector<Location>{{Place::input, 0, 0, 12}, {Place::output, 0, 0, 12}}));
  EXPECT_EQ(plan.arena_bytes, 0);
}

// Inputs, constants and one value under two names are copied: outputs are memory of their own.
TEST(Plan, OutputsThatNoKernelMakesAreCopies) {
  const Plan plan = plan_of(
      "graph { %0 \"x\": f32[3] = input %1 \"c\": f32[2] = constant {1, 2} %2 \"y\": f32[3] = exp(%0) "
      "%3 \"z\": f32[1,3] = reshape(%2) {shape=[1,3]} return %0, %1, %2, %3 }");
  ASSERT_EQ(plan.steps.size(), 4U);
  EXPECT_EQ(plan.steps[1].args, (std::vector<Location>{{Place::input, 0, 0, 12}, {Place::output, 0, 0, 12}}));
  EXPECT_EQ(plan.steps[2].args, (std::vector<Location>{{Place::weights, 0, 0, 8}, {Place::output, 1, 0, 8}}));
  EXPECT_EQ(plan.steps[3].args, (std::vector<Location>{{Place::output, 2, 0, 12}, {Place::output, 3, 0, 12}}));
}

TEST(Plan, PartsOfAConcatAreMadeInPlace) {
  const Plan plan = plan_of(
      "graph { %0: f32[1,16] = input %1: f32[1,16] = exp(%0) %2: f32[1,16] = neg(%0) "
      "%3: f32[2,16] = concat(%1, %2) {axis=0} %4: f32[2,1] = reduce_sum(%3) {axes=[1]} return %4 }");
  ASSERT_EQ(plan.steps.size(), 3U);
  EXPECT_EQ(plan.arena_bytes, 128);
  EXPECT_EQ(plan.steps[0].args.back().offset + plan.steps[1].args.back().offset, 64);
}

}  // namespace
}  // namespace oc::test
