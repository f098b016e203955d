// Every op × every dtype: what a type rule accepts can be computed; the rest is refused by name.
#include <gtest/gtest.h>

#include <cmath>

#include "base/compare.h"
#include "base/error.h"
#include "dsl/ops/host_scalar.h"
#include "graph/text.h"
#include "schedules/apply.h"
#include "tests/dsl/interpret.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

constexpr DType kAll[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8,  DType::u8,     DType::i16,
                          DType::u16, DType::i32, DType::u32, DType::i64,  DType::u64, DType::boolean};

double tolerance(DType dtype) {
  if (dtype == DType::f16) return 2e-3;
  if (dtype == DType::bf16) return 2e-2;
  return 2e-5;
}

bool is_unsigned(DType dtype) {
  return dtype_name(dtype)[0] == 'u' || dtype == DType::boolean;
}

// The case with its f32 inputs of `dtype`, their values small enough for all.
OpCase with_dtype(OpCase c, DType dtype) {
  for (OpCase::In& in : c.inputs) {
    if (in.dtype != DType::f32) continue;
    in.dtype = dtype;
    if (dtype_is_float(dtype)) continue;
    in.low = is_unsigned(dtype) ? 0 : -3;
    in.high = dtype == DType::boolean ? 1 : 3;
    if (in.low < 0 && c.inputs.size() == 2 && &in == &c.inputs[1]) in.low = 1;  // divisors, exponents
  }
  return c;
}

void check(const OpInfo& op, const OpCase& c, DType dtype) {
  Kernel kernel;
  try {
    kernel = analyse(case_workload(op, c), builtin_ops());
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(dtype_name(dtype)), std::string::npos) << error.what();
    EXPECT_NE(dtype, DType::f32) << error.what();
    return;
  }
  SCOPED_TRACE(kernel.workload.text);
  const std::vector<Tensor> inputs = case_inputs(c, 1);
  const Target target = host_target();
  try {
    const Tensor expected = interpret(kernel.graph, op_set(builtin_ops()), inputs).at(0);
    Lowered plain = unscheduled(kernel, builtin_ops());
    EXPECT_LE(err(run(plain, kernel, inputs, {}, target), expected), tolerance(dtype)) << "unscheduled";
    const Schedule s = default_schedule(kernel, target, 1);
    Lowered scheduled = apply_schedule(kernel, builtin_ops(), target, s);
    EXPECT_LE(err(run(scheduled, kernel, inputs, weight_packings(kernel, target, s), target), expected),
              tolerance(dtype))
        << print_schedule(s);
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

class Dtypes : public testing::TestWithParam<std::string> {};

TEST_P(Dtypes, AreComputedOrRefused) {
  const OpInfo& op = op_info(builtin_ops(), GetParam());
  for (const OpCase& c : op.cases) {
    const bool small = std::ranges::all_of(c.inputs, [](const OpCase::In& in) {
      const int64_t count = element_count(in.shape);
      return in.layout.empty() && count <= 4000;
    });
    if (!small || element_count(c.inputs[0].shape) < 30) continue;
    for (const DType dtype : kAll) check(op, with_dtype(c, dtype), dtype);
    break;
  }
}

std::vector<std::string> ops_with_cases() {
  std::vector<std::string> names;
  for (const auto& [name, info] : builtin_ops())
    if (name != "relayout" && !info->cases.empty()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Dtypes, testing::ValuesIn(ops_with_cases()), [](const auto& info) { return info.param; });

// Scalars written into the workload are immediates of its dtypes.
TEST(Immediates, OfEveryDtype) {
  for (const DType dtype : kAll) {
    if (dtype == DType::boolean) continue;
    Graph graph;
    const ValueId x = graph.add_input("", make_type(dtype, {33}));
    Tensor scalar = make_tensor(dtype, {});
    store_scalar(scalar, 0, {true, 0, 3});
    const ValueId three = graph.add_constant("", std::make_shared<const Tensor>(scalar));
    graph.outputs = {add_op(graph, op_set(builtin_ops()), "add", {x, three})};
    const Kernel kernel = analyse({print_graph(graph, {.names = false, .weights = true})}, builtin_ops());
    SCOPED_TRACE(kernel.workload.text);
    Tensor in = make_tensor(dtype, {33}), expected = in;
    for (int64_t i = 0; i < 33; ++i) {
      store_scalar(in, i, {true, 0, static_cast<double>(i)});
      store_scalar(expected, i, {true, 0, static_cast<double>(i + 3)});
    }
    try {
      Lowered lowered =
          apply_schedule(kernel, builtin_ops(), host_target(), default_schedule(kernel, host_target(), 1));
      EXPECT_EQ(err(run(lowered, kernel, {in}, {}, host_target()), expected), 0);
    } catch (const Halide::Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

}  // namespace
}  // namespace oc::test
