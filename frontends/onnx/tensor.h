// TensorProto → Tensor.
#pragma once

#include <onnx-ml.pb.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "base/tensor.h"

namespace oc::from_onnx {

// Our name for an ONNX element type; none for those without one (string, complex, fp8, 4-bit …).
[[nodiscard]] std::optional<DType> to_dtype(int64_t onnx_type);
// The same or a UserError with the type's name.
[[nodiscard]] DType known_dtype(int64_t onnx_type);

// UserError on a negative dim.
[[nodiscard]] Extents checked_shape(const ::onnx::TensorProto& proto);

// Takes the bytes out of `proto` (its data is empty afterwards): a model's weights exist twice for one tensor at a
// time. Sizes are checked before anything is allocated. UserError without the tensor's name: the caller adds it.
[[nodiscard]] std::shared_ptr<const Tensor> take_tensor(::onnx::TensorProto& proto,
                                                        const std::filesystem::path& folder);

}  // namespace oc::from_onnx
