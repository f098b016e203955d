#include "frontends/onnx/formats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

using ::onnx::TensorProto;

constexpr std::array kFormats{
    Format{TensorProto::FLOAT8E4M3FN, "fp8e4m3fn", DType::u8, 8, 3, 7, 0x7e, 0x7f, 0x7f},
    Format{TensorProto::FLOAT8E4M3FNUZ, "fp8e4m3fnuz", DType::u8, 8, 3, 8, 0x7f, 0x80, 0x80, false},
    Format{TensorProto::FLOAT8E5M2, "fp8e5m2", DType::u8, 8, 2, 15, 0x7b, 0x7c, 0x7e},
    Format{TensorProto::FLOAT8E5M2FNUZ, "fp8e5m2fnuz", DType::u8, 8, 2, 16, 0x7f, 0x80, 0x80, false},
    Format{TensorProto::FLOAT8E8M0, "fp8e8m0", DType::u8, 8, 0, 127, 0xfe, 0xfe, 0xff},
    Format{TensorProto::FLOAT4E2M1, "float4e2m1", DType::u8, 4, 1, 1, 0x7, 0x7, 0x8},
    Format{TensorProto::UINT4, "uint4", DType::u8, 4},
    Format{TensorProto::INT4, "int4", DType::i8, 4},
    Format{TensorProto::UINT2, "uint2", DType::u8, 2},
    Format{TensorProto::INT2, "int2", DType::i8, 2},
};

bool is_scale(const Format& f) {
  return f.mantissa == 0;  // powers of two: no sign, no zero
}

double number_of(const Format& f, int code) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (is_scale(f)) return code == f.nan ? kNan : std::ldexp(1.0, code - f.bias);
  const int sign_bit = 1 << (f.bits - 1), magnitude = code & (sign_bit - 1);
  const double sign = (code & sign_bit) != 0 ? -1 : 1;
  if (!f.negative_zero && code == f.nan) return kNan;
  if (magnitude > f.largest) return magnitude == f.beyond && f.beyond != f.nan ? sign * HUGE_VAL : kNan;
  const int exponent = magnitude >> f.mantissa, fraction = magnitude & ((1 << f.mantissa) - 1);
  const int significand = exponent == 0 ? fraction : fraction + (1 << f.mantissa);
  return sign * std::ldexp(significand, std::max(exponent, 1) - f.bias - f.mantissa);
}

// Integer arithmetic on i32 values.
struct Bits {
  Call& n;
  [[nodiscard]] ValueId number(int64_t value) const { return n.scalar(DType::i32, static_cast<double>(value)); }
  [[nodiscard]] ValueId op(std::string_view name, ValueId a, int64_t b) const { return n.emit(name, {a, number(b)}); }
  [[nodiscard]] ValueId choose(ValueId c, ValueId a, ValueId b) const { return n.emit("where", {c, a, b}); }
};

constexpr int64_t kInfinity = 0x7f800000;

// Codes of f32 magnitudes, `bits` as i32 without the sign. What is below the smallest normal number counts in steps of
// the smallest number; above it the mantissa is rounded where it is.
ValueId rounded_magnitude(const Bits& b, ValueId bits, const Format& f) {
  Call& n = b.n;
  const int cut = 23 - f.mantissa;
  const ValueId odd = b.op("bit_and", b.op("shift_right", bits, cut), 1);
  const ValueId up = n.emit("add", {b.op("add", bits, (int64_t{1} << (cut - 1)) - 1), odd});
  const ValueId normal = b.op("sub", b.op("shift_right", up, cut), int64_t{127 - f.bias} << f.mantissa);
  const ValueId value = n.emit("bitcast", {bits}, {{"to", std::string("f32")}});
  const ValueId steps = n.emit("mul", {value, n.like(value, std::ldexp(1.0, f.bias - 1 + f.mantissa))});
  const ValueId small = n.cast(n.emit("round", {steps}), DType::i32);
  return b.choose(b.op("less", bits, int64_t{127 + 1 - f.bias} << 23), small, normal);
}

ValueId encoded_float(Call& n, ValueId x, const Format& f, bool saturate) {
  const Bits b{n};
  const ValueId raw = n.emit("bitcast", {n.cast(x, DType::f32)}, {{"to", std::string("i32")}});
  const ValueId bits = b.op("bit_and", raw, 0x7fffffff);
  const ValueId is_nan = b.op("greater", bits, kInfinity);
  if (is_scale(f)) {
    const ValueId up = b.op("shift_right", b.op("add", bits, 0x7fffff), 23);
    return n.cast(b.choose(is_nan, b.number(f.nan), b.op("min", up, f.largest)), DType::u8);
  }
  ValueId code = rounded_magnitude(b, bits, f);
  const int over = saturate ? f.largest : f.beyond;
  code = b.choose(b.op("greater", code, f.largest), b.number(over), code);
  const bool one_nan = !f.negative_zero || f.bits == 4;  // without a sign of its own
  if (!one_nan) code = b.choose(is_nan, b.number(f.nan), code);
  const ValueId sign = b.op("bit_and", b.op("shift_right", raw, 31), int64_t{1} << (f.bits - 1));
  ValueId whole = n.emit("bit_or", {code, sign});
  if (!f.negative_zero) whole = b.choose(b.op("equal", code, 0), code, whole);
  if (one_nan) whole = b.choose(is_nan, b.number(f.nan), whole);
  return n.cast(whole, DType::u8);
}

// The lowest bits, the highest of them the sign of a signed type.
ValueId encoded_integer(Call& n, ValueId x, const Format& f) {
  const Bits b{n};
  const ValueId low = b.op("bit_and", n.cast(x, DType::i32), (int64_t{1} << f.bits) - 1);
  if (f.stored == DType::u8) return n.cast(low, DType::u8);
  const int64_t sign = int64_t{1} << (f.bits - 1);
  return n.cast(b.op("sub", b.op("bit_xor", low, sign), sign), DType::i8);
}

}  // namespace

const Format* find_format(int64_t onnx_type) {
  const auto found = std::ranges::find(kFormats, onnx_type, &Format::onnx_type);
  return found == kFormats.end() ? nullptr : &*found;
}

const Format& text_format() {
  static constexpr Format kText{TensorProto::STRING, "string", DType::u32, 32};
  return kText;
}

const Format* declared_format(int64_t onnx_type) {
  return onnx_type == TensorProto::STRING ? &text_format() : find_format(onnx_type);
}

DType stored_dtype(int64_t onnx_type) {
  const Format* format = find_format(onnx_type);
  return format != nullptr ? format->stored : known_dtype(onnx_type);
}

std::vector<std::byte> unpacked(const Format& format, std::string_view packed, int64_t count) {
  std::vector<std::byte> result;
  const int per_byte = 8 / format.bits, mask = (1 << format.bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(packed[static_cast<size_t>(i / per_byte)]);
    int element = byte >> (i % per_byte * format.bits) & mask;
    if (format.stored == DType::i8 && element > mask / 2) element -= mask + 1;
    result.push_back(static_cast<std::byte>(element));
  }
  return result;
}

ValueId decoded(Call& n, ValueId x, const Format& format) {
  if (!format.is_float()) return x;
  Tensor table = make_tensor(DType::f32, {256});
  for (int code = 0; code < 256; ++code)
    table.as<float>()[static_cast<size_t>(code)] =
        static_cast<float>(number_of(format, code & ((1 << format.bits) - 1)));
  return n.emit("gather", {n.constant(std::move(table)), n.cast(x, DType::i32)}, {{"axis", int64_t{0}}});
}

ValueId encoded(Call& n, ValueId x, const Format& format, bool saturate) {
  return format.is_float() ? encoded_float(n, x, format, saturate) : encoded_integer(n, x, format);
}

bool moves_elements(std::string_view op) {
  constexpr std::array<std::string_view, 22> kOps{
      "Compress",       "Concat",   "DepthToSpace", "Expand",       "Flatten", "Gather",
      "GatherElements", "GatherND", "Identity",     "Pad",          "Reshape", "ReverseSequence",
      "Shape",          "Size",     "Slice",        "SpaceToDepth", "Split",   "Squeeze",
      "TensorScatter",  "Tile",     "Transpose",    "Unsqueeze"};
  return std::ranges::find(kOps, op) != kOps.end();
}

bool hands_on_formats(std::string_view op) {
  constexpr std::array<std::string_view, 14> kOps{
      "ConcatFromSequence", "Constant",       "Loop",        "Optional",          "OptionalGetElement",
      "OptionalHasElement", "Scan",           "SequenceAt",  "SequenceConstruct", "SequenceErase",
      "SequenceInsert",     "SequenceLength", "SequenceMap", "SplitToSequence"};
  return std::ranges::find(kOps, op) != kOps.end();
}

bool converts_formats(std::string_view op) {
  return op == "Cast" || op == "CastLike" || op == "DequantizeLinear" || op == "QuantizeLinear";
}

bool takes_texts(std::string_view op) {
  constexpr std::array<std::string_view, 6> kOps{"Equal",       "LabelEncoder", "StringConcat", "StringNormalizer",
                                                 "StringSplit", "Where"};
  return std::ranges::find(kOps, op) != kOps.end();
}

}  // namespace oc::from_onnx
