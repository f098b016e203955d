// A lock: what is printed of it reads back as the same, and its workloads and schedules are data, too.
#include "generators/lock.h"

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "dsl/kernel.h"
#include "opencompiler/dsl.h"
#include "schedules/schedule.h"
#include "tests/fuzz/target.h"

namespace {

// The lock with hashes that match its workloads: else nearly every mutation would end at their check.
std::string signed_lock(std::string_view text) {
  nlohmann::json lock = nlohmann::json::parse(text, nullptr, false);
  if (!lock.is_object() || !lock.contains("kernels") || !lock["kernels"].is_array()) return std::string(text);
  for (nlohmann::json& kernel : lock["kernels"])
    if (kernel.is_object() && kernel.contains("workload") && kernel["workload"].is_string())
      kernel["workload_hash"] = oc::content_hash(kernel["workload"].get<std::string>());
  return lock.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return oc::fuzz::feed(data, size, [](std::string_view text) {
    const oc::Lock lock = oc::parse_lock(signed_lock(text), "model.lock");
    const std::string printed = oc::print_lock(lock);  // sorted
    oc::fuzz::require(oc::print_lock(oc::parse_lock(printed, "model.lock")) == printed, "prints as another lock");
    static const oc::Target target = oc::parse_target("x86-64-avx2");
    for (const oc::LockEntry& entry : lock.entries) {
      try {
        const oc::Kernel kernel = oc::analyse({entry.workload}, oc::builtin_ops());
        (void)oc::fitting_schedule(kernel, target, entry.schedule);
      } catch (const oc::UserError&) {
      }
    }
  });
}
