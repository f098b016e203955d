#include "team.h"

// The header before each scratch block. Blocks of one participant nest like its calls; a block freed out of order is
// marked and goes when those above it have gone.
typedef struct oc_block {
  size_t previous;                   // offset of the block below
  size_t bytes;                      // of the payload
  struct oc_block *older, *younger;  // of a block from malloc
  bool freed;
  bool from_malloc;
} block;

enum { kHeader = kCacheLine };
_Static_assert(sizeof(block) <= kHeader, "the header keeps payloads aligned");
_Static_assert(sizeof(oc_context) % kCacheLine == 0, "contexts share no cache line");

static const size_t kNoBlock = (size_t)-1;

int oc_guard(oc_context* context, int (*body)(oc_context*, void*), void* argument) {
  oc_registers registers;
  oc_registers* const outer = context->way_out;
  context->way_out = &registers;
  const int rc = _setjmp(&registers) == 0 ? body(context, argument) : -1;
  context->way_out = outer;
  return rc;
}

void oc_give_up(oc_context* context) {
  longjmp(context->way_out, 1);
}

static _Noreturn void starve(oc_context* c) {
  atomic_store_explicit(&c->team->starved, true, memory_order_relaxed);
  oc_team_fail(c->team, "out of memory for a kernel's temporaries");
  oc_give_up(c);
}

static void give_back(oc_context* c, block* b) {
  if (b->younger) {
    b->younger->older = b->older;
  } else {
    c->borrowed = b->older;
  }
  if (b->older) b->older->younger = b->younger;
  c->overflow -= kHeader + b->bytes;
  free(b);
}

void* halide_malloc(void* user_context, size_t bytes) {
  oc_context* c = user_context;
  if (bytes > (size_t)1 << 48) starve(c);
  const size_t payload = oc_round_up(bytes + 8, kCacheLine);  // kernels may read 8 bytes past the end
  const size_t need = kHeader + payload;
  const size_t in_use = c->top + c->overflow + need;
  if (in_use > c->peak) c->peak = in_use;
  block* b = NULL;
  if (c->scratch_bytes - c->top >= need) {
    b = (block*)(c->scratch + c->top);
    *b = (block){.previous = c->last, .bytes = payload};
    c->last = c->top;
    c->top += need;
  } else {
    b = oc_allocate(need);
    if (!b) starve(c);
    *b = (block){.bytes = payload, .from_malloc = true, .older = c->borrowed};
    if (b->older) b->older->younger = b;
    c->borrowed = b;
    c->overflow += need;
  }
  return (char*)b + kHeader;
}

void halide_free(void* user_context, void* payload) {
  oc_context* c = user_context;
  if (!payload) return;
  block* b = (block*)((char*)payload - kHeader);
  if (b->from_malloc) {
    give_back(c, b);
    return;
  }
  b->freed = true;
  while (c->last != kNoBlock && ((block*)(c->scratch + c->last))->freed) {
    c->top = c->last;
    c->last = ((block*)(c->scratch + c->last))->previous;
  }
}

size_t oc_team_bytes(int num_threads) {
  return sizeof(oc_context) * (size_t)num_threads;
}

void oc_team_init(oc_team* team, int num_threads, void* memory) {
  memset(memory, 0, oc_team_bytes(num_threads));
  memset(team, 0, sizeof *team);
  team->contexts = memory;
  team->num_threads = num_threads;
  for (int i = 0; i < num_threads; ++i) {
    team->contexts[i].team = team;
    team->contexts[i].last = kNoBlock;
  }
  if (num_threads > 1) {
    team->holds_pool = true;
    oc_pool_acquire(num_threads);
  }
}

void oc_team_destroy(oc_team* team) {
  for (int i = 0; i < team->num_threads; ++i) oc_unmap(team->contexts[i].scratch, team->contexts[i].scratch_bytes);
  if (team->holds_pool) oc_pool_release();
}

void oc_team_begin(oc_team* team) {
  atomic_store_explicit(&team->has_message, 0, memory_order_relaxed);
  atomic_store_explicit(&team->failed, 0, memory_order_relaxed);
  atomic_store_explicit(&team->starved, false, memory_order_relaxed);
  atomic_store_explicit(&team->in_loop, false, memory_order_relaxed);  // a run that starved may have left it
  team->awake = team->num_threads > 1 && oc_pool_begin();
}

void oc_team_end(oc_team* team) {
  if (team->awake) oc_pool_end();
  for (int i = 0; i < team->num_threads; ++i) {
    oc_context* c = &team->contexts[i];
    // Blocks of a run that failed half-way may still stand; a kernel that failed frees nothing later.
    while (c->borrowed) give_back(c, c->borrowed);
    c->top = 0;
    c->last = kNoBlock;
    if (c->peak <= c->scratch_bytes) continue;
    void* memory = oc_map(c->peak);
    if (!memory) continue;  // malloc goes on serving what does not fit
    oc_unmap(c->scratch, c->scratch_bytes);
    c->scratch = memory;
    c->scratch_bytes = c->peak;
  }
}

void oc_team_fail(oc_team* team, const char* message) {
  int expected = 0;
  if (!atomic_compare_exchange_strong(&team->has_message, &expected, 1)) return;
  size_t n = strlen(message);
  if (n >= kMessageBytes) n = kMessageBytes - 1;
  memcpy(team->message, message, n);
  team->message[n] = 0;
}

void halide_error(void* user_context, const char* message) {
  oc_team_fail(((oc_context*)user_context)->team, message);
}

// Kernels are built without assertions; these answer the ones that a later Halide may still emit.
#define OC_HALIDE_ERROR(name)                                                       \
  int halide_error_##name(void* user_context, ...);                                 \
  int halide_error_##name(void* user_context, ...) {                                \
    oc_team_fail(((oc_context*)user_context)->team, "kernel check failed: " #name); \
    return -1;                                                                      \
  }
OC_HALIDE_ERROR(access_out_of_bounds)
OC_HALIDE_ERROR(bad_dimensions)
OC_HALIDE_ERROR(bad_fold)
OC_HALIDE_ERROR(bad_extern_fold)
OC_HALIDE_ERROR(bad_type)
OC_HALIDE_ERROR(buffer_allocation_too_large)
OC_HALIDE_ERROR(buffer_argument_is_null)
OC_HALIDE_ERROR(buffer_extents_negative)
OC_HALIDE_ERROR(buffer_extents_too_large)
OC_HALIDE_ERROR(constraint_violated)
OC_HALIDE_ERROR(constraints_make_required_region_smaller)
OC_HALIDE_ERROR(device_dirty_with_no_device_support)
OC_HALIDE_ERROR(explicit_bounds_too_small)
OC_HALIDE_ERROR(fold_factor_too_small)
OC_HALIDE_ERROR(host_and_device_dirty)
OC_HALIDE_ERROR(host_is_null)
OC_HALIDE_ERROR(out_of_memory)
OC_HALIDE_ERROR(requirement_failed)
OC_HALIDE_ERROR(specialize_fail)
OC_HALIDE_ERROR(split_factor_not_positive)
OC_HALIDE_ERROR(storage_bound_too_small)
