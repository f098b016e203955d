// Host arithmetic on elements of any dtype, for evaluators: a value is read as a wide integer or a double, computed,
// and stored in the result's dtype.
#pragma once

#include "base/tensor.h"

namespace oc {

struct Scalar {
  bool is_float = false;
  int64_t i = 0;
  double f = 0;
  bool is_unsigned = false;  // of u64, whose bits `i` holds; what is narrower fits
  [[nodiscard]] double real() const {
    return is_float ? f : is_unsigned ? static_cast<double>(static_cast<uint64_t>(i)) : static_cast<double>(i);
  }
  [[nodiscard]] int64_t integer() const;  // floats truncate; out of range saturates
};

[[nodiscard]] Scalar load_scalar(const Tensor& tensor, int64_t element);
// The largest or smallest value of an integer dtype.
[[nodiscard]] Scalar integer_bound(DType dtype, bool largest);
void store_scalar(Tensor& tensor, int64_t element, const Scalar& value);

}  // namespace oc
