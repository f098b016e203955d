#include "autotune/provenance.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "generators/build.h"
#include "schedules/schedule.h"

namespace oc {
namespace {

constexpr int64_t kMostCacheBytes = int64_t{1} << 40;  // of a machine that is described in earnest

bool sound_cache(int64_t bytes) {
  return bytes > 0 && bytes <= kMostCacheBytes;
}

}  // namespace

std::optional<Target> target_on(const std::string& features, const Machine& machine) {
  const int64_t caches[] = {machine.l1_bytes, machine.l2_bytes, machine.l3_bytes};
  if (!std::ranges::all_of(caches, sound_cache)) return std::nullopt;
  try {
    Target target = parse_target(features);
    if (target.features != machine.features) return target;  // not its own: with caches of the typical
    target.l1_bytes = machine.l1_bytes;
    target.l2_bytes = machine.l2_bytes;
    target.l3_bytes = machine.l3_bytes;
    return target;
  } catch (const UserError&) {  // rows are data
    return std::nullopt;
  }
}

BuildRow current_build() {
  std::string languages;
  for (const Family family : kFamilies) {
    const FamilyInfo& info = family_info(family);
    languages += fmt::format("{} v{}", family_name(family), info.version);
    for (const Argument& argument : info.grammar)
      languages +=
          fmt::format(" {}:{}..{}:{}", argument.name, argument.min, argument.max, fmt::join(argument.words, ","));
  }
  return {toolchain_id(), OC_VERSION, content_hash(languages)};
}

const std::string& current_build_id() {
  static const std::string kId = row_id(current_build());
  return kId;
}

}  // namespace oc
