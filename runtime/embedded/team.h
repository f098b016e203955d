// A team: the threads and the scratch memory of one caller. Kernels see one oc_context, their user_context; every
// participant of a parallel loop has its own, so that neither scratch nor claiming takes a lock.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "system.h"

enum { kMaxThreads = 256, kMessageBytes = 256 };

typedef struct oc_team oc_team;
typedef struct oc_context oc_context;

// A parallel loop: body(context, loop, i) for each i, 0 or an error code.
typedef struct oc_loop oc_loop;
struct oc_loop {
  int (*body)(oc_context* context, const oc_loop* loop, int64_t i);
  void (*function)(void);  // the kernel's, called by body
  uint8_t* closure;
  void* parent;
  int min;
};

struct oc_context {
  oc_team* team;
  // A stack of blocks, each behind a header; what does not fit comes from malloc and raises `peak`, by which the stack
  // grows after the run.
  char* scratch;
  size_t scratch_bytes;
  size_t top;                 // offset of the first free byte
  size_t last;                // offset of the youngest block's header
  size_t overflow;            // bytes now taken from malloc
  size_t peak;                // most bytes ever in use at once
  struct oc_block* borrowed;  // blocks taken from malloc, youngest first
  oc_registers* way_out;      // where a kernel is left when memory cannot be had; see oc_guard
  // Iterations [next, end) of the loop under way that are this participant's own; others take from them when theirs
  // are done.
  _Alignas(kCacheLine) _Atomic int64_t next;
  int64_t end;
};

struct oc_team {
  oc_context* contexts;  // num_threads of them
  const oc_loop* loop;   // under way
  int num_threads;
  bool holds_pool;
  bool awake;  // between oc_pool_begin and oc_pool_end
  atomic_bool in_loop;
  atomic_int failed;    // first non-zero result of a task in the loop under way
  atomic_bool starved;  // memory for a temporary could not be had in this run
  atomic_int has_message;
  char message[kMessageBytes];
};

// --- team.c
// Bytes of the contexts of a team, 64-byte aligned.
OC_INTERNAL size_t oc_team_bytes(int num_threads);
// `memory`: oc_team_bytes, zeroed here. Starts the pool's threads when there is more than one participant.
OC_INTERNAL void oc_team_init(oc_team* team, int num_threads, void* memory);
OC_INTERNAL void oc_team_destroy(oc_team* team);
// Around every run: wakes the workers and keeps them spinning; afterwards lets them sleep and grows the scratch stacks.
OC_INTERNAL void oc_team_begin(oc_team* team);
OC_INTERNAL void oc_team_end(oc_team* team);
// Calls body(context, argument); −1 when memory cannot be had: kernels do not look at what halide_malloc returns, so
// the one that asked is left where it stands. It holds nothing but scratch memory, which oc_team_end takes back.
OC_INTERNAL int oc_guard(oc_context* context, int (*body)(oc_context*, void*), void* argument);
// Leaves the kernel that runs on `context` through the innermost oc_guard.
OC_INTERNAL _Noreturn void oc_give_up(oc_context* context);
// Keeps the first message of a run.
OC_INTERNAL void oc_team_fail(oc_team* team, const char* message);

// --- parallel.c
// Claims and runs iterations of the team's loop until none is left.
OC_INTERNAL void oc_participate(oc_team* team, int participant);

// --- pool.c
OC_INTERNAL void oc_pool_acquire(int num_threads);
OC_INTERNAL void oc_pool_release(void);
// False when the host has its own parallel_for: then there is nothing to end.
OC_INTERNAL bool oc_pool_begin(void);
OC_INTERNAL void oc_pool_end(void);
// Runs oc_participate(team, i) for i in [0, num_threads) on the pool or the host's threads. False when they serve
// somebody else: the caller then works alone.
OC_INTERNAL bool oc_pool_run(oc_team* team);
// Not while anything runs.
OC_INTERNAL void oc_set_parallel_for(oc_parallel_for parallel_for, void* context);

// --- threads.c
// What `requested` (0 = decide) comes to: the request, else OPENCOMPILER_NUM_THREADS, OMP_NUM_THREADS, `fallback`
// unless 0, min(cgroup quota, affinity). Never more than the CPUs the process may use.
OC_INTERNAL int oc_resolve_threads(int requested, int fallback);

// A lock for rare events. A lock left behind by another thread at fork is taken over by the child.
typedef struct oc_lock {
  atomic_int owner;  // process id of the holder
} oc_lock;
OC_INTERNAL void oc_lock_take(oc_lock* lock);
OC_INTERNAL void oc_lock_drop(oc_lock* lock);
