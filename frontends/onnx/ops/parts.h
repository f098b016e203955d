// Small pieces that composites are made of.
#pragma once

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

[[nodiscard]] ValueId times(Call& n, ValueId a, double b);
[[nodiscard]] ValueId plus(Call& n, ValueId a, double b);
[[nodiscard]] ValueId bounded(Call& n, ValueId x, double low, double high);
// 0, 1, …, count − 1 as i64 along dim `axis` of a tensor of `rank` dims, the others 1.
[[nodiscard]] ValueId positions(Call& n, int64_t count, int64_t axis, int64_t rank);
// `size` elements along `axis`, from `start` on, `step` apart.
[[nodiscard]] ValueId part(Call& n, ValueId x, int64_t axis, int64_t start, int64_t size, int64_t step = 1);
// Element `index` along `axis`, without that axis.
[[nodiscard]] ValueId item(Call& n, ValueId x, int64_t axis, int64_t index);
// Tensors of one type after one another along `axis`, which they have (joined) or which is made for them (stacked).
[[nodiscard]] ValueId joined(Call& n, const Values& tensors, int64_t axis);
[[nodiscard]] ValueId stacked(Call& n, const Values& tensors, int64_t axis);
// The elements of x at `indices` along `axis`, all other coordinates their own (GatherElements); index.cpp has it.
[[nodiscard]] ValueId take_along(Call& n, ValueId x, ValueId indices, int64_t axis);

// UserError unless input `i` is a vector of so many elements.
void check_vector(const Call& n, size_t i, std::string_view what, int64_t count);
// Before opset 7 an attribute says whether a node is to train or to infer; UserError unless it infers.
void demand_inference(const Call& n);

}  // namespace oc::from_onnx
