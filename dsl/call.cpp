#include <algorithm>

#include "base/error.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

// Halide's dims run innermost first.
template <class T>
std::vector<T> reversed(std::vector<T> v) {
  std::ranges::reverse(v);
  return v;
}

}  // namespace

int64_t Operand::padded_extent(size_t dim) const {
  const int64_t block = type.layout.block(static_cast<int>(dim));
  return (extent(dim) + block - 1) / block * block;
}

Halide::Expr Stage::at(const Index& index) const {
  return func(reversed(index));
}

Halide::RVar Stage::reduced(size_t i) const {
  return domain[domain.dimensions() - 1 - static_cast<int>(i)];
}

Halide::Expr Tiles::start(const Halide::Expr& tile) const {
  return Halide::min(tile * size, extent - size);
}

Halide::Expr OpCall::in(size_t i) const {
  const Operand& operand = inputs[i];
  const size_t rank = operand.rank();
  Index at(rank);
  for (size_t d = 0; d < rank; ++d) at[d] = operand.extent(d) == 1 ? Halide::Expr(0) : index[index.size() - rank + d];
  return operand.at(at);
}

int64_t OpCall::knob(std::string_view name) const {
  const auto found = knobs.find(name);
  return found != knobs.end() ? found->second : 0;
}

const Stage& OpCall::stage(std::string name, std::vector<Halide::Var> vars, const Halide::Expr& value) {
  Halide::Func func(name);
  func(reversed(vars)) = value;
  stages.push_back({std::move(name), func, std::move(vars), {}});
  return stages.back();
}

std::vector<Halide::Expr> known_sizes(const Extents& extents) {
  std::vector<Halide::Expr> sizes;
  for (const int64_t extent : extents) sizes.emplace_back(static_cast<int>(extent));
  return sizes;
}

const Stage& OpCall::reduce(std::string name, std::vector<Halide::Var> vars, const std::vector<Halide::Expr>& extents,
                            const Halide::Expr& init,
                            const std::function<Halide::Expr(const Halide::Expr& self, const Index& r)>& combine) {
  Halide::Region region;
  for (const Halide::Expr& extent : reversed(extents)) region.emplace_back(0, extent);
  const Halide::RDom domain(region, name + "_r");
  Index r;
  for (size_t i = extents.size(); i-- > 0;) r.emplace_back(domain[static_cast<int>(i)]);
  Halide::Func func(name);
  const std::vector<Halide::Var> args = reversed(vars);
  func(args) = init;
  func(args) = combine(func(args), r);
  stages.push_back({std::move(name), func, std::move(vars), domain});
  return stages.back();
}

}  // namespace oc
