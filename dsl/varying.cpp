#include "dsl/varying.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "opencompiler/dsl.h"

namespace oc {
namespace {

bool same_data(const Value& a, const Value& b) {
  if (a.data == nullptr || b.data == nullptr) return a.data == b.data;
  return a.data->dtype == b.data->dtype && a.data->shape == b.data->shape && a.data->bytes == b.data->bytes;
}

bool same_but_for_extents(const Graph& a, const Graph& b, const OpTable& ops) {
  const auto same_value = [](const Value& x, const Value& y) {
    return x.kind == y.kind && x.producer == y.producer && x.type.dtype == y.type.dtype &&
           x.type.layout == y.type.layout && x.type.shape.size() == y.type.shape.size() && same_data(x, y);
  };
  const auto same_node = [&](const Node& x, const Node& y) {
    if (x.op != y.op || x.inputs != y.inputs || x.outputs != y.outputs) return false;
    const auto& alike = op_info(ops, x.op).alike;
    return alike ? alike(view(a, x), view(b, y)) : x.attrs == y.attrs;
  };
  return a.inputs == b.inputs && a.outputs == b.outputs && std::ranges::equal(a.values, b.values, same_value) &&
         std::ranges::equal(a.nodes, b.nodes, same_node);
}

// Weights may where no schedule packs them.
bool may_vary(const Kernel& kernel, const Value& value, size_t dim) {
  const bool packs = kernel.family == Family::contraction || kernel.family == Family::window;
  return !(packs && value.kind == ValueKind::constant) && value.type.layout.block(static_cast<int>(dim)) == 1;
}

}  // namespace

bool takes_sizes(const Kernel& kernel, const OpTable& ops) {
  return std::ranges::all_of(kernel.graph.nodes, [&](const Node& node) { return op_info(ops, node.op).takes_sizes; });
}

std::optional<Kernel> varying(const Kernel& kernel, const Kernel& other, const OpTable& ops) {
  if (!same_but_for_extents(kernel.graph, other.graph, ops) || kernel.axes.size() != other.axes.size())
    return std::nullopt;
  if (!takes_sizes(kernel, ops)) return std::nullopt;
  Kernel result = kernel;
  std::map<std::pair<int64_t, int64_t>, int> known;
  for (size_t v = 0; v < kernel.graph.values.size(); ++v) {
    const Value& value = kernel.graph.values[v];
    std::vector<int>& symbols = result.symbols.emplace_back(value.type.shape.size(), Kernel::kFixed);
    for (size_t d = 0; d < symbols.size(); ++d) {
      const std::pair pair(value.type.shape[d].extent, other.graph.values[v].type.shape[d].extent);
      if (pair.first == pair.second) continue;
      if (!may_vary(kernel, value, d) || pair.first == 1 || pair.second == 1) return std::nullopt;
      symbols[d] = known.emplace(pair, static_cast<int>(known.size())).first->second;
    }
  }
  for (size_t i = 0; i < result.axes.size(); ++i) result.axes[i].varies = kernel.axes[i].extent != other.axes[i].extent;
  return result;
}

std::optional<std::vector<int64_t>> symbols_in(const Kernel& kernel, const Kernel& other, const OpTable& ops) {
  if (!same_but_for_extents(kernel.graph, other.graph, ops)) return std::nullopt;
  std::vector<int64_t> found;
  for (size_t v = 0; v < kernel.graph.values.size(); ++v) {
    const Shape& shape = other.graph.values[v].type.shape;
    for (size_t d = 0; d < shape.size(); ++d) {
      const int symbol = kernel.symbol(ValueId(v), d);
      if (symbol == Kernel::kFixed) {
        if (shape[d] != kernel.graph.values[v].type.shape[d]) return std::nullopt;
        continue;
      }
      const auto number = static_cast<size_t>(symbol);
      if (number == found.size()) found.push_back(shape[d].extent);
      // A dim of one element may be one that broadcasts, which the kernel takes its dims not to.
      if (found[number] != shape[d].extent || shape[d].extent == 1) return std::nullopt;
    }
  }
  return found;
}

std::string print_symbols(const Kernel& kernel) {
  std::string text;
  for (size_t v = 0; v < kernel.symbols.size(); ++v)
    for (size_t d = 0; d < kernel.symbols[v].size(); ++d)
      if (const int symbol = kernel.symbols[v][d]; symbol != Kernel::kFixed)
        text += fmt::format("{}%{}.{}={}", text.empty() ? "" : " ", v, d, symbol);
  return text;
}

}  // namespace oc
