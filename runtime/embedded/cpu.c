#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint32_t value_of(const oc_cpu_need* need) {
  uint32_t r[4] = {0, 0, 0, 0};
  if (need->leaf == OC_LEAF_XCR0) {
    __cpuid(1, r[0], r[1], r[2], r[3]);
    const uint32_t kOsXsave = 1u << 27;
    if (!(r[2] & kOsXsave)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
  }
  if (need->leaf > __get_cpuid_max(need->leaf & 0x80000000u, NULL)) return 0;
  __cpuid_count(need->leaf, need->subleaf, r[0], r[1], r[2], r[3]);
  return r[need->reg & 3];
}
#elif defined(__aarch64__)
static uint32_t value_of(const oc_cpu_need* need) {
  return (uint32_t)getauxval(need->leaf);
}
#endif

const char* oc_missing_feature(const oc_cpu_need* needs, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i)
    if ((value_of(&needs[i]) & needs[i].mask) != needs[i].mask) return needs[i].name;
  return NULL;
}
