// How many threads, and the lock.
#include "team.h"

// The number at the start of `text`, 0 if it does not begin with a digit.
static int64_t parse_number(const char* text) {
  int64_t n = 0;
  for (; *text >= '0' && *text <= '9' && n < ((int64_t)1 << 50); ++text) n = n * 10 + (*text - '0');
  return n;
}

// Whole number in 1…10^6 and nothing behind it (OMP_NUM_THREADS may be a list: its first), else 0.
static int from_environment(const char* name) {
  const char* text = getenv(name);
  if (!text) return 0;
  const char* end = text;
  while (*end >= '0' && *end <= '9') ++end;
  const int64_t n = parse_number(text);
  return (*end == 0 || *end == ',') && n >= 1 && n <= 1000000 ? (int)n : 0;
}

static bool read_text(const char* path, char* text, size_t bytes) {
  const int fd = open(path, 02000000 /* O_RDONLY | O_CLOEXEC */);
  if (fd < 0) return false;
  const long n = read(fd, text, bytes - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  return true;
}

// CPUs that `quota` microseconds in each `period` are worth, rounded up; 0 when unlimited.
static int cpus_of(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return 0;
  const int64_t cpus = (quota + period - 1) / period;
  return cpus < kMaxThreads ? (int)cpus : kMaxThreads;
}

static int smaller_limit(int a, int b) {
  if (a == 0) return b;
  return b == 0 || a < b ? a : b;
}

static int quota_of(const char* folder, size_t length) {
  static const char kRoot[] = "/sys/fs/cgroup", kFile[] = "/cpu.max";
  char path[512], text[64];
  if (sizeof kRoot + length + sizeof kFile > sizeof path) return 0;
  memcpy(path, kRoot, sizeof kRoot - 1);
  memcpy(path + sizeof kRoot - 1, folder, length);
  memcpy(path + sizeof kRoot - 1 + length, kFile, sizeof kFile);
  if (!read_text(path, text, sizeof text)) return 0;
  const char* space = text;
  while (*space && *space != ' ') ++space;
  return cpus_of(parse_number(text), *space ? parse_number(space + 1) : 0);
}

// The tightest quota of the control group and its ancestors (version 2), or of version 1's usual place; 0: none.
static int cgroup_cpus(void) {
  char text[1024];
  int limit = quota_of("", 0);
  if (read_text("/proc/self/cgroup", text, sizeof text)) {
    for (char* line = text; *line;) {
      size_t length = 0;
      while (line[length] && line[length] != '\n') ++length;
      if (line[0] == '0' && line[1] == ':' && line[2] == ':')
        for (size_t n = length - 3; n > 1; --n)
          if (n == length - 3 || line[3 + n] == '/') limit = smaller_limit(limit, quota_of(line + 3, n));
      line += length + (line[length] == '\n');
    }
  }
  char quota[32], period[32];
  if (read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) &&
      read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
    limit = smaller_limit(limit, cpus_of(parse_number(quota), parse_number(period)));
  return limit;
}

static int affinity_cpus(void) {
  uint64_t mask[128];
  memset(mask, 0, sizeof mask);
  if (sched_getaffinity(0, sizeof mask, mask) < 0) return 1;
  int cpus = 0;
  for (size_t i = 0; i < sizeof mask / sizeof *mask; ++i) {
    for (uint64_t word = mask[i]; word; word &= word - 1) ++cpus;
  }
  return cpus < 1 ? 1 : cpus < kMaxThreads ? cpus : kMaxThreads;
}

int oc_resolve_threads(int requested, int fallback) {
  const int usable = affinity_cpus();
  int n = requested;
  if (n == 0) n = from_environment("OPENCOMPILER_NUM_THREADS");
  if (n == 0) n = from_environment("OMP_NUM_THREADS");
  if (n == 0) n = fallback;
  if (n == 0) n = smaller_limit(usable, cgroup_cpus());
  return n < usable ? n : usable;
}

void oc_lock_take(oc_lock* lock) {
  const int process = getpid();
  for (;;) {
    int owner = 0;
    if (atomic_compare_exchange_strong(&lock->owner, &owner, process)) return;
    if (owner != process && atomic_compare_exchange_strong(&lock->owner, &owner, process)) return;
    sched_yield();
  }
}

void oc_lock_drop(oc_lock* lock) {
  atomic_store(&lock->owner, 0);
}
