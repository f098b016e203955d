// Many short parallel loops on the pool of a library, under ThreadSanitizer: what tasks wrote must be there for the
// caller without a race. This program plays the library's kernel, its host, and two or more callers at once.
#include <stdio.h>
#include <stdlib.h>

#include "runtime/embedded/team.h"

// Of team.c and parallel.c, for kernels.
typedef int (*task_function)(void* user_context, int index, uint8_t* closure);
int halide_do_par_for(void* user_context, task_function task, int min, int size, uint8_t* closure);
void* halide_malloc(void* user_context, size_t bytes);
void halide_free(void* user_context, void* payload);
// Of library.c.
int oc_model_create(oc_instance** out, const oc_options* options);
int oc_model_run_arrays(oc_instance* instance, const void* const* inputs, void* const* outputs);
int oc_model_destroy(oc_instance* instance);
int oc_model_num_threads(const oc_instance* instance);
const char* oc_model_last_error(const oc_instance* instance);
void oc_model_set_parallel_for(oc_parallel_for parallel_for, void* context);

enum { kThreads = 4, kLoops = 60, kLongest = 40, kRuns = 60, kCallers = 3, kFails = -7, kKernelFailed = 11 };

// As many processors as the test wants threads, whatever the machine has.
int sched_getaffinity(int pid, size_t bytes, void* mask) {
  (void)pid;
  memset(mask, 0, bytes);
  *(uint64_t*)mask = ((uint64_t)1 << kThreads) - 1;
  return 0;
}

#define CHECK(condition)                                                \
  do {                                                                  \
    if (!(condition)) {                                                 \
      fprintf(stderr, "line %d: %s is not so\n", __LINE__, #condition); \
      exit(1);                                                          \
    }                                                                   \
  } while (0)

typedef struct work {
  int64_t* values;  // plain memory: every task has its element
  int64_t factor;
} work;

static int element(void* context, int i, uint8_t* closure) {
  const work* w = (const work*)closure;
  int64_t* scratch = halide_malloc(context, 64);
  *scratch = w->factor * i;
  if ((w->factor + i) % 256 == 0) sched_yield();  // so that some tasks end late, when others have taken over
  w->values[i] = *scratch;
  halide_free(context, scratch);
  return 0;
}

static int row(void* context, int i, uint8_t* closure) {
  work inner = *(const work*)closure;
  inner.values += (ptrdiff_t)i * kLongest;
  return halide_do_par_for(context, element, 0, kLongest, (uint8_t*)&inner);  // a loop in a loop: serial
}

static int third_fails(void* context, int i, uint8_t* closure) {
  (void)context;
  (void)closure;
  return i == 3 ? kFails : 0;
}

// buffer of library.c, up to where the data is.
typedef struct buffer {
  uint64_t device;
  const void* device_interface;
  int64_t* host;
} buffer;

// out = sum over all loops; in = {a factor, whether to fail}.
static int32_t kernel(void** args) {
  void* context = *(void**)args[0];
  const int64_t* in = ((const buffer*)args[1])->host;
  int64_t sum = 0;
  for (int n = 0; n < kLoops; ++n) {
    work w = {halide_malloc(context, sizeof(int64_t) * kLongest * kLongest), in[0] + n};
    const bool nested = n % 16 == 5;
    const int size = n % (kLongest + 1);
    if (halide_do_par_for(context, nested ? row : element, 0, size, (uint8_t*)&w) != 0) return -1;
    for (int i = 0; i < (nested ? size * kLongest : size); ++i) sum += w.values[i];
    halide_free(context, w.values);
  }
  if (in[1]) return halide_do_par_for(context, third_fails, 0, kLongest, NULL);
  *((const buffer*)args[2])->host = sum;
  return 0;
}

static int64_t expected(int64_t factor) {
  int64_t sum = 0;
  for (int n = 0; n < kLoops; ++n) {
    const int size = n % (kLongest + 1), rows = n % 16 == 5 ? size : 1, row_size = n % 16 == 5 ? kLongest : size;
    sum += rows * (factor + n) * row_size * (row_size - 1) / 2;
  }
  return sum;
}

static const int64_t kPair[] = {2}, kOne[] = {1};
static const oc_tensor_info kInput = {"in", "i64", kPair, 1, 8, 2, 16}, kOutput = {"out", "i64", kOne, 1, 8, 1, 8};
static const oc_location kBuffers[] = {{.place = OC_PLACE_INPUT}, {.place = OC_PLACE_OUTPUT}};
static const uint32_t kArgs[] = {0, 1};
static const oc_step kSteps[] = {{kernel, "loops", 0, 2, OC_STEP_KERNEL, 0}};
static const oc_plan kPlan = {.inputs = &kInput,
                              .outputs = &kOutput,
                              .buffers = kBuffers,
                              .args = kArgs,
                              .steps = kSteps,
                              .num_buffers = 2,
                              .num_args = 2,
                              .num_steps = 1};
const oc_model oc_data = {.name = "race", .plans = &kPlan, .num_plans = 1, .num_inputs = 1, .num_outputs = 1};

static oc_instance* create(void) {
  oc_instance* instance = NULL;
  CHECK(oc_model_create(&instance, NULL) == 0);
  CHECK(oc_model_num_threads(instance) == kThreads);
  return instance;
}

static void run(oc_instance* instance, int64_t factor, bool fail) {
  const int64_t in[] = {factor, fail};
  int64_t out = 0;
  const void* inputs[] = {in};
  void* outputs[] = {&out};
  CHECK(oc_model_run_arrays(instance, inputs, outputs) == (fail ? kKernelFailed : 0));
  CHECK(fail ? strlen(oc_model_last_error(instance)) > 0 : out == expected(factor));
}

// One instance for long, others that come and go: with the last of all the workers go, too.
static void* caller(void* argument) {
  const int64_t number = (int64_t)(intptr_t)argument;
  oc_instance* mine = create();
  for (int i = 0; i < kRuns; ++i) {
    run(mine, number * kRuns + i, i % 8 == 7);
    if (i % 4 != 0) continue;
    oc_instance* other = create();
    run(other, i, false);
    CHECK(oc_model_destroy(other) == 0);
  }
  CHECK(oc_model_destroy(mine) == 0);
  return NULL;
}

static void callers(void) {
  pthread_t threads[kCallers];
  for (intptr_t i = 0; i < kCallers; ++i) CHECK(pthread_create(&threads[i], NULL, caller, (void*)i) == 0);
  for (int i = 0; i < kCallers; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

// The host's pool: a thread a participant.
typedef struct share {
  oc_task task;
  void* context;
  int index;
} share;

static void* do_share(void* argument) {
  const share* s = argument;
  CHECK(s->task(s->context, s->index) == 0);
  return NULL;
}

static atomic_int host_loops;

static void host_parallel_for(void* context, oc_task task, void* task_context, int count) {
  atomic_fetch_add((atomic_int*)context, 1);
  share shares[kThreads];
  pthread_t threads[kThreads];
  CHECK(count <= kThreads);
  for (int i = 0; i < count; ++i) {
    shares[i] = (share){task, task_context, i};
    CHECK(pthread_create(&threads[i], NULL, do_share, &shares[i]) == 0);
  }
  for (int i = 0; i < count; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
  callers();
  oc_instance* instance = create();
  run(instance, 1, false);
  oc_model_set_parallel_for(host_parallel_for, &host_loops);
  run(instance, 2, false);
  run(instance, 3, true);
  CHECK(atomic_load(&host_loops) > kLoops);
  oc_model_set_parallel_for(NULL, NULL);
  run(instance, 4, false);
  CHECK(oc_model_destroy(instance) == 0);
  return 0;
}
