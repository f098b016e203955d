// The C API of a compiled library: instances and the executor that walks the plan table. The generators rename
// `oc_model_*` to `<name>_*` and make every other symbol local.
#include "cpu.h"
#include "team.h"

enum {
#define OC_STATUS(name, code, text) OC_##name = code,
#include "opencompiler/status.inc"
#undef OC_STATUS
};

// halide_buffer_t of HalideRuntime.h (tests/generators compares the two). Most extents are compiled into the kernels,
// which read `host` only; some kernels read those in `dim`.
typedef struct buffer {
  uint64_t device;
  const void* device_interface;
  void* host;
  uint64_t flags;
  uint32_t type;
  int32_t dimensions;
  void* dim;
  void* padding;
} buffer;

// A buffer in a caller's tensor: its address changes from run to run.
typedef struct patch {
  uint32_t buffer;
  uint32_t place;
  uint32_t index;
  uint64_t offset;
} patch;

struct oc_instance {
  atomic_int running;
  const oc_plan* plan;
  char* arena;
  bool owns_arena;
  const char* weights;
  buffer* buffers;
  void** args;  // of all steps, one after the other: &user_context, then the buffers
  patch* patches;
  uint32_t num_patches;
  void* user_context;
  oc_team team;
};

// Written by the generators into the data object.
extern const oc_model oc_data OC_INTERNAL;

// The instances there are, in tables that are never freed: every run asks whether its handle is one, without a lock.
enum { kInstances = 64 };
typedef struct table {
  _Atomic(oc_instance*) slots[kInstances];
  _Atomic(struct table*) next;
} table;
static table live;
static oc_lock live_lock;  // of whoever changes them

// The slot that holds `instance`; null: an empty one.
static _Atomic(oc_instance*)* find_slot(const oc_instance* instance) {
  for (table* t = &live; t; t = atomic_load_explicit(&t->next, memory_order_acquire))
    for (int i = 0; i < kInstances; ++i)
      if (atomic_load_explicit(&t->slots[i], memory_order_acquire) == instance) return &t->slots[i];
  return NULL;
}

static bool is_live(const oc_instance* instance) {
  return find_slot(instance) != NULL;
}

static bool add_table(void) {
  table* more = oc_allocate(sizeof *more);
  if (!more) return false;
  memset(more, 0, sizeof *more);
  table* last = &live;
  while (atomic_load_explicit(&last->next, memory_order_relaxed))
    last = atomic_load_explicit(&last->next, memory_order_relaxed);
  atomic_store_explicit(&last->next, more, memory_order_release);
  return true;
}

static bool add_instance(oc_instance* instance) {
  oc_lock_take(&live_lock);
  const bool room = find_slot(NULL) || add_table();
  if (room) atomic_store_explicit(find_slot(NULL), instance, memory_order_release);
  oc_lock_drop(&live_lock);
  return room;
}

static bool remove_instance(const oc_instance* instance) {
  oc_lock_take(&live_lock);
  _Atomic(oc_instance*)* slot = find_slot(instance);
  if (slot) atomic_store_explicit(slot, NULL, memory_order_release);
  oc_lock_drop(&live_lock);
  return slot != NULL;
}

// The instance's tables for the plan.
static void take_plan(oc_instance* m, const oc_plan* plan) {
  m->plan = plan;
  m->num_patches = 0;
  for (uint32_t b = 0; b < plan->num_buffers; ++b) {
    const oc_location* at = &plan->buffers[b];
    memset(&m->buffers[b], 0, sizeof(buffer));
    if (at->num_dims > 0) m->buffers[b].dim = (void*)&oc_data.dims[at->first_dim];
    m->buffers[b].dimensions = (int32_t)at->num_dims;
    if (at->place == OC_PLACE_ARENA) {
      m->buffers[b].host = m->arena + at->offset;
    } else if (at->place == OC_PLACE_WEIGHTS) {
      m->buffers[b].host = (void*)(m->weights + at->offset);
    } else if (at->place == OC_PLACE_OWN) {
      m->buffers[b].host = (void*)((const char*)oc_data.own + at->offset);
    } else {
      m->patches[m->num_patches++] = (patch){b, at->place, at->index, at->offset};
    }
  }
  void** arg = m->args;
  for (uint32_t s = 0; s < plan->num_steps; ++s) {
    *arg++ = &m->user_context;
    for (uint32_t i = 0; i < plan->steps[s].num_args; ++i)
      *arg++ = &m->buffers[plan->args[plan->steps[s].first_arg + i]];
  }
}

// One allocation holds the instance, its tables, which have room for any plan, and the contexts of its threads.
static oc_instance* allocate_instance(int threads) {
  size_t buffers = 0, args = 0;
  for (uint32_t p = 0; p < oc_data.num_plans; ++p) {
    const oc_plan* plan = &oc_data.plans[p];
    const size_t plan_args = (size_t)plan->num_args + plan->num_steps;
    if (plan->num_buffers > buffers) buffers = plan->num_buffers;
    if (plan_args > args) args = plan_args;
  }
  const size_t buffers_at = oc_round_up(sizeof(oc_instance), kCacheLine);
  const size_t args_at = buffers_at + oc_round_up(buffers * sizeof(buffer), kCacheLine);
  const size_t patches_at = args_at + oc_round_up(args * sizeof(void*), kCacheLine);
  const size_t contexts_at = patches_at + oc_round_up(buffers * sizeof(patch), kCacheLine);
  void* memory = oc_allocate(contexts_at + oc_team_bytes(threads));
  if (!memory) return NULL;
  memset(memory, 0, contexts_at);
  oc_instance* m = memory;
  m->buffers = (buffer*)((char*)memory + buffers_at);
  m->args = (void**)((char*)memory + args_at);
  m->patches = (patch*)((char*)memory + patches_at);
  oc_team_init(&m->team, threads, (char*)memory + contexts_at);
  m->user_context = &m->team.contexts[0];
  return m;
}

// The caller's options over the defaults; fields beyond the caller's `size` keep theirs.
static int read_options(const oc_options* given, oc_options* options) {
  *options = (oc_options){.size = sizeof *options};
  if (given) {
    if (given->size < offsetof(oc_options, weights) || given->size > 4096) return OC_BAD_OPTIONS;
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
  }
  return options->num_threads < 0 || options->num_threads > 65536 ? OC_BAD_OPTIONS : OC_OK;
}

static void free_instance(oc_instance* m) {
  oc_team_destroy(&m->team);
  if (m->owns_arena) oc_unmap(m->arena, oc_data.arena_bytes);
  free(m);
}

OC_EXPORT int oc_model_create(oc_instance** out, const oc_options* given) {
  const oc_model* model = &oc_data;
  if (!out) return OC_NULL_ARGUMENT;
  *out = NULL;
  oc_options options;
  const int status = read_options(given, &options);
  if (status != OC_OK) return status;
  if (oc_missing_feature(model->cpu_needs, model->num_cpu_needs)) return OC_UNSUPPORTED_CPU;
  const char* weights = model->weights_file ? options.weights : model->weights;
  if (!weights && model->weights_bytes > 0) return OC_MISSING_WEIGHTS;
  if (options.arena && (options.arena_bytes < model->arena_bytes || (uintptr_t)options.arena % kCacheLine != 0))
    return OC_BAD_ARENA;

  void* arena = options.arena;
  if (!arena && model->arena_bytes > 0) {
    arena = oc_map(model->arena_bytes);
    if (!arena) return OC_OUT_OF_MEMORY;
  }
  oc_instance* m = allocate_instance(oc_resolve_threads(options.num_threads, model->default_threads));
  if (!m) {
    if (!options.arena) oc_unmap(arena, model->arena_bytes);
    return OC_OUT_OF_MEMORY;
  }
  m->arena = arena;
  m->owns_arena = !options.arena;
  m->weights = weights;
  take_plan(m, oc_largest_plan(model));
  if (!add_instance(m)) {
    free_instance(m);
    return OC_OUT_OF_MEMORY;
  }
  *out = m;
  return OC_OK;
}

OC_EXPORT int oc_model_destroy(oc_instance* m) {
  if (!m) return OC_OK;
  if (!remove_instance(m)) return OC_INVALID_HANDLE;
  free_instance(m);
  return OC_OK;
}

static int check_tensor(const oc_tensor_info* info, const void* tensor) {
  if (!tensor) return info->bytes > 0 ? OC_NULL_TENSOR : OC_OK;
  return (uintptr_t)tensor % info->element_bytes != 0 ? OC_MISALIGNED_TENSOR : OC_OK;
}

static bool overlap(const void* a, uint64_t a_bytes, const void* b, uint64_t b_bytes) {
  if (a_bytes == 0 || b_bytes == 0) return false;
  return (const char*)a < (const char*)b + b_bytes && (const char*)b < (const char*)a + a_bytes;
}

static int check_tensors(const oc_plan* plan, const void* const* inputs, void* const* outputs) {
  const uint32_t num_inputs = oc_data.num_inputs, num_outputs = oc_data.num_outputs;
  if ((!inputs && num_inputs > 0) || (!outputs && num_outputs > 0)) return OC_NULL_ARGUMENT;
  int status = OC_OK;
  for (uint32_t i = 0; i < num_inputs && status == OC_OK; ++i) status = check_tensor(&plan->inputs[i], inputs[i]);
  for (uint32_t o = 0; o < num_outputs && status == OC_OK; ++o) {
    const uint64_t bytes = plan->outputs[o].bytes;
    status = check_tensor(&plan->outputs[o], outputs[o]);
    if (status != OC_OK) return status;
    for (uint32_t i = 0; i < num_inputs; ++i)
      if (overlap(outputs[o], bytes, inputs[i], plan->inputs[i].bytes)) return OC_OVERLAPPING_TENSORS;
    for (uint32_t p = 0; p < o; ++p)
      if (overlap(outputs[o], bytes, outputs[p], plan->outputs[p].bytes)) return OC_OVERLAPPING_TENSORS;
  }
  return status;
}

static uint64_t now(void) {
  int64_t time[2] = {0, 0};
  clock_gettime(1 /* CLOCK_MONOTONIC */, time);
  return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}

static int fail(oc_instance* m, const oc_step* step, int status) {
  oc_team_fail(&m->team, step->label);
  return status;
}

// Runs the plan; `argument` is where each step's nanoseconds go (0 for a step passed over), or null.
static int walk(oc_context* context, void* argument) {
  oc_instance* m = (oc_instance*)((char*)context->team - offsetof(oc_instance, team));
  uint64_t* nanoseconds = argument;
  const oc_plan* plan = m->plan;
  for (uint32_t s = 0; s < plan->num_steps; ++s) {
    const oc_step* step = &plan->steps[s];
    void** args = m->args + step->first_arg + s;  // each step before has a user_context
    const uint64_t start = nanoseconds ? now() : 0;
    uint32_t skipped = 0;
    switch (step->kind) {
      case OC_STEP_KERNEL:
        if (step->kernel(args) != 0) return fail(m, step, OC_KERNEL_FAILED);
        break;
      case OC_STEP_COPY:
        memcpy(((buffer*)args[2])->host, ((buffer*)args[1])->host,
               plan->buffers[plan->args[step->first_arg + 1]].bytes);
        break;
      case OC_STEP_FAIL: return fail(m, step, OC_BRANCH_FAILED);
      default:
        if ((*(const uint8_t*)((buffer*)args[1])->host != 0) == (step->kind == OC_STEP_SKIP_IF))
          skipped = step->skipped;
    }
    if (nanoseconds) {
      nanoseconds[s] = now() - start;
      memset(&nanoseconds[s + 1], 0, skipped * sizeof *nanoseconds);
    }
    s += skipped;
  }
  return OC_OK;
}

// Ends what set `running`.
static int release(oc_instance* m, int status) {
  atomic_store_explicit(&m->running, 0, memory_order_release);
  return status;
}

OC_EXPORT int oc_model_run_profiled(oc_instance* m, const void* const* inputs, void* const* outputs,
                                    uint64_t* nanoseconds) {
  if (!m) return OC_NULL_ARGUMENT;
  if (!is_live(m)) return OC_INVALID_HANDLE;
  if (atomic_exchange_explicit(&m->running, 1, memory_order_acquire)) return OC_BUSY;
  const int bad = check_tensors(m->plan, inputs, outputs);
  if (bad != OC_OK) return release(m, bad);
  for (uint32_t p = 0; p < m->num_patches; ++p) {
    const patch* at = &m->patches[p];
    const char* base = at->place == OC_PLACE_INPUT ? inputs[at->index] : outputs[at->index];
    m->buffers[at->buffer].host = (char*)(uintptr_t)base + at->offset;
  }
  oc_team_begin(&m->team);
  int status = oc_guard(m->user_context, walk, nanoseconds);
  if (atomic_load(&m->team.starved)) status = OC_OUT_OF_MEMORY;
  oc_team_end(&m->team);
  return release(m, status);
}

OC_EXPORT int oc_model_set_extents_array(oc_instance* m, const int64_t* extents) {
  if (!m || (!extents && oc_data.num_axes > 0)) return OC_NULL_ARGUMENT;
  if (!is_live(m)) return OC_INVALID_HANDLE;
  const oc_plan* plan = oc_find_plan(&oc_data, extents);
  if (!plan) return OC_BAD_EXTENTS;
  if (atomic_exchange_explicit(&m->running, 1, memory_order_acquire)) return OC_BUSY;
  if (plan != m->plan) take_plan(m, plan);
  return release(m, OC_OK);
}

static const oc_plan* plan_of(const oc_instance* m) {
  return m && is_live(m) ? m->plan : NULL;
}

OC_EXPORT const int64_t* oc_model_output_shape(const oc_instance* m, size_t index) {
  const oc_plan* plan = plan_of(m);
  return plan && index < oc_data.num_outputs ? plan->outputs[index].shape : NULL;
}

OC_EXPORT int oc_model_run_arrays(oc_instance* m, const void* const* inputs, void* const* outputs) {
  return oc_model_run_profiled(m, inputs, outputs, NULL);
}

OC_EXPORT int oc_model_run_once_arrays(const void* const* inputs, void* const* outputs) {
  oc_instance* m = NULL;
  int status = oc_model_create(&m, NULL);
  if (status == OC_OK) status = oc_model_run_arrays(m, inputs, outputs);
  oc_model_destroy(m);
  return status;
}

OC_EXPORT const char* oc_model_error_string(int status) {
  switch (status) {
#define OC_STATUS(name, code, text) \
  case code: return text;
#include "opencompiler/status.inc"
#undef OC_STATUS
    default: return "unknown status";
  }
}

OC_EXPORT const char* oc_model_last_error(const oc_instance* m) {
  if (!m) {
    const char* missing = oc_missing_feature(oc_data.cpu_needs, oc_data.num_cpu_needs);
    return missing ? missing : "";
  }
  return is_live(m) && atomic_load(&m->team.has_message) ? m->team.message : "";
}

OC_EXPORT void oc_model_set_parallel_for(oc_parallel_for parallel_for, void* context) {
  oc_set_parallel_for(parallel_for, context);
}

OC_EXPORT int oc_model_num_threads(const oc_instance* m) {
  return m && is_live(m) ? m->team.num_threads : 0;
}

OC_EXPORT const oc_library_table oc_model_library = {
    OC_ABI_VERSION,
    sizeof(oc_library_table),
    &oc_data,
    oc_model_create,
    oc_model_run_arrays,
    oc_model_run_profiled,
    oc_model_destroy,
    oc_model_error_string,
    oc_model_last_error,
    oc_model_set_parallel_for,
    oc_model_num_threads,
    oc_model_set_extents_array,
    plan_of,
};
