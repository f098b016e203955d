// Values at the edge of their types: NaN, infinities, denormals, arguments beyond a formula's range, integers that
// floats cannot hold. Each op's kernel (vector lanes and tails, unscheduled and scheduled) and its host evaluator must
// give what IEEE 754 and numpy do.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/compare.h"
#include "base/error.h"
#include "dsl/ops/host_scalar.h"
#include "graph/text.h"
#include "schedules/apply.h"
#include "tests/dsl/reference.h"
#include "tests/dsl/run_kernel.h"

namespace oc::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min(), kInt64Max = std::numeric_limits<int64_t>::max();

template <class T>
Tensor tensor(DType dtype, Extents shape, const std::vector<T>& values) {
  Tensor t = make_tensor(dtype, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i)
    if constexpr (std::is_integral_v<T>) {
      store_scalar(t, static_cast<int64_t>(i), {false, static_cast<int64_t>(values[i]), 0});
    } else {
      store_scalar(t, static_cast<int64_t>(i), {true, 0, values[i]});
    }
  return t;
}

// `values` over and over: several vectors and a tail.
template <class T>
Tensor repeated(DType dtype, const std::vector<T>& values) {
  std::vector<T> all;
  for (size_t i = 0; i < 37; ++i) all.push_back(values[i % values.size()]);
  return tensor(dtype, {37}, all);
}

std::string printed(const Tensor& t) {
  std::string text(dtype_name(t.dtype));
  for (int64_t i = 0; i < std::min<int64_t>(element_count(t.shape), 20); ++i) {
    const Scalar x = load_scalar(t, i);
    text += x.is_float ? fmt::format(" {}", x.f) : fmt::format(" {}", x.i);
  }
  return text;
}

struct Kernels {
  std::string op;
  Attrs attrs = {};
  double tolerance = 2e-6;

  // The kernel's results and the host's all are `expected`.
  void gives(const std::vector<Tensor>& inputs, const Tensor& expected) const {
    const OpInfo& info = op_info(builtin_ops(), op);
    Graph graph;
    std::vector<ValueId> ids;
    for (const Tensor& t : inputs) ids.push_back(graph.add_input("", make_type(t.dtype, t.shape)));
    graph.outputs = {add_op(graph, op_set(builtin_ops()), op, ids, attrs)};
    const Workload workload{print_graph(graph, {.names = false, .weights = true})};
    SCOPED_TRACE(workload.text);
    const auto check = [&](const char* who, const Tensor& result) {
      EXPECT_LE(err(result, expected), tolerance) << who << "\n  gives " << printed(result) << "\n  for   "
                                                  << printed(inputs[0]) << "\n  not   " << printed(expected);
    };
    const Kernel kernel = analyse(workload, builtin_ops());
    const Target target = host_target();
    try {
      Lowered plain = unscheduled(kernel, builtin_ops());
      check("unscheduled", run(plain, kernel, inputs, {}, target));
      const Schedule schedule = default_schedule(kernel, target, 1);
      Lowered scheduled = apply_schedule(kernel, builtin_ops(), target, schedule);
      check("scheduled", run(scheduled, kernel, inputs, weight_packings(kernel, target, schedule), target));
    } catch (const Halide::Error& error) {
      ADD_FAILURE() << error.what();
    }
    if (info.evaluate) check("evaluator", reference(info, kernel, inputs));
  }

  void maps(const std::vector<double>& x, const std::vector<double>& y, DType dtype = DType::f32) const {
    for (size_t i = 0; i < x.size(); ++i)  // one by one, as err measures against the largest
      gives({repeated<double>(dtype, {x[i], x[0]})}, repeated<double>(dtype, {y[i], y[0]}));
    gives({repeated(dtype, x)}, repeated(dtype, y));
  }
  template <class T>
  void maps2(DType dtype, const std::vector<T>& a, const std::vector<T>& b, const std::vector<T>& y) const {
    gives({repeated(dtype, a), repeated(dtype, b)}, repeated(dtype, y));
  }
};

TEST(Values, ExpFarOutsideItsRange) {
  const std::vector<double> x{0, 1, 88, -87, 89, -110, 1e9, -1e9, 1.5e9, -1.5e9, 1e30, -1e30, kInf, -kInf, kNan};
  std::vector<double> y;
  for (double v : x) y.push_back(std::exp(v));
  y[4] = kInf;  // in f32
  y[5] = 0;
  Kernels{"exp"}.maps(x, y);
}

TEST(Values, SigmoidAndTanhSaturate) {
  const std::vector<double> x{0, 2, 1e9, -1e9, 1.5e9, -1.5e9, 1e30, -1e30, 3e38, -3e38, kInf, -kInf, kNan};
  Kernels{"sigmoid"}.maps(x, {0.5, 1 / (1 + std::exp(-2)), 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, kNan});
  Kernels{"tanh"}.maps(x, {0, std::tanh(2), 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, kNan});
  Kernels{"elu", {{"alpha", 1.0}}}.maps(x, {0, 2, 1e9, -1, 1.5e9, -1, 1e30, -1, 3e38, -1, kInf, -1, kNan});
}

}  // namespace
}  // namespace oc::test
