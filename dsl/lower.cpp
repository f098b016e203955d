#include "dsl/lower.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "dsl/ops/host_scalar.h"

namespace oc {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::Var;

Halide::Type halide_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return Halide::Float(32);
    case DType::f64: return Halide::Float(64);
    case DType::f16: return Halide::Float(16);
    case DType::bf16: return Halide::BFloat(16);
    case DType::i8: return Halide::Int(8);
    case DType::u8: return Halide::UInt(8);
    case DType::i16: return Halide::Int(16);
    case DType::u16: return Halide::UInt(16);
    case DType::i32: return Halide::Int(32);
    case DType::u32: return Halide::UInt(32);
    case DType::i64: return Halide::Int(64);
    case DType::u64: return Halide::UInt(64);
    case DType::boolean: return Halide::UInt(8);  // stored as 0 or 1; a Bool inside expressions
  }
  internal_error("a dtype without a Halide type");
}

// Physical coordinates, outermost first, of a logical index.
Index physical_index(const Layout& layout, const Index& index) {
  if (layout.plain()) return index;
  Index physical;
  std::vector<int64_t> remaining(index.size());
  for (size_t d = 0; d < index.size(); ++d) remaining[d] = layout.block(static_cast<int>(d));
  for (int d : layout.order)
    physical.push_back(remaining[d] == 1 ? index[d] : index[d] / static_cast<int>(remaining[d]));
  for (const Layout::Block& b : layout.blocks) {
    Expr e = index[b.dim] % static_cast<int>(remaining[b.dim]);
    remaining[b.dim] /= b.size;
    physical.push_back(remaining[b.dim] == 1 ? e : e / static_cast<int>(remaining[b.dim]));
  }
  return physical;
}

std::vector<Expr> reversed(Index index) {
  std::ranges::reverse(index);
  return index;
}

// Fixes extents and strides: of a buffer the kernel reads its host pointer, and extents that vary where a symbol is met
// first.
template <class Param>
void fix_dims(Param& param, const std::vector<Expr>& physical) {
  Expr stride = 1;
  for (size_t i = physical.size(); i-- > 0;) {
    param.dim(static_cast<int>(physical.size() - 1 - i)).set_bounds(0, physical[i]).set_stride(stride);
    stride = Halide::Internal::simplify(stride * physical[i]);
  }
}

void check_elements(const Extents& physical) {
  const int64_t elements = element_count(physical);
  if (elements > std::numeric_limits<int32_t>::max())
    user_error("a tensor of {} elements: kernels address at most 2^31 - 1", elements);
}

// The physical dims, outermost first, of the sizes of a type; those that vary have no blocks. `logical` empty: as the
// type says.
std::vector<Expr> physical_sizes(const Type& type, const std::vector<Expr>& logical) {
  const Extents physical = physical_extents(type.layout, type.extents());
  std::vector<Expr> result;
  for (size_t i = 0; i < physical.size(); ++i) {
    const size_t dim =
        type.layout.plain() ? i : static_cast<size_t>(i < type.layout.order.size() ? type.layout.order[i] : 0);
    const bool whole = i < type.shape.size() && type.layout.block(static_cast<int>(dim)) == 1;
    result.push_back(whole && !logical.empty() ? logical[dim] : Expr(static_cast<int>(physical[i])));
  }
  return result;
}

// Halide's number of the loop over logical dim `dim`, around its blocks.
int loop_of(const Type& type, size_t dim) {
  const size_t rank = type.shape.size();
  if (type.layout.plain()) return static_cast<int>(rank - 1 - dim);
  const auto at = std::ranges::find(type.layout.order, static_cast<int>(dim)) - type.layout.order.begin();
  return static_cast<int>(rank + type.layout.blocks.size() - 1) - static_cast<int>(at);
}

int64_t padded_extent(const Type& type, size_t dim) {
  const int64_t block = type.layout.block(static_cast<int>(dim));
  return (type.shape[dim].extent + block - 1) / block * block;
}

// Does any tensor of the group store lanes beyond its logical extent? Then indices reach that far.
bool has_padding(const Graph& graph) {
  return std::ranges::any_of(graph.values, [](const Value& value) {
    const Extents extents = value.type.extents();
    return physical_size(value.type.layout, extents) != element_count(extents);
  });
}

// Is the input indexed by what its dims mean to the anchor, not as the output is? Weights, and what a convolution takes
// in their place.
bool has_own_dims(const Kernel& kernel, size_t input) {
  if (kernel.is_weight(input)) return true;
  const Node& anchor = kernel.anchor_node();
  return kernel.family == Family::window &&
         std::find(anchor.inputs.begin() + 1, anchor.inputs.end(), kernel.graph.inputs[input]) != anchor.inputs.end();
}

// Highest index along each dim that exists in memory where the group's indices may go beyond it, else −1: the padding
// lanes of the output reach past operands that are not padded as far.
Extents index_limits(const Kernel& kernel, size_t input, const Type& type) {
  const size_t rank = type.shape.size(), out_rank = kernel.output().shape.size();
  Extents limits(rank, -1);
  if (!has_padding(kernel.graph)) return limits;
  for (size_t d = 0; d < rank; ++d) {
    const int64_t exists = padded_extent(type, d);
    const bool aligned = d + out_rank >= rank;
    const size_t out_dim = d + out_rank - rank;
    const bool reaches = has_own_dims(kernel, input)
                             ? type.layout.block(static_cast<int>(d)) == 1
                             : aligned && padded_extent(kernel.output(), out_dim) >
                                              std::max(exists, kernel.output().shape[out_dim].extent);
    if (reaches) limits[d] = exists - 1;
  }
  return limits;
}

// `sizes`: of what varies; empty: as the type says.
Operand buffer_operand(const ImageParam& param, Type type, const Extents& limits, const std::vector<Expr>& sizes) {
  const bool is_bool = type.dtype == DType::boolean;
  auto at = [param, type, limits, sizes, is_bool](const Index& index) {
    Index safe = index;
    for (size_t d = 0; d < safe.size(); ++d)
      if (limits[d] >= 0) {
        const bool fixed = sizes.empty() || Halide::Internal::as_const_int(sizes[d]).has_value();
        safe[d] = Halide::clamp(safe[d], 0, fixed ? Expr(static_cast<int>(limits[d])) : sizes[d] - 1);
      }
    const Expr value = param(reversed(physical_index(type.layout, safe)));
    return is_bool ? value != 0 : value;
  };
  return {std::move(type), at};
}

Expr immediate(const Tensor& tensor, size_t i) {
  const Scalar x = load_scalar(tensor, static_cast<int64_t>(i));
  if (tensor.dtype == DType::boolean)
    return x.i != 0 ? Halide::Internal::const_true() : Halide::Internal::const_false();
  const Halide::Type type = halide_type(tensor.dtype);
  if (x.is_float) return Halide::Internal::make_const(type, x.f);
  if (type.is_uint()) return Halide::Internal::make_const(type, static_cast<uint64_t>(x.i));
  return Halide::Internal::make_const(type, x.i);
}

// A small constant written into the workload: its elements become immediates.
Operand inline_operand(const std::shared_ptr<const Tensor>& data, const Type& type) {
  auto at = [data, type](const Index& index) {
    const auto count = static_cast<size_t>(element_count(data->shape));
    const Tensor plain = relayout(*data, {});
    std::vector<Expr> elements;
    for (size_t i = 0; i < count; ++i) elements.push_back(immediate(plain, i));
    if (count == 1) return elements[0];
    Expr linear = 0;
    for (size_t d = 0; d < index.size(); ++d) {
      const int extent = static_cast<int>(type.shape[d].extent);
      linear = linear * extent + Halide::clamp(index[d], 0, extent - 1);
    }
    return Expr(Halide::mux(linear, elements));
  };
  return {type, at};
}

// The operand for an index that counts tile · size + position along the dims of `tiles`, which are those of a result
// of rank `rank`.
Operand seen_in_tiles(const Operand& operand, const std::vector<Tiles>& tiles, size_t rank) {
  if (operand.at == nullptr) return operand;
  Operand result = operand;
  result.at = [at = operand.at, tiles, rank](Index index) {
    for (const Tiles& t : tiles) {
      if (t.dim + index.size() < rank) continue;
      Expr& counted = index[t.dim + index.size() - rank];
      counted = t.start(counted / t.size) + counted % t.size;
    }
    return at(index);
  };
  return result;
}

struct Lowering {
  const Kernel& kernel;
  const OpTable& ops;
  const KnobValues& knobs;
  Lowered result;
  std::vector<Operand> operands;  // by value
  std::map<int, Expr> symbols;    // what those that an input has are

  // By dim; what the extents are when the kernel runs. `own` is the buffer's of the value, asked where a symbol is new.
  std::vector<Expr> sizes(ValueId value, const Type& type, const std::function<Expr(size_t)>& own) {
    std::vector<Expr> result;
    for (size_t d = 0; d < type.shape.size(); ++d) {
      const int symbol = kernel.symbol(value, d);
      if (symbol == Kernel::kFixed) {
        result.emplace_back(static_cast<int>(type.shape[d].extent));
        continue;
      }
      const auto [known, fresh] = symbols.try_emplace(symbol);
      if (fresh) known->second = own(d);
      result.push_back(known->second);
    }
    return result;
  }

  void add_inputs(const Packings& packings) {
    operands.resize(kernel.graph.values.size());
    for (size_t i = 0; i < kernel.graph.inputs.size(); ++i) {
      Type type = kernel.input(i);
      const Packing* packing = packing_of(packings, i);
      if (packing != nullptr) type = packed_type(type, *packing);
      const Extents physical = physical_extents(type.layout, type.extents());
      check_elements(physical);
      ImageParam param(halide_type(type.dtype), static_cast<int>(physical.size()), fmt::format("in{}", i));
      const ValueId value = kernel.graph.inputs[i];
      const std::vector<Expr> logical =
          packing != nullptr ? std::vector<Expr>()
                             : sizes(value, type, [&](size_t d) { return param.dim(loop_of(type, d)).extent(); });
      fix_dims(param, physical_sizes(type, logical));
      result.inputs.push_back(param);
      Operand& operand = operands[value.index];
      operand = buffer_operand(param, type, index_limits(kernel, i, type), logical);
      operand.sizes = logical;
      if (packing != nullptr) operand.transform = packing->transform;
    }
    for (size_t v = 0; v < operands.size(); ++v)
      if (kernel.graph.values[v].data)
        operands[v] = inline_operand(kernel.graph.values[v].data, kernel.graph.values[v].type);
  }

  void add_node(const Node& node) {
    const ValueId out = node.outputs[0];
    const Type& type = kernel.graph[out].type;
    OpCall call{.node = node,
                .inputs = {},
                .out = type,
                .vars = {},
                .index = {},
                .stages = result.stages,
                .knobs = knobs,
                .tiles = result.tiles};
    for (ValueId input : node.inputs) call.inputs.push_back(input.valid() ? operands[input.index] : Operand{});
    for (size_t d = 0; d < type.shape.size(); ++d) {
      call.vars.emplace_back(fmt::format("d{}", d));
      call.index.emplace_back(call.vars.back());
    }
    const bool in_tiles = !result.tiles.empty();
    Expr value = op_info(ops, node.op).define(call);
    if (!in_tiles && !result.tiles.empty())
      for (Operand& operand : operands) operand = seen_in_tiles(operand, result.tiles, type.shape.size());
    const Halide::Type wanted = type.dtype == DType::boolean ? Halide::Bool() : halide_type(type.dtype);
    if (wanted.is_float() && wanted.bits() < 32) value = Halide::cast(wanted, value);  // computed in f32
    if (value.type() != wanted) internal_error("op '{}' computes another type than its rule states", node.op);
    Func func(fmt::format("v{}", out.index));
    func(std::vector<Var>(call.vars.rbegin(), call.vars.rend())) = value;
    operands[out.index] = {type, [func](const Index& index) { return Expr(func(reversed(index))); }};
    // A symbol that no input has is known of the output's buffer only, which no op asks.
    const auto unknown = [](size_t) { return Expr(); };
    operands[out.index].sizes = sizes(out, type, unknown);
    std::erase_if(symbols, [](const auto& symbol) { return !symbol.second.defined(); });
  }

  // out(args) = value; where there are tiles, with the tile's place for args and tile · size + position in value.
  void define_output(const Expr& value) {
    std::vector<Var> args;
    for (size_t i = result.output_vars.size(); i-- > 0;) args.push_back(result.output_vars[i].var);
    result.output = Func("out");
    if (result.tiles.empty()) {
      result.output(args) = value;
      return;
    }
    std::vector<Expr> place(args.begin(), args.end());
    std::map<std::string, Expr> counted;
    for (const Tiles& tiles : result.tiles) {
      const Halide::RDom r(0, tiles.size, 0, tiles.count(), "tiles");
      result.tile_vars.push_back({r.y, r.x});
      for (size_t i = 0; i < args.size(); ++i) {
        const OutputVar& v = result.output_vars[args.size() - 1 - i];
        if (v.block || v.dim != static_cast<int>(tiles.dim)) continue;
        place[i] = tiles.start(r.y) + r.x;
        counted[args[i].name()] = r.y * tiles.size + r.x;
      }
    }
    result.output(args) = Halide::undef(value.type());
    result.output(place) = Halide::Internal::substitute(counted, value);
  }

  void add_output() {
    const ValueId out = kernel.graph.outputs[0];
    const Type& type = kernel.graph[out].type;
    const Layout& layout = type.layout;
    const Extents shape = type.extents();
    const Extents physical = physical_extents(layout, shape);
    Index index(shape.size(), Expr(0));
    std::vector<Expr> strides(shape.size());
    auto add_var = [&](int dim, int64_t step, bool block, int64_t extent) {
      Var var(block ? fmt::format("b{}", dim) : fmt::format("d{}", dim));
      index[dim] += step == 1 ? Expr(var) : var * static_cast<int>(step);
      const bool varies = !block && kernel.varies(out, static_cast<size_t>(dim));
      result.output_vars.push_back({var, dim, block, extent, varies, Expr()});
    };
    std::vector<int64_t> remaining(shape.size());
    for (size_t d = 0; d < shape.size(); ++d) remaining[d] = layout.block(static_cast<int>(d));
    for (size_t i = 0; i < physical.size(); ++i) {
      if (layout.plain()) {
        add_var(static_cast<int>(i), 1, false, physical[i]);
      } else if (i < shape.size()) {
        add_var(layout.order[i], remaining[layout.order[i]], false, physical[i]);
      } else {
        const Layout::Block& b = layout.blocks[i - shape.size()];
        remaining[b.dim] /= b.size;
        add_var(b.dim, remaining[b.dim], true, b.size);
      }
    }
    Expr value = operands[out.index].at(index);
    if (type.dtype == DType::boolean) value = Halide::cast<uint8_t>(value);
    for (size_t d = 0; d < shape.size(); ++d)
      if (shape[d] % layout.block(static_cast<int>(d)) != 0)
        value = Halide::select(index[d] < static_cast<int>(shape[d]), value, Halide::Internal::make_zero(value.type()));
    define_output(value);
    check_elements(physical);
    auto buffer = result.output.output_buffer();
    const std::vector<Expr> loops =
        physical_sizes(type, sizes(out, type, [&](size_t d) { return buffer.dim(loop_of(type, d)).extent(); }));
    fix_dims(buffer, loops);
    for (size_t i = 0; i < loops.size(); ++i) {
      result.output_vars[i].size = loops[i];
      result.output.bound(result.output_vars[i].var, 0, loops[i]);
    }
  }
};

}  // namespace

const Stage* Lowered::stage(std::string_view name) const {
  for (const Stage& s : stages)
    if (s.name == name) return &s;
  return nullptr;
}

Lowered lower(const Kernel& kernel, const OpTable& ops, const Packings& packings, const KnobValues& knobs) {
  Lowering lowering{kernel, ops, knobs, {}, {}};
  lowering.add_inputs(packings);
  for (const Node& node : kernel.graph.nodes) lowering.add_node(node);
  lowering.add_output();
  lowering.result.varies = !kernel.symbols.empty();
  return std::move(lowering.result);
}

}  // namespace oc
