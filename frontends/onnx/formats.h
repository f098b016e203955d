// Element types of ONNX that the graph has no dtype for: floats of 8 and 4 bits, integers of 4 and 2. An element is a
// byte there: the bits of a float as u8, the number itself of an integer as i8 or u8. Ops that move elements take them
// as they are; casts and quantisation convert; everything else refuses them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

struct Format {
  int32_t onnx_type;
  std::string_view name;
  DType stored;
  int bits;
  // Of floats: bits of the mantissa, bias of the exponent, codes of the largest number, of what is beyond it and of
  // NaN.
  int mantissa = 0, bias = 0;
  int largest = 0, beyond = 0, nan = 0;
  bool negative_zero = true;

  [[nodiscard]] bool is_float() const { return stored == DType::u8 && largest > 0; }
};

// Null: the type is none of these.
[[nodiscard]] const Format* find_format(int64_t onnx_type);
// Of strings, which texts.h is about: no format of numbers, and none that find_format gives.
[[nodiscard]] const Format& text_format();
// What values of a declared type have: one of the above, or null.
[[nodiscard]] const Format* declared_format(int64_t onnx_type);
// The dtype that holds elements of the type; UserError when there is none.
[[nodiscard]] DType stored_dtype(int64_t onnx_type);
// The elements of a byte string that packs them, the first in the lowest bits; `count` must fit.
[[nodiscard]] std::vector<std::byte> unpacked(const Format& format, std::string_view packed, int64_t count);

// The numbers behind the bytes: f32 of a float, the value itself of an integer.
[[nodiscard]] ValueId decoded(Call& n, ValueId x, const Format& format);
// Numbers of any dtype as bytes. A float rounds to the nearest, halves to even; beyond the largest number it becomes
// that if `saturate`, else infinity or NaN. An integer keeps the lowest bits.
[[nodiscard]] ValueId encoded(Call& n, ValueId x, const Format& format, bool saturate);

// Do the ops of this name move elements without looking at them, and give what input 0 is?
[[nodiscard]] bool moves_elements(std::string_view op);
// Do they hand values on as they are, whatever their formats?
[[nodiscard]] bool hands_on_formats(std::string_view op);
// Do they know formats of numbers?
[[nodiscard]] bool converts_formats(std::string_view op);
// Do they know strings?
[[nodiscard]] bool takes_texts(std::string_view op);

}  // namespace oc::from_onnx
