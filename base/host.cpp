// What the machine at hand is: CPU features, caches, usable cores. Linux on x86-64 and aarch64.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#else
#error "OpenCompiler runs on x86-64 and aarch64"
#endif

namespace oc {
namespace {

namespace fs = std::filesystem;

// First line of a small kernel file, empty when it is not there.
std::string line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

struct Caches {
  int64_t l1 = 0, l2 = 0, l3 = 0;
  void set(int level, int64_t bytes) {
    int64_t& slot = level == 1 ? l1 : level == 2 ? l2 : l3;
    if (level >= 1 && level <= 3) slot = std::max(slot, bytes);
  }
};

Caches caches_of_sysfs() {
  Caches caches;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/cpu/cpu0/cache", missing)) {
    const fs::path folder = entry.path();
    if (line_of(folder / "type") == "Instruction") continue;
    std::istringstream text(line_of(folder / "size"));
    int64_t size = 0;
    char unit = ' ';
    text >> size >> unit;
    caches.set(std::atoi(line_of(folder / "level").c_str()), unit == 'K'   ? size << 10
                                                             : unit == 'M' ? size << 20
                                                                           : size);
  }
  return caches;
}

#if defined(__x86_64__)

struct Leaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Leaf cpuid(uint32_t leaf, uint32_t sub = 0) {
  Leaf r;
  __get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d);  // leaves zeros where the CPU has no such leaf
  return r;
}

bool bits(uint32_t word, std::initializer_list<int> wanted) {
  return std::ranges::all_of(wanted, [&](int bit) { return (word >> bit & 1) != 0; });
}

// Which register files the operating system saves; a feature without that is unusable.
uint64_t saved_state() {
  if (!bits(cpuid(1).c, {27})) return 0;
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

std::string vendor() {
  const Leaf r = cpuid(0);
  char text[13] = {};
  std::memcpy(text, &r.b, 4);
  std::memcpy(text + 4, &r.d, 4);
  std::memcpy(text + 8, &r.c, 4);
  return text;
}

// The sets behind Halide's avx512_* names; bit numbers are those of cpuid leaf 7.
std::vector<std::string> avx512_features(bool amd, uint64_t state) {
  const Leaf seven = cpuid(7), one = cpuid(7, 1);
  std::vector<std::string> names;
  if (!bits(seven.b, {16, 28})) return names;  // F CD
  names.emplace_back("avx512");
  if (!bits(seven.b, {17, 30, 31})) return names;  // DQ BW VL
  names.emplace_back("avx512_skylake");
  if (!bits(seven.b, {21}) || !bits(seven.c, {1})) return names;  // IFMA VBMI
  names.emplace_back("avx512_cannonlake");
  if (!bits(seven.c, {6, 11, 12, 14}) || !bits(one.a, {5})) return names;  // VBMI2 VNNI BITALG VPOPCNTDQ, BF16
  names.emplace_back("avx512_zen4");
  const bool avx_vnni = bits(one.a, {4});
  const bool tiles = bits(seven.d, {22, 24, 25}) && (state >> 17 & 3) == 3;  // AMX: BF16 TILE INT8
  if (avx_vnni && tiles) names.emplace_back("avx512_sapphirerapids");
  if (avx_vnni && amd && bits(seven.d, {8})) names.emplace_back("avx512_zen5");  // VP2INTERSECT
  return names;
}

std::vector<std::string> detect_features() {
  const Leaf first = cpuid(1), seven = cpuid(7);
  const uint64_t state = saved_state();
  std::vector<std::string> names;
  if (bits(first.c, {19})) names.emplace_back("sse41");
  if ((state & 0x6) != 0x6 || !bits(first.c, {28})) return names;  // XMM and YMM saved
  names.emplace_back("avx");
  if (bits(first.c, {29})) names.emplace_back("f16c");
  if (bits(first.c, {12})) names.emplace_back("fma");
  if (!bits(seven.b, {5})) return names;
  names.emplace_back("avx2");
  if (bits(cpuid(7, 1).a, {4})) names.emplace_back("avxvnni");
  if ((state & 0xe6) == 0xe6 && bits(first.c, {12, 29}))
    for (std::string& name : avx512_features(vendor() == "AuthenticAMD", state)) names.push_back(std::move(name));
  return names;
}

// Deterministic cache parameters: leaf 4 on Intel, 0x8000001d on AMD, same fields.
Caches caches_of_cpu() {
  Caches caches;
  const uint32_t leaf = vendor() == "AuthenticAMD" ? 0x8000001d : 4;
  for (uint32_t i = 0; i < 8; ++i) {
    const Leaf r = cpuid(leaf, i);
    const uint32_t type = r.a & 31;
    if (type == 0) break;
    const int64_t ways = (r.b >> 22) + 1, partitions = (r.b >> 12 & 0x3ff) + 1, line = (r.b & 0xfff) + 1;
    if (type != 2) caches.set(static_cast<int>(r.a >> 5 & 7), ways * partitions * line * (int64_t{r.c} + 1));
  }
  return caches;
}

void identify(Machine& machine) {
  machine.vendor = vendor();
  char brand[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Leaf r = cpuid(0x80000002 + i);
    std::memcpy(brand + 16 * i, &r, 16);
  }
  machine.model = brand;
  machine.model.erase(0, machine.model.find_first_not_of(' '));
  while (machine.model.ends_with(' ')) machine.model.pop_back();
  const uint32_t id = cpuid(1).a;
  const int family = static_cast<int>(id >> 8 & 15);
  machine.family = family == 15 ? family + static_cast<int>(id >> 20 & 255) : family;
  machine.model_number = static_cast<int>(id >> 4 & 15);
  if (family == 6 || family == 15) machine.model_number += static_cast<int>(id >> 16 & 15) << 4;
  machine.stepping = static_cast<int>(id & 15);
}

constexpr const char* kArch = "x86-64";

#else

std::vector<std::string> detect_features() {
  const unsigned long caps = ::getauxval(AT_HWCAP);
  std::vector<std::string> names;
  if ((caps & HWCAP_ASIMDDP) != 0) names.emplace_back("arm_dot_prod");
  if ((caps & HWCAP_FPHP) != 0 && (caps & HWCAP_ASIMDHP) != 0) names.emplace_back("arm_fp16");
  return names;
}

Caches caches_of_cpu() {
  return {};
}

void identify(Machine& machine) {
  const auto number = [](const std::string& line) {
    return static_cast<int>(std::strtol(line.substr(line.find(':') + 1).c_str(), nullptr, 0));
  };
  for (const std::string& line : lines_of("/proc/cpuinfo")) {
    if (line.starts_with("CPU implementer")) machine.vendor = fmt::format("{:#x}", number(line));
    if (line.starts_with("CPU part")) machine.model_number = number(line);
    if (line.starts_with("CPU architecture")) machine.family = number(line);
    if (line.starts_with("CPU variant")) machine.stepping = number(line);
  }
  machine.model = fmt::format("part {:#x}", machine.model_number);
}

constexpr const char* kArch = "arm-64";

#endif

// "0-3,8" → 5
int count_cpus(const std::string& list) {
  int count = 0;
  std::istringstream text(list);
  for (std::string range; std::getline(text, range, ',');) {
    const int first = std::atoi(range.c_str());
    const size_t dash = range.find('-');
    count += (dash == std::string::npos ? first : std::atoi(range.c_str() + dash + 1)) - first + 1;
  }
  return count;
}

int affinity_cores() {
  for (int cpus = 1024; cpus <= 1 << 16; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    const size_t size = CPU_ALLOC_SIZE(cpus);
    const bool fits = ::sched_getaffinity(0, size, set) == 0;
    const int count = fits ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (fits) return count;
  }
  return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

// Smallest quota, in cores, from the group up to the root. Inside a container the path of /proc/self/cgroup often lies
// outside the mounted tree; then the root of the mount is the container's own group.
double quota_of(const fs::path& root, fs::path group, bool version2) {
  double cores = INFINITY;
  for (;; group = group.parent_path()) {
    const fs::path folder = root / group.relative_path();
    double quota = -1, period = 0;
    if (version2) {
      std::istringstream(line_of(folder / "cpu.max")) >> quota >> period;  // "max 100000" leaves quota at 0
    } else {
      std::istringstream(line_of(folder / "cpu.cfs_quota_us")) >> quota;
      std::istringstream(line_of(folder / "cpu.cfs_period_us")) >> period;
    }
    if (quota > 0 && period > 0) cores = std::min(cores, quota / period);
    if (!group.has_relative_path()) return cores;
  }
}

double cgroup_cores() {
  double cores = INFINITY;
  for (const std::string& line : lines_of("/proc/self/cgroup")) {  // hierarchy:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      cores = std::min(cores, quota_of("/sys/fs/cgroup", group, true));
    } else if (controllers.starts_with("cpu,") || controllers.ends_with(",cpu") || controllers == "cpu") {
      cores = std::min(cores, quota_of(fs::path("/sys/fs/cgroup") / controllers, group, false));
      cores = std::min(cores, quota_of("/sys/fs/cgroup/cpu", group, false));
    }
  }
  return cores;
}

std::string describe_cores() {
  const int performance = count_cpus(line_of("/sys/devices/cpu_core/cpus"));
  const int efficiency = count_cpus(line_of("/sys/devices/cpu_atom/cpus"));
  if (performance > 0 && efficiency > 0) return fmt::format("{}P+{}E", performance, efficiency);
  const int online = count_cpus(line_of("/sys/devices/system/cpu/online"));
  return fmt::format("{}", online > 0 ? online : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

// Without those features that the user wants the host to do without.
void restrict_features(Target& target) {
  const char* text = std::getenv("OPENCOMPILER_HOST_TARGET");
  if (text == nullptr || *text == '\0') return;
  const Target wanted = parse_named_target(text);
  std::erase_if(target.features, [&](const std::string& feature) { return !wanted.has(feature); });
}

}  // namespace

Target host_target() {
  Target target;
  target.arch = kArch;
  target.os = "linux";
  target.features = detect_features();
  restrict_features(target);
  complete_target(target);
  Caches caches = caches_of_sysfs();
  if (caches.l1 == 0) caches = caches_of_cpu();
  if (caches.l1 > 0) target.l1_bytes = caches.l1;
  if (caches.l2 > 0) target.l2_bytes = caches.l2;
  if (caches.l3 > 0) target.l3_bytes = caches.l3;
  return target;
}

Machine host_machine() {
  Machine machine;
  identify(machine);
  const Target target = host_target();
  machine.features = target.features;
  machine.l1_bytes = target.l1_bytes;
  machine.l2_bytes = target.l2_bytes;
  machine.l3_bytes = target.l3_bytes;
  // A quota of 1.5 cores rounds up, as in compiled libraries (runtime/embedded/threads.c).
  const double quota = std::max(1.0, std::ceil(cgroup_cores()));
  machine.cores = std::max(1, static_cast<int>(std::min<double>(affinity_cores(), quota)));
  machine.core_kinds = describe_cores();
  return machine;
}

std::string Machine::hash() const {
  const nlohmann::json key = {
      {"vendor", vendor},     {"model", model}, {"family", family}, {"number", model_number}, {"stepping", stepping},
      {"features", features}, {"l1", l1_bytes}, {"l2", l2_bytes},   {"l3", l3_bytes},         {"cores", core_kinds}};
  return content_hash(key.dump());
}

}  // namespace oc
