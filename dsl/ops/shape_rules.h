// Type rules and small helpers that several ops share.
#pragma once

#include <span>

#include "graph/op_set.h"
#include "opencompiler/dsl.h"

namespace oc {

// numpy broadcasting of two shapes; UserError names the extents that do not agree. An unknown dim broadcasts with 1 and
// with itself; against a known extent above 1 the result is that extent.
[[nodiscard]] Shape broadcast_shapes(const Shape& a, const Shape& b);
// Position of the output element `index` in a tensor of `shape` broadcast to it: for host evaluators, plain layout.
[[nodiscard]] int64_t broadcast_offset(std::span<const int64_t> index, std::span<const int64_t> shape);
// Calls visit(index, linear) for every element of `shape`, row-major.
void for_each_index(std::span<const int64_t> shape,
                    const std::function<void(const Extents& index, int64_t linear)>& visit);
// UserError unless 0 ≤ axis < rank.
void check_axis(std::string_view op, int64_t axis, size_t rank);
// UserError unless operand 0 is of a floating-point type.
void require_float(const NodeView& node);
// Copies element `from` of `source` to element `to` of `target`; both plain and of one dtype.
void copy_element(const Tensor& source, int64_t from, Tensor& target, int64_t to);

}  // namespace oc
