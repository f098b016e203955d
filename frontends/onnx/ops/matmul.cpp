// MatMul, Gemm and relatives.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/ops/conv.h"

namespace oc::from_onnx {

ValueId numpy_matmul(Call& n, ValueId a, ValueId b) {
  const Extents left = n.shape(a), right = n.shape(b);
  if (left.empty() || right.empty()) user_error("operands must not be scalars");
  if (left.size() == 1) a = n.reshape(a, {1, left[0]});
  if (right.size() == 1) b = n.reshape(b, {right[0], 1});
  const ValueId result = n.emit("matmul", {a, b});
  Extents shape = n.shape(result);
  if (right.size() == 1) shape.pop_back();
  if (left.size() == 1) shape.erase(shape.end() - (right.size() == 1 ? 1 : 2));
  return n.reshape(result, shape);
}

namespace {

ValueId swap_last(Call& n, ValueId value) {
  if (n.rank(value) < 2) user_error("an operand of rank {} cannot be transposed", n.rank(value));
  std::vector<int64_t> perm(static_cast<size_t>(n.rank(value)));
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return n.transpose(value, perm);
}

}  // namespace

Values matmul(Call& n) {
  return {numpy_matmul(n, n.in(0), n.in(1))};
}

namespace {

// [m, batch …, k] → [batch …, m, k]
ValueId batch_first(Call& n, ValueId value) {
  std::vector<int64_t> perm(static_cast<size_t>(n.rank(value)));
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  return n.transpose(value, perm);
}

}  // namespace

// α·A'·B', where transBatch brings the first dim behind those of the batch and trans, after it, swaps the last two.
Values fused_matmul(Call& n) {
  const bool batch_a = n.flag("transBatchA", false), batch_b = n.flag("transBatchB", false);
  ValueId a = n.in(0), b = n.in(1);
  if ((batch_a || batch_b) && (n.rank(a) < 3 || n.rank(a) != n.rank(b)))
    user_error("transBatchA and transBatchB need operands of one rank, 3 or more; they have {} and {}", n.rank(a),
               n.rank(b));
  if (batch_a) a = batch_first(n, a);
  if (batch_b) b = batch_first(n, b);
  if (n.flag("transA", false)) a = swap_last(n, a);
  if (n.flag("transB", false)) b = swap_last(n, b);
  const ValueId result = numpy_matmul(n, a, b);
  const double alpha = n.number("alpha", 1);
  return {alpha == 1 ? result : n.emit("mul", {result, n.like(result, alpha)})};
}

// α·A'·B' + β·C
Values gemm(Call& n) {
  if (n.rank(n.in(0)) != 2 || n.rank(n.in(1)) != 2)
    user_error("operands have ranks {} and {}, must be matrices", n.rank(n.in(0)), n.rank(n.in(1)));
  const ValueId a = n.flag("transA", false) ? swap_last(n, n.in(0)) : n.in(0);
  const ValueId b = n.flag("transB", false) ? swap_last(n, n.in(1)) : n.in(1);
  ValueId result = n.emit("matmul", {a, b});
  const double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  if (alpha != 1) result = n.emit("mul", {result, n.like(result, alpha)});
  if (!n.has(2) || beta == 0) return {result};
  const Extents shape = n.shape(result);
  const ValueId c = beta == 1 ? n.in(2) : n.emit("mul", {n.in(2), n.like(n.in(2), beta)});
  const ValueId sum = n.emit("add", {result, c});
  if (n.shape(sum) != shape) user_error("its input C does not broadcast to the product's shape");
  return {sum};
}

}  // namespace oc::from_onnx
