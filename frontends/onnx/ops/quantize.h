// Products with numbers in 8 bits whose other operand is quantised while the model runs.
#pragma once

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

// x = (values − zero) · scale, of one scale and zero point.
struct Quantised {
  ValueId values, scale, zero;
};
// As DynamicQuantizeLinear does it: to u8 with scale and zero point from the range of x, 0 included.
[[nodiscard]] Quantised quantised_by_range(Call& n, ValueId x);

// Numbers in 8 bits and what they stand for: (values − zero) · scale.
struct Weights8 {
  ValueId values;  // i32 [k, columns], its zero points taken off
  ValueId scale;   // f32 [] or [columns]
};
// rows · weights, f32 [m, columns]: the rows [m, k] are quantised by their range, the sums of products are exact.
[[nodiscard]] ValueId product_with(Call& n, ValueId rows, const Weights8& weights);
// values − zero as i32, for a zero that broadcasts against them; invalid: 0.
[[nodiscard]] ValueId without_zero(Call& n, ValueId values, ValueId zero);

}  // namespace oc::from_onnx
