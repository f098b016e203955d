// Host arithmetic on elements of any dtype, for evaluators: a value is read as a wide integer or a double, computed,
// and stored in the result's dtype.
#pragma once

#include "base/tensor.h"

namespace oc {

struct Scalar {
  bool is_float = false;
  int64_t i = 0;
  double f = 0;
  [[nodiscard]] double real() const { return is_float ? f : static_cast<double>(i); }
  [[nodiscard]] int64_t integer() const;  // floats truncate; out of range saturates
};

[[nodiscard]] Scalar load_scalar(const Tensor& tensor, int64_t element);
void store_scalar(Tensor& tensor, int64_t element, const Scalar& value);

}  // namespace oc
