#include "generators/manifest.h"

#include <nlohmann/json.hpp>
#include <set>

#include "generators/build.h"
#include "runtime/embedded/abi.h"

namespace oc {

using nlohmann::json;

namespace {

json tensors(const std::vector<TensorInterface>& list) {
  json result = json::array();
  for (const TensorInterface& t : list)
    result.push_back({{"name", t.name}, {"parameter", t.c_name}, {"dtype", dtype_name(t.dtype)}, {"shape", t.shape}});
  return result;
}

json axes(const Interface& interface) {
  json result = json::array();
  for (const AxisInterface& axis : interface.axes) {
    json dims = json::array();
    for (const auto& [input, dim] : axis.places)
      dims.push_back({{"input", interface.inputs[input].name}, {"dim", dim}});
    result.push_back({{"name", axis.name},
                      {"parameter", axis.c_name},
                      {"low", axis.low},
                      {"high", axis.high},
                      {"step", axis.step},
                      {"dims", dims}});
  }
  return result;
}

}  // namespace

std::string print_manifest(const Interface& interface, const Target& target, std::span<const ShapedPlan> plans,
                           std::span<const CpuNeed> needs, size_t weights_bytes, int default_threads) {
  std::set<std::string> features;
  for (const CpuNeed& need : needs) features.insert(need.name);
  json metadata = json::object();
  for (const MetadataInterface& entry : interface.metadata) metadata[entry.key] = entry.value;
  const json manifest = {{"name", interface.name},
                         {"abi_version", OC_ABI_VERSION},
                         {"toolchain", toolchain_id()},
                         {"target", target.name()},
                         {"cpu_features", features},
                         {"inputs", tensors(interface.inputs)},
                         {"outputs", tensors(interface.outputs)},
                         {"axes", axes(interface)},
                         {"arena_bytes", most_arena_bytes(plans)},
                         {"weights_bytes", weights_bytes},
                         {"steps", plans.back().plan.steps.size()},
                         {"default_threads", default_threads},
                         {"metadata", metadata}};
  return manifest.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace oc
