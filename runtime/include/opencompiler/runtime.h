/* Opens and runs compiled models: the shared libraries that `opencompiler compile` writes. C99 and C++.
 *
 *   oc_module* module;
 *   oc_session* session;
 *   if (oc_module_open("libmodel.so", &module) || oc_session_create(module, NULL, &session)) return puts(oc_message());
 *   const void* inputs[] = {x};
 *   void* outputs[] = {y};
 *   if (oc_session_run(session, inputs, outputs)) puts(oc_message());
 *   oc_session_destroy(session);
 *   oc_module_close(module);
 *
 * A module may be used from any number of threads, a session from one at a time. Tensors are dense, row-major and stay
 * the caller's. Opening a library runs its code: it is trusted.
 *
 * A null module or session is answered with OC_NULL_ARGUMENT, or 0 or "" where no status is returned. Handles are plain
 * pointers: none may be used after its destroy or close; a module closed while it has sessions serves those alone. */
#ifndef OPENCOMPILER_RUNTIME_H
#define OPENCOMPILER_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OC_RUNTIME_VERSION 2
#define OC_API __attribute__((visibility("default")))

typedef int oc_status; /* 0 = OC_OK */
enum {
#define OC_STATUS(name, code, text) OC_##name = code,
#include "opencompiler/status.inc"
#undef OC_STATUS
  OC_LAST_STATUS_UNUSED = 0x7fffffff
};

typedef struct oc_module oc_module;
typedef struct oc_session oc_session;

typedef struct oc_tensor {
  const char* name;
  const char* dtype; /* f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64 u64 bool */
  const int64_t* shape;
  size_t rank;
  size_t elements;
  size_t bytes;
} oc_tensor;

/* An extent that the library leaves to its caller: low, low + step, … high. It is so many dims of inputs, one at least:
 * oc_module_axis_dim. */
typedef struct oc_axis_info {
  const char* name;
  int64_t low;
  int64_t high;
  int64_t step;
  size_t num_dims;
} oc_axis_info;

typedef struct oc_session_options {
  size_t size;     /* sizeof(oc_session_options) */
  int num_threads; /* 0: $OPENCOMPILER_NUM_THREADS, $OMP_NUM_THREADS, else the CPUs this process may use */
  void* arena;     /* null: allocated; else 64-byte aligned memory of oc_module_arena_bytes that outlives the session */
  size_t arena_bytes;
} oc_session_options;

OC_API const char* oc_status_string(oc_status status);
/* What went wrong in this thread's last failed call, in detail; "" before the first. Valid until the next failure. */
OC_API const char* oc_message(void);

/* Weights that lie in a file beside the library are read into private memory, in huge pages where the system has them,
 * which modules share that have the file; it may change or go afterwards. OC_BAD_WEIGHTS: that file is missing, of
 * another size or cannot be read. */
OC_API oc_status oc_module_open(const char* path, oc_module** out);
/* The library stays loaded until its last session is destroyed. Null is allowed. */
OC_API void oc_module_close(oc_module* module);

OC_API const char* oc_module_name(const oc_module* module);
OC_API size_t oc_module_num_inputs(const oc_module* module);
OC_API size_t oc_module_num_outputs(const oc_module* module);
/* The strings and the shape live as long as the module. Of a library for several shapes they are the largest. */
OC_API oc_status oc_module_input(const oc_module* module, size_t index, oc_tensor* out);
OC_API oc_status oc_module_output(const oc_module* module, size_t index, oc_tensor* out);
/* 0: a library for one shape of each input. */
OC_API size_t oc_module_num_axes(const oc_module* module);
OC_API oc_status oc_module_axis(const oc_module* module, size_t index, oc_axis_info* out);
OC_API oc_status oc_module_axis_dim(const oc_module* module, size_t axis, size_t index, size_t* input, size_t* dim);
OC_API size_t oc_module_num_metadata(const oc_module* module);
OC_API oc_status oc_module_metadata(const oc_module* module, size_t index, const char** key, const char** value);
/* Enough for all shapes. */
OC_API size_t oc_module_arena_bytes(const oc_module* module);
OC_API size_t oc_module_weights_bytes(const oc_module* module);
/* Where weights of a file beside the library lie in memory, which modules with one file share; null without one. */
OC_API const void* oc_module_weights(const oc_module* module);
/* Steps of a run, in order: kernels and copies; with the largest shapes. */
OC_API size_t oc_module_num_steps(const oc_module* module);
OC_API const char* oc_module_step(const oc_module* module, size_t index);

/* `options` null: defaults. */
OC_API oc_status oc_session_create(oc_module* module, const oc_session_options* options, oc_session** out);
/* Chooses the shapes of the runs from now on, one for each input, as long as its rank; before, they are the largest.
 * OC_BAD_EXTENTS, and no change: the library was not compiled for them. Takes microseconds. */
OC_API oc_status oc_session_set_shapes(oc_session* session, const int64_t* const* shapes);
/* At the shapes chosen. */
OC_API oc_status oc_session_input(const oc_session* session, size_t index, oc_tensor* out);
OC_API oc_status oc_session_output(const oc_session* session, size_t index, oc_tensor* out);
OC_API size_t oc_session_num_steps(const oc_session* session);
OC_API const char* oc_session_step(const oc_session* session, size_t index);
/* One pointer per input and output, in the order of the module. */
OC_API oc_status oc_session_run(oc_session* session, const void* const* inputs, void* const* outputs);
/* The same; nanoseconds[step] is what each of the oc_session_num_steps took. */
OC_API oc_status oc_session_run_profiled(oc_session* session, const void* const* inputs, void* const* outputs,
                                         uint64_t* nanoseconds);
OC_API int oc_session_num_threads(const oc_session* session);
OC_API void oc_session_destroy(oc_session* session); /* null is allowed */

#ifdef __cplusplus
}
#endif
#endif
