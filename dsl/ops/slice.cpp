// slice {starts, sizes, steps}: full rank, normalised by the importer; out[i] = in[starts + i·steps]. Steps may be
// negative.
#include "base/error.h"
#include "dsl/ops/movement.h"

namespace oc {
namespace {

struct Slice {
  Extents starts, sizes, steps;
};

Slice slice_of(const NodeView& node) {
  const Slice s{node.attrs().integers("starts"), node.attrs().integers("sizes"), node.attrs().integers("steps")};
  const Shape& shape = node.in(0).shape;
  if (s.starts.size() != shape.size() || s.sizes.size() != shape.size() || s.steps.size() != shape.size())
    user_error("slice: starts, sizes and steps must have {} entries", shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!shape[d].known() || s.sizes[d] == 0) continue;
    int64_t last = 0;
    if (s.sizes[d] < 0 || __builtin_mul_overflow(s.sizes[d] - 1, s.steps[d], &last) ||
        __builtin_add_overflow(s.starts[d], last, &last))
      user_error("slice: {} elements from {} on, {} apart", s.sizes[d], s.starts[d], s.steps[d]);
    if (s.starts[d] < 0 || s.starts[d] >= shape[d].extent || last < 0 || last >= shape[d].extent)
      user_error("slice: elements {} to {} of dim {}, which has {}", s.starts[d], last, d, shape[d].extent);
  }
  return s;
}

std::vector<Type> infer(const NodeView& node) {
  const Slice s = slice_of(node);
  return {make_type(node.in(0).dtype, s.sizes)};
}

}  // namespace

const OpInfo& op_slice() {
  static const OpInfo info = [] {
    OpInfo op = movement_op("slice", 1, 1);
    op.attrs = {{"starts", AttrSpec::Type::integers, true},
                {"sizes", AttrSpec::Type::integers, true},
                {"steps", AttrSpec::Type::integers, true}};
    op.infer = infer;
    op.takes_sizes = true;
    op.alike = [](const NodeView& a, const NodeView& b) {
      const auto same = [&](const char* name) { return a.attrs().integers(name) == b.attrs().integers(name); };
      return same("starts") && same("steps");
    };
    op.define = [](OpCall& call) {
      const auto starts = call.attrs().integers("starts"), steps = call.attrs().integers("steps");
      Index at;
      for (size_t d = 0; d < starts.size(); ++d)
        at.push_back(call.index[d] * static_cast<int>(steps[d]) + static_cast<int>(starts[d]));
      return call.inputs[0].at(at);
    };
    op.evaluate = [](const NodeView& node) {
      const Slice s = slice_of(node);
      return evaluate_movement(node, infer(node)[0], [&](Extents index) {
        for (size_t d = 0; d < index.size(); ++d) index[d] = s.starts[d] + index[d] * s.steps[d];
        return row_major(index, node.constants[0]->shape);
      });
    };
    auto add = [&](Extents shape, Extents starts, Extents sizes, Extents steps) {
      op.cases.push_back(
          {.inputs = {{.shape = std::move(shape)}},
           .attrs = {{"starts", std::move(starts)}, {"sizes", std::move(sizes)}, {"steps", std::move(steps)}},
           .out_layout = {}});
    };
    add({7, 33}, {2, 1}, {3, 31}, {1, 1});
    add({7, 33}, {1, 32}, {3, 17}, {2, -2});
    add({1, 3, 15, 15}, {0, 0, 1, 0}, {1, 3, 7, 8}, {1, 1, 2, 2});
    return op;
  }();
  return info;
}

}  // namespace oc
