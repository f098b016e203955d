// Ops on the bits of integers: bit_and, bit_or, bit_xor, bit_not, shift_left, shift_right (ONNX Bitwise…, BitShift),
// and bitcast {to}, which reads the bits of one type as another of the same width. A shift by a negative number or by
// the width and more leaves what the sign fills in: 0, or −1 to the right of a negative number.
#include <algorithm>

#include "base/error.h"
#include "dsl/ops/elementwise.h"

namespace oc {
namespace {

using Halide::Expr;

std::vector<Type> infer(const NodeView& node) {
  const Type& a = node.in(0);
  if (dtype_is_float(a.dtype) || a.dtype == DType::boolean)
    user_error("{} of {}: needs integers", node.node.op, dtype_name(a.dtype));
  if (node.inputs.size() == 1) return {{a.dtype, a.shape, {}}};
  const Type& b = node.in(1);
  if (a.dtype != b.dtype)
    user_error("{}: operands of dtypes {} and {}", node.node.op, dtype_name(a.dtype), dtype_name(b.dtype));
  return {{a.dtype, broadcast_shapes(a.shape, b.shape), {}}};
}

// x: operands; `bits`: their width.
using Host = int64_t (*)(const std::vector<Scalar>& x, int bits, bool is_unsigned);

OpInfo make_bits(std::string name, int inputs, Expr (*define)(OpCall&), Host host) {
  OpInfo op = elementwise_op(std::move(name), inputs);
  op.cheap = true;
  op.infer = infer;
  op.define = define;
  op.evaluate = [host](const NodeView& node) {
    const Type out = infer(node)[0];
    const auto bits = static_cast<int>(8 * dtype_size(out.dtype));
    const bool is_unsigned = dtype_name(out.dtype)[0] == 'u';
    return evaluate_elementwise(
        node, out, [&](const std::vector<Scalar>& x) { return Scalar{false, host(x, bits, is_unsigned), 0}; });
  };
  op.cases = elementwise_cases(inputs, -40, 40, DType::i32);
  for (const DType dtype : {DType::u8, DType::i64}) {
    const OpCase::In in{.dtype = dtype, .shape = {3, 33}, .low = dtype == DType::u8 ? 0.0 : -80.0, .high = 80};
    op.cases.push_back(
        {.inputs = std::vector<OpCase::In>(static_cast<size_t>(inputs), in), .attrs = {}, .out_layout = {}});
  }
  return op;
}

Expr number(const Halide::Type& type, int64_t value) {
  return Halide::Internal::make_const(type, value);
}

// How far to shift, of an unsigned type, and whether that is less than the width.
struct Shift {
  explicit Shift(const Expr& by)
      : valid(by >= number(by.type(), 0) && by < number(by.type(), by.type().bits())),
        by(Halide::cast(by.type().with_code(Halide::Type::UInt), Halide::select(valid, by, number(by.type(), 0)))) {}
  Expr valid, by;
};

Expr define_left(OpCall& call) {
  const Expr x = call.in(0);
  const Shift shift(call.in(1));
  const Expr bits = Halide::cast(shift.by.type(), x) << shift.by;
  return Halide::select(shift.valid, Halide::cast(x.type(), bits), number(x.type(), 0));
}

Expr define_right(OpCall& call) {
  const Expr x = call.in(0);
  const Shift shift(call.in(1));
  const Expr zero = number(x.type(), 0);
  const Expr filled = x.type().is_uint() ? zero : Halide::select(x < zero, number(x.type(), -1), zero);
  return Halide::select(shift.valid, x >> shift.by, filled);
}

bool in_range(const Scalar& by, int bits) {
  return by.i >= 0 && by.i < bits;  // of u64 the largest numbers look negative
}

int64_t host_left(const std::vector<Scalar>& x, int bits, bool) {
  return in_range(x[1], bits) ? static_cast<int64_t>(static_cast<uint64_t>(x[0].i) << x[1].i) : 0;
}

int64_t host_right(const std::vector<Scalar>& x, int bits, bool is_unsigned) {
  if (!in_range(x[1], bits)) return x[0].i < 0 && !is_unsigned ? -1 : 0;
  return is_unsigned ? static_cast<int64_t>(static_cast<uint64_t>(x[0].i) >> x[1].i) : x[0].i >> x[1].i;
}

}  // namespace

#define BITS(name, inputs, define, host)                               \
  const OpInfo& op_##name() {                                          \
    static const OpInfo info = make_bits(#name, inputs, define, host); \
    return info;                                                       \
  }
#define FORMULA(formula) [](OpCall& call) -> Expr { return formula; }
#define ON_HOST(formula) [](const std::vector<Scalar>& x, int, bool) -> int64_t { return formula; }

BITS(bit_and, 2, FORMULA(call.in(0) & call.in(1)), ON_HOST(x[0].i& x[1].i))
BITS(bit_or, 2, FORMULA(call.in(0) | call.in(1)), ON_HOST(x[0].i | x[1].i))
BITS(bit_xor, 2, FORMULA(call.in(0) ^ call.in(1)), ON_HOST(x[0].i ^ x[1].i))
BITS(bit_not, 1, FORMULA(~call.in(0)), ON_HOST(~x[0].i))
BITS(shift_left, 2, define_left, host_left)
BITS(shift_right, 2, define_right, host_right)
#undef BITS
#undef FORMULA
#undef ON_HOST

namespace {

Type infer_bitcast(const NodeView& node) {
  const std::optional<DType> to = parse_dtype(node.attrs().text("to"));
  const DType from = node.in(0).dtype;
  if (!to || *to == DType::boolean || dtype_size(*to) != dtype_size(from))
    user_error("bitcast of {} to '{}': needs numbers of the same width", dtype_name(from), node.attrs().text("to"));
  return {*to, node.in(0).shape, {}};
}

Halide::Type bit_type(DType dtype) {
  const auto bits = static_cast<int>(8 * dtype_size(dtype));
  if (dtype == DType::bf16) return Halide::BFloat(bits);
  if (dtype_is_float(dtype)) return Halide::Float(bits);
  return dtype_name(dtype)[0] == 'u' ? Halide::UInt(bits) : Halide::Int(bits);
}

}  // namespace

const OpInfo& op_bitcast() {
  static const OpInfo info = [] {
    OpInfo op = elementwise_op("bitcast", 1);
    op.cheap = true;
    op.attrs = {{"to", AttrSpec::Type::text, true}};
    op.infer = [](const NodeView& node) -> std::vector<Type> { return {infer_bitcast(node)}; };
    op.define = [](OpCall& call) {
      const Expr x = call.in(0).type().is_bool() ? Halide::cast<uint8_t>(call.in(0)) : call.in(0);
      return Halide::reinterpret(bit_type(call.out.dtype), x);
    };
    op.evaluate = [](const NodeView& node) {
      Tensor result = *node.constants[0];
      result.dtype = infer_bitcast(node).dtype;
      return std::vector<Tensor>{std::move(result)};
    };
    for (OpCase& c : elementwise_cases(1, -4, 4)) {
      c.attrs = {{"to", std::string("i32")}};
      op.cases.push_back(c);
    }
    return op;
  }();
  return info;
}

}  // namespace oc
