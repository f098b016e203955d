// The layout of the embedded runtime's `parallel_task`, which no header declares.
#include "runtime/embedded/parallel.c"

#define FIELD(name) offsetof(parallel_task, name)
const size_t oc_test_task_layout[10] = {
    sizeof(parallel_task), FIELD(function), FIELD(closure), FIELD(name),        FIELD(semaphores),
    FIELD(num_semaphores), FIELD(min),      FIELD(extent),  FIELD(min_threads), FIELD(serial),
};
