// The thread pool: one a library, shared by its instances. While a model runs the workers spin on `gate`; between runs
// they sleep on a futex. One parallel loop at a time owns the workers. The calling thread is participant 0 and takes
// over the iterations of workers that have not come yet, so it never waits for a thread to wake up.
#include "team.h"

// gate: the number of the loop in the upper half, kOpen while workers may enter, below it how many are inside.
static const uint64_t kOpen = 1u << 31;
static const uint64_t kInside = kOpen - 1;

enum {
  kSpinsAwake = 1 << 14,  // after the last run, about 0.3 ms: the next call often follows at once
  kSpinsBeforeYield = 1 << 11,
};

static struct {
  oc_lock lock;        // over workers, wanted, users, threads
  atomic_int process;  // whose threads these are: a forked child has none
  int workers;
  int wanted;  // the most that a user has asked for
  int users;
  pthread_t threads[kMaxThreads];
  atomic_bool busy;  // a loop owns the workers
  atomic_bool stop;
  atomic_int runs;   // teams between begin and end
  atomic_uint wake;  // the futex: changes when there may be work
  atomic_int sleepers;
  _Alignas(kCacheLine) _Atomic uint64_t gate;
  oc_team* team;                 // the loop's; valid while the gate is open or somebody is inside
  oc_parallel_for parallel_for;  // the host's, instead of the workers
  void* parallel_for_context;
} pool;

#if defined(__x86_64__)
enum { kSysFutex = 202 };
#elif defined(__aarch64__)
enum { kSysFutex = 98 };
#endif
enum { kFutexWait = 128, kFutexWake = 129 };  // both process-private

static void wake_all(void) {
  atomic_fetch_add(&pool.wake, 1);
  if (atomic_load(&pool.sleepers) > 0) syscall(kSysFutex, &pool.wake, kFutexWake, 0x7fffffff, NULL);
}

static void sleep_until_run(void) {
  const unsigned seen = atomic_load(&pool.wake);
  atomic_fetch_add(&pool.sleepers, 1);
  if (atomic_load(&pool.runs) == 0 && !atomic_load(&pool.stop)) syscall(kSysFutex, &pool.wake, kFutexWait, seen, NULL);
  atomic_fetch_sub(&pool.sleepers, 1);
}

static void* worker(void* argument) {
  const int id = (int)(intptr_t)argument;
  uint32_t last_loop = 0;
  for (int spins = 0; !atomic_load_explicit(&pool.stop, memory_order_relaxed); ++spins) {
    uint64_t gate = atomic_load_explicit(&pool.gate, memory_order_acquire);
    const uint32_t loop = (uint32_t)(gate >> 32);
    if ((gate & kOpen) && loop != last_loop) {
      if (!atomic_compare_exchange_weak_explicit(&pool.gate, &gate, gate + 1, memory_order_acquire,
                                                 memory_order_relaxed))
        continue;
      last_loop = loop;
      if (id < pool.team->num_threads) oc_participate(pool.team, id);
      atomic_fetch_sub_explicit(&pool.gate, 1, memory_order_release);
      spins = 0;
    } else if (spins < kSpinsAwake) {
      oc_relax();
    } else if (atomic_load_explicit(&pool.runs, memory_order_relaxed) == 0) {
      sleep_until_run();
      spins = 0;
    } else if (spins % kSpinsBeforeYield == 0) {
      sched_yield();  // more threads than free cores: let the others get on
      spins = kSpinsAwake;
    } else {
      oc_relax();
    }
  }
  return NULL;
}

static void start_workers(void) {
  uint8_t all[128], old[128];  // a sigset_t: signals are the program's business, not the workers'
  memset(all, 0xff, sizeof all);
  enum { kSetMask = 2 };
  pthread_sigmask(kSetMask, all, old);
  while (pool.workers < pool.wanted) {
    pthread_t thread;
    // A system that refuses a thread costs speed only: the caller does all that nobody else takes.
    if (pthread_create(&thread, NULL, worker, (void*)(intptr_t)(pool.workers + 1)) != 0) break;
    pool.threads[pool.workers++] = thread;
  }
  pthread_sigmask(kSetMask, old, NULL);
}

// In a forked child: forget the parent's threads and whatever they were doing.
static void adopt_process(void) {
  const int process = getpid();
  if (atomic_load(&pool.process) == process) return;
  pool.workers = 0;
  atomic_store(&pool.busy, false);
  atomic_store(&pool.stop, false);
  atomic_store(&pool.runs, 0);
  atomic_store(&pool.sleepers, 0);
  atomic_store(&pool.gate, atomic_load(&pool.gate) & ~(kOpen | kInside));
  atomic_store(&pool.process, process);
}

void oc_pool_acquire(int num_threads) {
  oc_lock_take(&pool.lock);
  adopt_process();
  ++pool.users;
  if (pool.wanted < num_threads - 1) pool.wanted = num_threads - 1;
  if (!pool.parallel_for) start_workers();
  oc_lock_drop(&pool.lock);
}

void oc_pool_release(void) {
  oc_lock_take(&pool.lock);
  adopt_process();
  if (--pool.users == 0) {
    atomic_store(&pool.stop, true);
    wake_all();
    for (int i = 0; i < pool.workers; ++i) pthread_join(pool.threads[i], NULL);
    pool.workers = 0;
    pool.wanted = 0;
    atomic_store(&pool.stop, false);
  }
  oc_lock_drop(&pool.lock);
}

bool oc_pool_begin(void) {
  if (pool.parallel_for) return false;
  if (atomic_load_explicit(&pool.process, memory_order_relaxed) != getpid()) {
    oc_lock_take(&pool.lock);
    adopt_process();
    start_workers();
    oc_lock_drop(&pool.lock);
  }
  atomic_fetch_add(&pool.runs, 1);
  wake_all();
  return true;
}

void oc_pool_end(void) {
  atomic_fetch_sub(&pool.runs, 1);
}

static int host_task(void* team, int participant) {
  oc_participate(team, participant);
  return 0;
}

bool oc_pool_run(oc_team* team) {
  if (pool.parallel_for) {
    pool.parallel_for(pool.parallel_for_context, host_task, team, team->num_threads);
    return true;
  }
  if (atomic_exchange_explicit(&pool.busy, true, memory_order_acquire)) return false;
  pool.team = team;
  const uint64_t loop = (atomic_load_explicit(&pool.gate, memory_order_relaxed) >> 32) + 1;
  atomic_store_explicit(&pool.gate, loop << 32 | kOpen, memory_order_release);
  oc_participate(team, 0);
  atomic_fetch_and_explicit(&pool.gate, ~kOpen, memory_order_acq_rel);
  for (int spins = 1; atomic_load_explicit(&pool.gate, memory_order_acquire) & kInside; ++spins) {
    if (spins % kSpinsBeforeYield == 0) {
      sched_yield();
    } else {
      oc_relax();
    }
  }
  atomic_store_explicit(&pool.busy, false, memory_order_release);
  return true;
}

void oc_set_parallel_for(oc_parallel_for parallel_for, void* context) {
  oc_lock_take(&pool.lock);
  adopt_process();
  pool.parallel_for = parallel_for;
  pool.parallel_for_context = context;
  if (!parallel_for) start_workers();  // for those that came while there was no need of them
  oc_lock_drop(&pool.lock);
}
