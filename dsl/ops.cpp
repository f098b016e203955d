#include "base/error.h"
#include "opencompiler/dsl.h"

namespace oc {

#define OC_OP(name) const OpInfo& op_##name();
#include "dsl/ops.inc"
#undef OC_OP

const OpTable& builtin_ops() {
  static const OpTable table = [] {
    OpTable ops;
    for (const OpInfo* info : {
#define OC_OP(name) &op_##name(),
#include "dsl/ops.inc"
#undef OC_OP
         })
      ops.emplace(info->name, info);
    return ops;
  }();
  return table;
}

OpSet op_set(const OpTable& ops) {
  return {ops.begin(), ops.end()};
}

const OpInfo& op_info(const OpTable& ops, std::string_view op) {
  const auto found = ops.find(op);
  if (found == ops.end()) internal_error("unknown op '{}'", op);
  return *found->second;
}

}  // namespace oc
