// What a compiled library is made of, as data: the plan table that generators/ writes into the data object, the
// executor of runtime/embedded/ walks, and runtime.cpp reads from outside through the symbol `oc_library`. C11 and C++.
// Any change of a layout or a meaning here raises OC_ABI_VERSION.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OC_ABI_VERSION 5

enum { OC_PLACE_ARENA = 0, OC_PLACE_WEIGHTS = 1, OC_PLACE_INPUT = 2, OC_PLACE_OUTPUT = 3, OC_PLACE_OWN = 4 };

// halide_dimension_t of HalideRuntime.h.
typedef struct oc_dim {
  int32_t min;
  int32_t extent;
  int32_t stride;
  uint32_t flags;
} oc_dim;

// Where a buffer begins; `index` is the number of the graph input or output. For a kernel that asks for its dims they
// are those of the model from `first_dim` on, innermost first. `bytes`: that a copy moves.
typedef struct oc_location {
  uint32_t place;
  uint32_t index;
  uint64_t offset;
  uint32_t first_dim;
  uint32_t num_dims;
  uint64_t bytes;
} oc_location;

enum {
  OC_STEP_KERNEL = 0,
  OC_STEP_COPY = 1,         // the bytes of the second argument, from the first
  OC_STEP_SKIP_IF = 2,      // passes over the next `skipped` steps when the bool that is the first argument is true
  OC_STEP_SKIP_UNLESS = 3,  // the same when it is false
  OC_STEP_FAIL = 4,         // ends the run; the label says why
};

// OC_STEP_KERNEL is one call `kernel(args)` with args[0] = &user_context and then buffers[args[first_arg …]].
typedef struct oc_step {
  int32_t (*kernel)(void** args);
  const char* label;
  uint32_t first_arg;
  uint32_t num_args;
  uint32_t kind;
  uint32_t skipped;
} oc_step;

typedef struct oc_tensor_info {
  const char* name;
  const char* dtype;  // f32, i64, …
  const int64_t* shape;
  uint32_t rank;
  uint32_t element_bytes;
  uint64_t elements;
  uint64_t bytes;
} oc_tensor_info;

typedef struct oc_pair {
  const char* key;
  const char* value;
} oc_pair;

// All bits of `mask` must be set in a register of the CPU. x86-64: `leaf`, `subleaf` of cpuid and `reg` 0…3 = eax, ebx,
// ecx, edx; leaf OC_LEAF_XCR0 is the register of states the system saves. arm-64: `leaf` is a key of getauxval.
#define OC_LEAF_XCR0 0xffffffffu
typedef struct oc_cpu_need {
  uint32_t leaf;
  uint32_t subleaf;
  uint32_t reg;
  uint32_t mask;
  const char* name;
} oc_cpu_need;

// How the model runs on inputs of certain shapes. Plans with equal steps or arguments share the tables.
typedef struct oc_plan {
  const oc_tensor_info* inputs;
  const oc_tensor_info* outputs;
  const oc_location* buffers;
  const uint32_t* args;
  const oc_step* steps;
  uint64_t arena_bytes;
  uint32_t num_buffers;
  uint32_t num_args;
  uint32_t num_steps;
  uint32_t unused;
} oc_plan;

typedef struct oc_axis_dim {
  uint32_t input;
  uint32_t dim;
} oc_axis_dim;

// An extent that the caller chooses: low, low + step, … high; which dims it is.
typedef struct oc_axis {
  const char* name;
  int64_t low;
  int64_t high;
  int64_t step;
  const oc_axis_dim* dims;
  uint64_t num_dims;
} oc_axis;

typedef struct oc_model {
  const char* name;
  const oc_plan* plans;  // of all choices of extents in their order, that of the last axis changing fastest
  const oc_axis* axes;
  const oc_dim* dims;
  const oc_cpu_need* cpu_needs;
  const oc_pair* metadata;
  const void* weights;       // null when they lie in a file
  const char* weights_file;  // relative to the library; null when embedded
  const void* own;           // constants that no other library has, beside such a file
  uint64_t weights_bytes;
  // From the beginning: what every run reads. Of the rest, rows of embeddings, a run reads little: at weights_whole,
  // then a multiple of 64 KiB, a mapping of the file may begin.
  uint64_t weights_whole;
  uint64_t arena_bytes;  // the most that a plan takes
  uint32_t num_plans;
  uint32_t num_axes;
  uint32_t num_inputs;
  uint32_t num_outputs;
  uint32_t num_cpu_needs;
  uint32_t num_metadata;
  int32_t default_threads;  // 0: decided at run time
  uint32_t unused;
} oc_model;

// That of the largest extents.
static inline const oc_plan* oc_largest_plan(const oc_model* model) {
  return &model->plans[model->num_plans - 1];
}

// One extent for each axis; null: the library was not compiled for them.
static inline const oc_plan* oc_find_plan(const oc_model* model, const int64_t* extents) {
  uint64_t index = 0;
  for (uint32_t a = 0; a < model->num_axes; ++a) {
    const oc_axis* axis = &model->axes[a];
    if (extents[a] < axis->low || extents[a] > axis->high || (extents[a] - axis->low) % axis->step != 0) return NULL;
    index = index * (uint64_t)((axis->high - axis->low) / axis->step + 1) +
            (uint64_t)((extents[a] - axis->low) / axis->step);
  }
  return &model->plans[index];
}

// `size` says how many of the fields the caller knows; the generated `<name>_options` ends before `weights`.
typedef struct oc_options {
  size_t size;
  int num_threads;  // 0: environment, else what the process may use
  void* arena;      // null: allocated; else 64-byte aligned memory that outlives the instance
  size_t arena_bytes;
  const void* weights;  // of a library whose weights lie in a file: the file's contents, 64-byte aligned
} oc_options;

typedef int (*oc_task)(void* task_context, int index);
// Runs task(task_context, i) for all i in [0, count), in any order and on any threads, and returns after the last one.
typedef void (*oc_parallel_for)(void* context, oc_task task, void* task_context, int count);

typedef struct oc_instance oc_instance;

typedef struct oc_library_table {
  uint32_t abi_version;
  uint32_t size;  // of this struct
  const oc_model* model;
  int (*create)(oc_instance** out, const oc_options* options);
  int (*run)(oc_instance* instance, const void* const* inputs, void* const* outputs);
  // The same; nanoseconds[s] is what step s took.
  int (*run_profiled)(oc_instance* instance, const void* const* inputs, void* const* outputs, uint64_t* nanoseconds);
  int (*destroy)(oc_instance* instance);
  const char* (*error_string)(int status);
  const char* (*last_error)(const oc_instance* instance);
  void (*set_parallel_for)(oc_parallel_for parallel_for, void* context);
  int (*num_threads)(const oc_instance* instance);
  // One extent for each axis of the model.
  int (*set_extents)(oc_instance* instance, const int64_t* extents);
  const oc_plan* (*plan)(const oc_instance* instance);  // that the next run takes; null for a bad handle
} oc_library_table;

#ifdef __cplusplus
}
#endif
