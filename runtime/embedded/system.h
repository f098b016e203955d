// The few functions of libc and the kernel that a compiled library calls. Declared here: the runtime is compiled for
// every target from one machine, without the target's headers. Valid for LP64 Linux (glibc, musl, bionic).
#pragma once

#include <stddef.h>
#include <stdint.h>

#define OC_EXPORT __attribute__((visibility("default")))
#define OC_INTERNAL __attribute__((visibility("hidden")))

void* memcpy(void* to, const void* from, size_t bytes);
void* memset(void* to, int value, size_t bytes);
size_t strlen(const char* text);
void free(void* memory);
int posix_memalign(void** out, size_t alignment, size_t bytes);
int madvise(void* memory, size_t bytes, int advice);
char* getenv(const char* name);
int getpid(void);
int open(const char* path, int flags, ...);
long read(int fd, void* buffer, size_t bytes);
int close(int fd);
long syscall(long number, ...);
int sched_yield(void);
int sched_getaffinity(int pid, size_t bytes, void* mask);
int clock_gettime(int clock, void* time);
unsigned long getauxval(unsigned long key);

typedef unsigned long pthread_t;
int pthread_create(pthread_t* thread, const void* attributes, void* (*body)(void*), void* argument);
int pthread_join(pthread_t thread, void** result);
int pthread_sigmask(int how, const void* set, void* old);

// Room for the largest jmp_buf of the systems above (glibc on arm-64: 312 bytes).
typedef struct oc_registers {
  _Alignas(16) uint64_t words[64];
} oc_registers;
int _setjmp(oc_registers* registers) __attribute__((returns_twice));
_Noreturn void longjmp(oc_registers* registers, int value);

enum { kCacheLine = 64, kHugePage = 2 << 20 };

static inline void oc_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

static inline size_t oc_round_up(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

// Memory for free(), or null. A walk through megabytes in pages of 4 KB misses the TLB all the time, so what is that
// large asks for huge pages.
static inline void* oc_allocate(size_t bytes) {
  void* memory = NULL;
  if (posix_memalign(&memory, bytes < kHugePage ? kCacheLine : kHugePage, bytes) != 0) return NULL;
  if (bytes >= kHugePage) madvise(memory, bytes, 14 /* MADV_HUGEPAGE */);
  return memory;
}
