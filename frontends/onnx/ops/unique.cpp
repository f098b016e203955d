// Unique: of elements that are known, as its result's extent follows from them.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/call.h"

namespace oc::from_onnx {
namespace {

// Rows that are equal, each group with the first row it has.
struct Groups {
  std::vector<int64_t> first, count;  // by group
  std::vector<int64_t> group;         // by row
};

template <class T>
Groups groups_of(std::span<const T> elements, int64_t rows, bool sorted) {
  const auto all = static_cast<size_t>(rows), width = all == 0 ? 0 : elements.size() / all;
  const auto row = [&](int64_t i) { return elements.subspan(static_cast<size_t>(i) * width, width); };
  const auto less = [&](int64_t a, int64_t b) { return std::ranges::lexicographical_compare(row(a), row(b)); };
  std::vector<int64_t> order(all);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, less);
  std::vector<std::vector<int64_t>> members;
  for (int64_t i : order) {
    if (members.empty() || less(members.back()[0], i)) members.emplace_back();
    members.back().push_back(i);
  }
  if (!sorted) std::ranges::sort(members, {}, [](const std::vector<int64_t>& group) { return group[0]; });
  Groups groups{.first = {}, .count = {}, .group = std::vector<int64_t>(all)};
  for (const std::vector<int64_t>& group : members) {
    for (int64_t i : group) groups.group[static_cast<size_t>(i)] = std::ssize(groups.first);
    groups.first.push_back(group[0]);
    groups.count.push_back(std::ssize(group));
  }
  return groups;
}

Groups groups_of(Call& n, ValueId rows, bool sorted) {
  const int64_t count = n.shape(rows)[0];
  if (n.dtype(rows) == DType::u64) user_error("its elements are u64, which is not supported");
  const bool real = dtype_is_float(n.dtype(rows));
  const Tensor* wide = n.known(n.cast(rows, real ? DType::f64 : DType::i64));
  if (wide == nullptr) user_error("its elements cannot be computed beforehand");
  if (!real) return groups_of(wide->as<int64_t>(), count, sorted);
  if (std::ranges::any_of(wide->as<double>(), [](double x) { return std::isnan(x); }))
    user_error("its elements hold NaN, which equals nothing");
  return groups_of(wide->as<double>(), count, sorted);
}

}  // namespace

// The distinct slices along the axis (elements of all, without one), where each stands first, which is whose, how
// often.
Values unique(Call& n) {
  static_cast<void>(n.demand(n.in(0), "elements"));
  ValueId x = n.in(0);
  const bool flat = n.attribute("axis") == nullptr;
  if (flat) x = n.reshape(x, {product(n.shape(x))});
  const auto axis = static_cast<size_t>(flat ? 0 : normal_axis(n.integer("axis"), n.rank(x)));
  std::vector<int64_t> perm(static_cast<size_t>(n.rank(x)));
  std::iota(perm.begin(), perm.end(), int64_t{0});
  std::rotate(perm.begin(), perm.begin() + static_cast<ptrdiff_t>(axis),
              perm.begin() + static_cast<ptrdiff_t>(axis) + 1);
  const ValueId front = n.transpose(x, perm);
  const Groups groups = groups_of(n, front, n.flag("sorted", true));
  const auto list = [&](const std::vector<int64_t>& values) {
    n.spend(DType::i64, std::ssize(values));
    return n.constant(int64_tensor(values, {std::ssize(values)}));
  };
  std::vector<int64_t> back(perm.size());
  for (size_t d = 0; d < perm.size(); ++d) back[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
  const ValueId first = list(groups.first);
  const ValueId y = n.transpose(n.emit("gather", {front, first}, {{"axis", int64_t{0}}}), back);
  return {y, first, list(groups.group), list(groups.count)};
}

}  // namespace oc::from_onnx
