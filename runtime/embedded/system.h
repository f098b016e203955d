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
void* mmap(void* at, size_t bytes, int protection, int flags, int file, long offset);
int munmap(void* memory, size_t bytes);
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

enum { kCacheLine = 64, kLargestPage = 64 << 10 /* of those that are no huge ones */, kHugePage = 2 << 20 };

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

// Memory for free(), or null.
static inline void* oc_allocate(size_t bytes) {
  void* memory = NULL;
  return posix_memalign(&memory, kCacheLine, bytes) == 0 ? memory : NULL;
}

// Zeroed pages for oc_unmap, or null: what is large and comes and goes with instances leaves no holes in the heap. A
// walk through megabytes in pages of 4 KB misses the TLB all the time, so what is that large begins at a huge page and
// asks for them.
static inline void* oc_map(size_t bytes) {
  bytes = oc_round_up(bytes, kLargestPage);
  const size_t more = bytes < kHugePage ? 0 : kHugePage;
  char* memory =
      mmap(NULL, bytes + more, 3 /* PROT_READ | PROT_WRITE */, 0x22 /* MAP_PRIVATE | MAP_ANONYMOUS */, -1, 0);
  if (memory == (char*)-1) return NULL;
  if (more == 0) return memory;
  const size_t before = oc_round_up((uintptr_t)memory, kHugePage) - (uintptr_t)memory;
  if (before > 0) munmap(memory, before);
  if (before < more) munmap(memory + before + bytes, more - before);
  madvise(memory + before, bytes, 14 /* MADV_HUGEPAGE */);
  return memory + before;
}

// Null is allowed.
static inline void oc_unmap(void* memory, size_t bytes) {
  if (memory) munmap(memory, oc_round_up(bytes, kLargestPage));
}
