// The table of ONNX ops, from ops.inc.
#include <algorithm>
#include <array>
#include <unordered_map>

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

#define OC_ONNX_OP(domain, name, function, op) Values function(Call& n);
#include "frontends/onnx/ops.inc"
#undef OC_ONNX_OP

namespace {

constexpr OpRow kRows[] = {
#define OC_ONNX_OP(domain, name, function, op) {domain, #name, function, op},
#include "frontends/onnx/ops.inc"
#undef OC_ONNX_OP
};

}  // namespace

const OpRow* find_op(std::string_view domain, std::string_view name) {
  static const auto rows = [] {
    std::unordered_map<std::string_view, std::vector<const OpRow*>> table;
    for (const OpRow& row : kRows) table[row.name].push_back(&row);
    return table;
  }();
  const auto found = rows.find(name);
  if (found == rows.end()) return nullptr;
  const auto row = std::ranges::find(found->second, domain, &OpRow::domain);
  return row == found->second.end() ? nullptr : *row;
}

}  // namespace oc::from_onnx
