#include "base/target.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"

namespace oc {
namespace {

struct FeatureRow {
  std::string_view arch;
  std::string_view name;
  std::string_view implies;  // space separated; applied until nothing changes
};

// Halide's names and rules. Every CPU with AVX-512 has F16C and FMA; AVX2 alone does not promise them.
constexpr std::array kFeatures = std::to_array<FeatureRow>({
    {"x86-64", "sse41", ""},
    {"x86-64", "avx", "sse41"},
    {"x86-64", "f16c", "avx"},
    {"x86-64", "fma", "avx"},
    {"x86-64", "avx2", "avx"},
    {"x86-64", "avxvnni", "avx2"},
    {"x86-64", "avx512", "avx2 f16c fma"},
    {"x86-64", "avx512_skylake", "avx512"},
    {"x86-64", "avx512_cannonlake", "avx512_skylake"},
    {"x86-64", "avx512_zen4", "avx512_cannonlake"},
    {"x86-64", "avx512_zen5", "avx512_zen4 avxvnni"},
    {"x86-64", "avx512_sapphirerapids", "avx512_zen4 avxvnni"},
    {"arm-64", "arm_dot_prod", ""},
    {"arm-64", "arm_fp16", ""},
});

constexpr std::array<std::string_view, 4> kSystems = {"linux", "osx", "android", "windows"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kAliases = {{
    {"x86-64-sse41", "x86-64-linux-sse41"},
    {"x86-64-avx2", "x86-64-linux-avx2-f16c-fma"},
    {"x86-64-avx512", "x86-64-linux-avx512_skylake"},
}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

const FeatureRow* find_feature(std::string_view arch, std::string_view name) {
  const auto row =
      std::ranges::find_if(kFeatures, [&](const FeatureRow& r) { return r.arch == arch && r.name == name; });
  return row == kFeatures.end() ? nullptr : &*row;
}

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  std::string message = fmt::format("target '{}': {}", text, why);
  message += "\n  host";
  for (const auto& [alias, meaning] : kAliases) message += fmt::format("\n  {:<14} = {}", alias, meaning);
  message +=
      "\n  arm-64-linux, arm-64-osx, arm-64-android, x86-64-linux, x86-64-osx, x86-64-windows, each with -feature…";
  for (std::string_view arch : {"x86-64", "arm-64"}) {
    message += fmt::format("\n  features of {}:", arch);
    for (const FeatureRow& row : kFeatures)
      if (row.arch == arch) message += fmt::format(" {}", row.name);
  }
  throw UserError(message);
}

}  // namespace

bool Target::has(std::string_view feature) const {
  return std::ranges::find(features, feature) != features.end();
}

std::string Target::name() const {
  std::string text = fmt::format("{}-{}", arch, os);
  for (const std::string& feature : features) text += "-" + feature;
  return text;
}

std::string Target::triple() const {
  const bool arm = arch == "arm-64";
  if (os == "osx") return arm ? "arm64-apple-macosx11.0.0" : "x86_64-apple-macosx10.15.0";
  if (os == "windows") return arm ? "aarch64-pc-windows-msvc" : "x86_64-pc-windows-msvc";
  if (os == "android") return arm ? "aarch64-unknown-linux-android21" : "x86_64-unknown-linux-android21";
  return arm ? "aarch64-unknown-linux-gnu" : "x86_64-unknown-linux-gnu";
}

void complete_target(Target& target) {
  std::vector<std::string>& features = target.features;
  for (size_t i = 0; i < features.size(); ++i)  // grows while it is walked: the closure over `implies`
    if (const FeatureRow* row = find_feature(target.arch, features[i]))
      for (std::string_view implied : split(row->implies, ' ')) features.emplace_back(implied);
  std::ranges::sort(features);
  features.erase(std::ranges::unique(features).begin(), features.end());
  const bool wide = target.has("avx512");
  target.vector_bytes = wide ? 64 : target.has("avx") ? 32 : 16;
  target.vector_registers = wide || target.arch == "arm-64" ? 32 : 16;
  // Zen 4 takes 512 bits in two halves; of the CPUs with its features all later ones have AVX-VNNI too.
  target.vector_fmas = target.has("avx512_zen4") && !target.has("avxvnni") ? 1 : 2;
}

Target parse_named_target(std::string_view text) {
  std::string_view full = text;
  for (const auto& [alias, meaning] : kAliases)
    if (text == alias) full = meaning;
  Target target;
  for (std::string_view arch : {"x86-64", "arm-64"})
    if (full.starts_with(fmt::format("{}-", arch))) target.arch = arch;
  if (target.arch.empty()) refuse(text, "no such target. Known:");
  const auto parts = split(full.substr(target.arch.size() + 1), '-');
  if (parts.empty() || std::ranges::find(kSystems, parts[0]) == kSystems.end())
    refuse(text, fmt::format("'{}' is no operating system. Known:", parts.empty() ? "" : parts[0]));
  target.os = parts[0];
  if ((target.os == "windows" && target.arch == "arm-64") || (target.os == "android" && target.arch == "x86-64"))
    refuse(text, "this pair of processor and system is not supported. Known:");
  for (size_t i = 1; i < parts.size(); ++i) {
    if (find_feature(target.arch, parts[i]) == nullptr)
      refuse(text, fmt::format("'{}' is no feature of {}. Known:", parts[i], target.arch));
    target.features.emplace_back(parts[i]);
  }
  complete_target(target);
  return target;
}

Target parse_target(std::string_view text) {
  const Target host = host_target();
  if (text == "host") return host;
  Target target = parse_named_target(text);
  return target.name() == host.name() ? host : target;
}

bool runs_on_host(const Target& target) {
  const Target host = host_target();
  return target.arch == host.arch && target.os == host.os &&
         std::ranges::all_of(target.features, [&](const std::string& f) { return host.has(f); });
}

}  // namespace oc
