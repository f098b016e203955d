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

TEST(Values, LogOfAllFloats) {
  const std::vector<double> x{1, 3e38, 1e-37, 1e-40, 1.4e-45, 0, -0.0, -1, -1e-40, -kInf, kInf, kNan};
  std::vector<double> y;
  for (double v : x) y.push_back(std::log(static_cast<double>(static_cast<float>(v))));
  Kernels{"log"}.maps(x, y);
}

TEST(Values, UnaryOpsKeepNanAndInfinities) {
  const std::vector<double> x{0.5, kInf, -kInf, kNan, 1e30, -1e30};
  Kernels{"erf"}.maps(x, {std::erf(0.5), 1, -1, kNan, 1, -1});
  Kernels{"relu"}.maps(x, {0.5, kInf, 0, kNan, 1e30, 0});
  Kernels{"abs"}.maps(x, {0.5, kInf, kInf, kNan, 1e30, 1e30});
  Kernels{"neg"}.maps(x, {-0.5, -kInf, kInf, kNan, -1e30, 1e30});
  Kernels{"sqrt"}.maps(x, {std::sqrt(0.5), kInf, kNan, kNan, 1e15, kNan});
  Kernels{"reciprocal"}.maps(x, {2, 0, 0, kNan, 1e-30, -1e-30});
  Kernels{"floor"}.maps(x, {0, kInf, -kInf, kNan, 1e30, -1e30});
  Kernels{"round"}.maps(x, {0, kInf, -kInf, kNan, 1e30, -1e30});
  Kernels{"clip", {{"min", -1.0}, {"max", 6.0}}}.maps(x, {0.5, 6, -1, kNan, 6, -1});
  Kernels{"leaky_relu", {{"alpha", 0.5}}}.maps(x, {0.5, kInf, -kInf, kNan, 1e30, -5e29});
}

TEST(Values, NanAndInfinityAreRecognised) {
  const std::vector<double> x{0, kNan, kInf, -kInf, 1, 3e38};
  const auto booleans = [](const std::vector<int64_t>& y) { return repeated(DType::boolean, y); };
  for (DType dtype : {DType::f32, DType::f64, DType::f16}) {
    Kernels{"is_nan"}.gives({repeated(dtype, x)}, booleans({0, 1, 0, 0, 0, 0}));
    const int64_t large = dtype == DType::f16;  // has no 3e38
    Kernels{"is_inf"}.gives({repeated(dtype, x)}, booleans({0, 0, 1, 1, 0, large}));
  }
  const int64_t yes = 1, no = 0;
  Kernels{"is_inf", {{"negative", no}, {"positive", yes}}}.gives({repeated(DType::f32, x)},
                                                                 booleans({0, 0, 1, 0, 0, 0}));
  Kernels{"is_inf", {{"negative", yes}, {"positive", no}}}.gives({repeated(DType::f32, x)},
                                                                 booleans({0, 0, 0, 1, 0, 0}));
  Kernels{"is_inf", {{"negative", no}, {"positive", no}}}.gives({repeated(DType::f32, x)},
                                                                booleans({0, 0, 0, 0, 0, 0}));
}

TEST(Values, ComparisonsWithNanAreFalse) {
  const Tensor a = repeated<double>(DType::f32, {kNan, 1, kNan, kInf, 2}),
               b = repeated<double>(DType::f32, {kNan, kNan, 1, kInf, 1});
  const auto booleans = [](const std::vector<int64_t>& y) { return repeated(DType::boolean, y); };
  Kernels{"equal"}.gives({a, b}, booleans({0, 0, 0, 1, 0}));
  Kernels{"less"}.gives({a, b}, booleans({0, 0, 0, 0, 0}));
  Kernels{"less_equal"}.gives({a, b}, booleans({0, 0, 0, 1, 0}));
  Kernels{"greater"}.gives({a, b}, booleans({0, 0, 0, 0, 1}));
  Kernels{"greater_equal"}.gives({a, b}, booleans({0, 0, 0, 1, 1}));
  Kernels{"max"}.gives({a, b}, repeated<double>(DType::f32, {kNan, kNan, kNan, kInf, 2}));
  Kernels{"min"}.gives({a, b}, repeated<double>(DType::f32, {kNan, kNan, kNan, kInf, 1}));
}

// x ^ e with e written into the workload, as models have it.
TEST(Values, PowByAConstant) {
  const std::vector<double> x{0, 1, 2, -2, 1e-40, kInf, kNan};
  for (double e : {0.0, 1.0, 2.0, 3.0, 5.0, -1.0, -3.0, 0.5, -0.5, 0.75, 2.4, -1.5, 40.0, kInf, kNan}) {
    std::vector<double> y;
    for (double v : x) y.push_back(std::pow(static_cast<double>(static_cast<float>(v)), e));
    Graph graph;
    const ValueId in = graph.add_input("", make_type(DType::f32, {37}));
    const ValueId exponent =
        graph.add_constant("", std::make_shared<const Tensor>(tensor<double>(DType::f32, {}, {e})));
    graph.outputs = {add_op(graph, op_set(builtin_ops()), "pow", {in, exponent})};
    const Kernel kernel = analyse({print_graph(graph, {.names = false, .weights = true})}, builtin_ops());
    Lowered scheduled =
        apply_schedule(kernel, builtin_ops(), host_target(), default_schedule(kernel, host_target(), 1));
    const Tensor result = run(scheduled, kernel, {repeated(DType::f32, x)}, {}, host_target());
    EXPECT_LE(err(result, repeated(DType::f32, y)), 5e-6)
        << "^ " << e << " gives " << printed(result) << "\n  not " << printed(repeated(DType::f32, y));
  }
}

TEST(Values, PowOfFloats) {
  const std::vector<double> a{kNan, 0, kNan, 0, 1, -8, -2, kInf, 0, 1.5},
      b{1, kNan, 0, 0, kNan, 1.0 / 3, 3, 0.5, -1, 2.5};
  std::vector<double> y;
  for (size_t i = 0; i < a.size(); ++i) y.push_back(std::pow(a[i], b[i]));
  for (DType dtype : {DType::f32, DType::f64}) Kernels{"pow"}.maps2(dtype, a, b, y);
}

TEST(Values, FloatsModFloats) {
  const std::vector<double> a{5, 1e10, -5, 5, 5, kNan, kInf, -7.5, 1e-40}, b{kInf, 3, 3, -3, 0, 2, 2, 2, 1};
  std::vector<double> y;
  for (size_t i = 0; i < a.size(); ++i) y.push_back(std::fmod(static_cast<float>(a[i]), b[i]));
  for (DType dtype : {DType::f32, DType::f64})
    Kernels{"mod"}.maps2(dtype, a, b,
                         dtype == DType::f32 ? y : std::vector<double>{5, 1, -2, 2, kNan, kNan, kNan, -1.5, 1e-40});
}

TEST(Values, IntegersAreExact) {
  const std::vector<int64_t> large{kInt64Max, kInt64Min, (int64_t{1} << 53) + 1, -(int64_t{1} << 53) - 1, 0, -7, 7};
  Kernels{"neg"}.gives({repeated(DType::i64, large)},
                       repeated<int64_t>(DType::i64, {-kInt64Max, kInt64Min, -(int64_t{1} << 53) - 1,
                                                      (int64_t{1} << 53) + 1, 0, 7, -7}));
  Kernels{"relu"}.gives({repeated(DType::i64, large)},
                        repeated<int64_t>(DType::i64, {kInt64Max, 0, (int64_t{1} << 53) + 1, 0, 0, 0, 7}));
  Kernels{"abs"}.gives(
      {repeated(DType::i64, large)},
      repeated<int64_t>(DType::i64, {kInt64Max, kInt64Min, (int64_t{1} << 53) + 1, (int64_t{1} << 53) + 1, 0, 7, 7}));
  Kernels{"abs"}.gives({repeated<int64_t>(DType::u64, {-1, 3})}, repeated<int64_t>(DType::u64, {-1, 3}));
  Kernels{"max"}.maps2<int64_t>(DType::u64, {-1, 3}, {1, 4}, {-1, 4});  // −1: 2^64 − 1
  Kernels{"div"}.maps2<int64_t>(DType::u64, {-1, 7}, {2, 2}, {kInt64Max, 3});
  Kernels{"div"}.maps2<int64_t>(DType::i32, {-7, 7, -7, 7, 5}, {2, 2, -2, -2, 0}, {-3, 3, 3, -3, 0});
}

TEST(Values, IntegerPowers) {
  const std::vector<int64_t> a{3, -3, 2, 2, 0, 0, 1, -1, -1, -1, 10, 2, 5, -2};
  const std::vector<int64_t> b{39, 39, 62, -1, 5, 0, -3, -3, -4, 1001, 18, 64, 0, 63};
  const std::vector<int64_t> y{4052555153018976267,
                               -4052555153018976267,
                               int64_t{1} << 62,
                               0,
                               0,
                               1,
                               1,
                               -1,
                               1,
                               -1,
                               1000000000000000000,
                               0,
                               1,
                               kInt64Min};
  Kernels{"pow"}.maps2(DType::i64, a, b, y);
  Kernels{"pow"}.maps2<int64_t>(DType::i32, {3, -3, 46340, 0, -1}, {19, 19, 2, 7, 99},
                                {1162261467, -1162261467, 2147395600, 0, -1});
  Kernels{"pow"}.maps2<int64_t>(DType::u8, {2, 15, 3, 1}, {7, 2, 5, 255}, {128, 225, 243, 1});
  Kernels{"pow"}.maps2<int64_t>(DType::u64, {3, 7}, {40, 22}, {-6289078614652622815, 3909821048582988049});
}

// Rows of 40 values that end, begin or are filled with what is special: reduced along rows and across them.
Tensor rows_of(const std::vector<std::vector<double>>& rows, DType dtype, int64_t length) {
  Tensor t = make_tensor(dtype, {static_cast<int64_t>(rows.size()), length});
  for (size_t r = 0; r < rows.size(); ++r)
    for (int64_t i = 0; i < length; ++i)
      store_scalar(t, static_cast<int64_t>(r) * length + i,
                   {true, 0, rows[r][static_cast<size_t>(i) % rows[r].size()]});
  return t;
}

Tensor transposed(const Tensor& t) {
  Tensor result = make_tensor(t.dtype, {t.shape[1], t.shape[0]});
  for (int64_t r = 0; r < t.shape[0]; ++r)
    for (int64_t c = 0; c < t.shape[1]; ++c)
      store_scalar(result, c * t.shape[0] + r, load_scalar(t, r * t.shape[1] + c));
  return result;
}

TEST(Values, ReductionsKeepNan) {
  std::vector<std::vector<double>> rows{{1, 2, -3}, {kInf, 1}, {-kInf, 1}, {-kInf}, {kInf}, {kNan}};
  std::vector<double> max{2, kInf, 1, -kInf, kInf, kNan}, min{-3, 1, -kInf, -kInf, kInf, kNan};
  for (const size_t at : {0U, 1U, 17U, 38U, 39U}) {
    for (const double nan : {kNan, -kNan}) {
      std::vector<double> row(40, 5.0);
      row[at] = nan;
      rows.push_back(row);
      max.push_back(kNan);
      min.push_back(kNan);
    }
  }
  const auto count = static_cast<int64_t>(rows.size());
  for (DType dtype : {DType::f32, DType::f64, DType::f16}) {
    const Tensor x = rows_of(rows, dtype, 40);
    Kernels{"reduce_max", {{"axes", Extents{1}}}}.gives({x}, tensor(dtype, {count, 1}, max));
    Kernels{"reduce_min", {{"axes", Extents{1}}}}.gives({x}, tensor(dtype, {count, 1}, min));
    Kernels{"reduce_max", {{"axes", Extents{0}}}}.gives({transposed(x)}, tensor(dtype, {1, count}, max));
    Kernels{"reduce_min", {{"axes", Extents{0}}}}.gives({transposed(x)}, tensor(dtype, {1, count}, min));
  }
}

TEST(Values, SoftmaxOfNanAndInfinities) {
  const std::vector<std::vector<double>> rows{{1, 1},          {kInf, 1}, {-kInf, 1},   {-kInf},
                                              {1, 2, 3, kNan}, {kNan, 1}, {1e30, -1e30}};
  const std::vector<std::vector<double>> softmax{{1.0 / 40}, {kNan}, {0, 1.0 / 20}, {kNan},
                                                 {kNan},     {kNan}, {1.0 / 20, 0}};
  const std::vector<std::vector<double>> logs{{-std::log(40)}, {kNan}, {-kInf, -std::log(20)}, {kNan},
                                              {kNan},          {kNan}, {-std::log(20), -2e30}};
  for (const int64_t axis : {1, 0}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const auto placed = [&](const auto& r) {
        return axis == 1 ? rows_of(r, dtype, 40) : transposed(rows_of(r, dtype, 40));
      };
      Kernels{"softmax", {{"axis", axis}}}.gives({placed(rows)}, placed(softmax));
      Kernels{"log_softmax", {{"axis", axis}}}.gives({placed(rows)}, placed(logs));
    }
  }
}

// Scores that are the mask alone, values 1, 2, 3 … by key: rows masked in part, throughout (by −∞, as the separate ops
// give it, and by the lowest number) and by NaN; scores that overflow without the maximum taken off.
TEST(Values, AttentionOfMaskedRowsAndLargeScores) {
  constexpr double kLowest = -3.4028234663852886e38;
  const std::vector<std::vector<double>> masks{
      {0, -kInf, -kInf}, {-kInf}, {kLowest}, {1e30, -1e30}, {kNan, 0, 0}, {0, kLowest, kLowest}, {800, 800, -800}};
  constexpr int64_t kKeys = 3;
  const auto rows = static_cast<int64_t>(masks.size());
  for (const int64_t m : {rows, int64_t{1}, int64_t{40}}) {  // fewer queries than vectors have lanes, and more
    for (const int64_t nan_as_zero : {0, 1}) {
      const double nothing = nan_as_zero != 0 ? 0 : kNan;
      const double result[] = {1, nothing, 2, 1, nothing, 1, 1.5};
      Tensor q = make_tensor(DType::f32, {m, 2}), k = make_tensor(DType::f32, {kKeys, 2}),
             v = make_tensor(DType::f32, {kKeys, 1}), mask = make_tensor(DType::f32, {m, kKeys}),
             expected = make_tensor(DType::f32, {m, 1});
      for (int64_t i = 0; i < kKeys; ++i) v.as<float>()[static_cast<size_t>(i)] = static_cast<float>(i + 1);
      for (int64_t row = 0; row < m; ++row) {
        const auto which = static_cast<size_t>(row % rows);
        const std::vector<double>& given = masks[which];
        for (size_t i = 0; i < kKeys; ++i)
          mask.as<float>()[static_cast<size_t>(row) * kKeys + i] =
              static_cast<float>(given[std::min(i, given.size() - 1)]);
        expected.as<float>()[static_cast<size_t>(row)] = static_cast<float>(result[which]);
      }
      const Extents as_is{0, 1};
      Kernels{
          "attention",
          {{"q_perm", as_is}, {"k_perm", as_is}, {"v_perm", as_is}, {"out_perm", as_is}, {"nan_as_zero", nan_as_zero}}}
          .gives({q, k, v, mask}, expected);
    }
  }
}

TEST(Values, IntegerReductions) {
  const int64_t odd = (int64_t{1} << 53) + 1;
  const Tensor x = tensor<int64_t>(DType::i64, {3, 3}, {odd, 2, 0, kInt64Max, -1, 0, kInt64Min, -1, 0});
  const auto over = [](const char* op) { return Kernels{op, {{"axes", Extents{1}}}}; };
  over("reduce_sum").gives({x}, tensor<int64_t>(DType::i64, {3, 1}, {odd + 2, kInt64Max - 1, kInt64Max}));
  over("reduce_max").gives({x}, tensor<int64_t>(DType::i64, {3, 1}, {odd, kInt64Max, 0}));
  over("reduce_min").gives({x}, tensor<int64_t>(DType::i64, {3, 1}, {0, -1, kInt64Min}));
  const Tensor small = tensor<int64_t>(DType::i32, {3, 3}, {-1, -1, -3, 1, 1, 3, -1, 0, 0});
  over("reduce_mean").gives({small}, tensor<int64_t>(DType::i32, {3, 1}, {-1, 1, 0}));
  const Tensor bytes = tensor<int64_t>(DType::u8, {2, 2}, {200, 3, 0, 255});
  over("reduce_max").gives({bytes}, tensor<int64_t>(DType::u8, {2, 1}, {200, 255}));
  over("reduce_min").gives({bytes}, tensor<int64_t>(DType::u8, {2, 1}, {3, 0}));
}

TEST(Values, MaxPoolKeepsNan) {
  const Kernels pool{"max_pool",
                     {{"kernel", Extents{3, 3}},
                      {"strides", Extents{1, 1}},
                      {"pads", Extents{1, 1, 1, 1}},
                      {"dilations", Extents{1, 1}}}};
  for (const DType dtype : {DType::f32, DType::f64, DType::f16}) {
    Tensor x = make_tensor(dtype, {1, 2, 7, 21}), y = x;
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t row = 0; row < 7; ++row)
        for (int64_t col = 0; col < 21; ++col) {
          const int64_t at = (c * 7 + row) * 21 + col;
          const bool near = std::abs(row - 3) <= 1 && std::abs(col - 10) <= 1;
          store_scalar(x, at, {true, 0, row == 3 && col == 10 ? kNan : c == 0 ? -kInf : -5.0});
          store_scalar(y, at, {true, 0, near ? kNan : c == 0 ? -kInf : -5.0});
        }
    pool.gives({x}, y);
  }
}

// Chains in one kernel: what arithmetic made is tested and mapped like what comes from memory.
struct Chain {
  std::vector<double> a{kInf, 1, kNan, 3e38, -kInf, 5}, b{kInf, 1, 1, -3e38, 0, 7};  // a − b: NaN 0 NaN ∞ −∞ −2

  void gives(const std::string& rest, const Tensor& expected) const {
    const std::string text = "graph { %0: f32[37] = input %1: f32[37] = input %2: f32[37] = sub(%0, %1) " + rest + " }";
    SCOPED_TRACE(text);
    const Kernel kernel = analyse({text}, builtin_ops());
    const Target target = host_target();
    const std::vector<Tensor> inputs{repeated(DType::f32, a), repeated(DType::f32, b)};
    try {
      Lowered scheduled = apply_schedule(kernel, builtin_ops(), target, default_schedule(kernel, target, 1));
      const Tensor result = run(scheduled, kernel, inputs, {}, target);
      EXPECT_LE(err(result, expected), 2e-6) << "\n  gives " << printed(result) << "\n  not   " << printed(expected);
    } catch (const Halide::Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
  void maps(const std::string& op, const std::vector<double>& y) const {
    gives("%3: f32[37] = " + op + " return %3", repeated(DType::f32, y));
  }
  void tests(const std::string& op, const std::vector<int64_t>& y) const {
    gives("%3: bool[37] = " + op + " return %3", repeated(DType::boolean, y));
  }
};

TEST(Values, OfFusedChains) {
  const Chain chain;
  chain.tests("is_nan(%2)", {1, 0, 1, 0, 0, 0});
  chain.tests("is_inf(%2)", {0, 0, 0, 1, 1, 0});
  chain.tests("equal(%2, %2)", {0, 1, 0, 1, 1, 1});
  chain.tests("less_equal(%2, %1)", {0, 1, 0, 0, 1, 1});
  chain.maps("exp(%2)", {kNan, 1, kNan, kInf, 0, std::exp(-2)});
  chain.maps("log(%2)", {kNan, -kInf, kNan, kInf, kNan, kNan});
  chain.maps("erf(%2)", {kNan, 0, kNan, 1, -1, std::erf(-2)});
  chain.maps("relu(%2)", {kNan, 0, kNan, kInf, 0, 0});
  chain.maps("clip(%2) {max=6.0, min=-1.0}", {kNan, 0, kNan, 6, -1, -1});
  chain.maps("sigmoid(%2)", {kNan, 0.5, kNan, 1, 0, 1 / (1 + std::exp(2))});
  chain.maps("tanh(%2)", {kNan, 0, kNan, 1, -1, std::tanh(-2)});
  chain.maps("max(%2, %1)", {kNan, 1, kNan, kInf, 0, 7});
  chain.maps("min(%2, %1)", {kNan, 0, kNan, -3e38, -kInf, -2});
  chain.gives("%3: f32[37] = exp(%2) %4: f32[37] = log(%3) return %4",
              repeated<double>(DType::f32, {kNan, 0, kNan, kInf, -kInf, -2}));
  for (const char* op : {"reduce_max", "reduce_min", "reduce_sum"})
    chain.gives(fmt::format("%3: f32[1] = {}(%2) {{axes=[0]}} return %3", op), tensor<double>(DType::f32, {1}, {kNan}));
  chain.maps("softmax(%2) {axis=0}", {kNan});
  chain.maps("log_softmax(%2) {axis=0}", {kNan});
  const Chain infinite{{kInf, 1}, {0, 0}};
  infinite.gives("%3: f32[1] = reduce_sum(%2) {axes=[0]} %4: f32[1] = log(%3) return %4",
                 tensor<double>(DType::f32, {1}, {kInf}));
}

}  // namespace
}  // namespace oc::test
