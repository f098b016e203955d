// The layout of the embedded runtime's `buffer`, which no header declares.
#include "runtime/embedded/library.c"

const oc_model oc_data = {0};

#define FIELD(name) offsetof(buffer, name)
const size_t oc_test_buffer_layout[9] = {
    sizeof(buffer),    FIELD(device), FIELD(device_interface), FIELD(host), FIELD(flags), FIELD(type),
    FIELD(dimensions), FIELD(dim),    FIELD(padding),
};
