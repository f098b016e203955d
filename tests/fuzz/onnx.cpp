// An ONNX model: read and imported, which ends with the verifier if it is taken.
#include "frontends/onnx/import.h"
#include "opencompiler/dsl.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return oc::fuzz::feed(data, size, [](std::string_view bytes) {
    static const oc::OpSet ops = oc::op_set(oc::builtin_ops());
    (void)oc::import_onnx_bytes(bytes, {}, "model.onnx", ops, {.fold_budget_bytes = 16 << 20});
  });
}
