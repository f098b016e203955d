// The host of a single kernel, for measuring: a user_context with a pool and scratch memory for a number of threads.
// See generators/link.h.
#include "team.h"

// `threads` ≤ 0: as many as the process may use. Null when out of memory.
OC_EXPORT oc_team* oc_host_create(int threads);
// The user_context to call the kernel with.
OC_EXPORT void* oc_host_context(oc_team* team);
// Around each batch of calls: between them the workers spin.
OC_EXPORT void oc_host_begin(oc_team* team);
OC_EXPORT void oc_host_end(oc_team* team);
OC_EXPORT void oc_host_destroy(oc_team* team);
// What went wrong in the last batch; "" if nothing.
OC_EXPORT const char* oc_host_message(const oc_team* team);

oc_team* oc_host_create(int threads) {
  const int n = oc_resolve_threads(threads < 0 ? 0 : threads, 0);
  const size_t head = oc_round_up(sizeof(oc_team), kCacheLine);
  oc_team* team = oc_allocate(head + oc_team_bytes(n));
  if (!team) return NULL;
  oc_team_init(team, n, (char*)team + head);
  return team;
}

void* oc_host_context(oc_team* team) {
  return &team->contexts[0];
}
void oc_host_begin(oc_team* team) {
  oc_team_begin(team);
}
void oc_host_end(oc_team* team) {
  oc_team_end(team);
}

void oc_host_destroy(oc_team* team) {
  oc_team_destroy(team);
  free(team);
}

const char* oc_host_message(const oc_team* team) {
  return atomic_load(&team->has_message) ? team->message : "";
}
