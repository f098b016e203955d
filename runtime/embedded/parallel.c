// halide_do_par_for and halide_do_parallel_tasks on a team.
#include "team.h"

typedef int (*task_function)(void* user_context, int index, uint8_t* closure);

// Each participant's own part, written before the participants start.
static void split(oc_team* team, int64_t size) {
  const int n = team->num_threads;
  for (int i = 0; i < n; ++i) {
    oc_context* c = &team->contexts[i];
    c->end = size * (i + 1) / n;
    atomic_store_explicit(&c->next, size * i / n, memory_order_relaxed);
  }
}

static int serially(oc_context* c, const oc_loop* loop, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    const int rc = loop->body(c, loop, i);
    if (rc != 0) return rc;
  }
  return 0;
}

static int participate(oc_context* mine, void* argument) {
  const int participant = *(const int*)argument;
  oc_team* team = mine->team;
  const oc_loop* loop = team->loop;
  for (int k = 0; k < team->num_threads; ++k) {
    oc_context* from = &team->contexts[(participant + k) % team->num_threads];
    while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
      if (atomic_load_explicit(&team->failed, memory_order_relaxed) != 0) return 0;
      const int64_t i = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
      if (i >= from->end) break;
      const int rc = loop->body(mine, loop, i);
      if (rc != 0) return rc;
    }
  }
  return 0;
}

void oc_participate(oc_team* team, int participant) {
  const int rc = oc_guard(&team->contexts[participant], participate, &participant);
  int none = 0;
  if (rc != 0) atomic_compare_exchange_strong(&team->failed, &none, rc);
}

// A loop inside a loop and a loop that finds the pool busy run on the calling thread.
static int run_loop(oc_context* c, const oc_loop* loop, int64_t size) {
  oc_team* team = c->team;
  if (size <= 1 || team->num_threads == 1) return serially(c, loop, size);
  if (atomic_exchange_explicit(&team->in_loop, true, memory_order_acquire)) return serially(c, loop, size);
  split(team, size);
  team->loop = loop;
  atomic_store_explicit(&team->failed, 0, memory_order_relaxed);
  int rc = 0;
  if (oc_pool_run(team)) {
    rc = atomic_load_explicit(&team->failed, memory_order_relaxed);
  } else {
    rc = serially(c, loop, size);
  }
  atomic_store_explicit(&team->in_loop, false, memory_order_release);
  // The kernel would go on with what its tasks have not made.
  if (atomic_load_explicit(&team->starved, memory_order_relaxed)) oc_give_up(c);
  return rc;
}

static int call_task(oc_context* c, const oc_loop* loop, int64_t i) {
  return ((task_function)loop->function)(c, loop->min + (int)i, loop->closure);
}

int halide_do_par_for(void* user_context, task_function task, int min, int size, uint8_t* closure) {
  const oc_loop loop = {call_task, (void (*)(void))task, closure, NULL, min};
  return run_loop(user_context, &loop, size);
}

int halide_do_task(void* user_context, task_function task, int index, uint8_t* closure) {
  return task(user_context, index, closure);
}

typedef int (*loop_task_function)(void* user_context, int min, int extent, uint8_t* closure, void* parent);

// halide_parallel_task_t of HalideRuntime.h.
typedef struct parallel_task {
  loop_task_function function;
  uint8_t* closure;
  const char* name;
  const void* semaphores;
  int num_semaphores;
  int min;
  int extent;
  int min_threads;
  bool serial;
} parallel_task;

static int call_loop_task(oc_context* c, const oc_loop* loop, int64_t i) {
  return ((loop_task_function)loop->function)(c, loop->min + (int)i, 1, loop->closure, loop->parent);
}

int halide_do_loop_task(void* user_context, loop_task_function task, int min, int extent, uint8_t* closure,
                        void* parent) {
  return task(user_context, min, extent, closure, parent);
}

// Independent loops, one after the other. Tasks that wait for each other are made by async schedules only, which no
// schedule family offers.
int halide_do_parallel_tasks(void* user_context, int count, parallel_task* tasks, void* parent) {
  oc_context* c = user_context;
  for (int t = 0; t < count; ++t) {
    const parallel_task* task = &tasks[t];
    if (task->num_semaphores != 0) {
      oc_team_fail(c->team, "a kernel with asynchronous tasks");
      return -1;
    }
    const oc_loop loop = {call_loop_task, (void (*)(void))task->function, task->closure, parent, task->min};
    const int rc = task->serial ? task->function(c, task->min, task->extent, task->closure, parent)
                                : run_loop(c, &loop, task->extent);
    if (rc != 0) return rc;
  }
  return 0;
}
