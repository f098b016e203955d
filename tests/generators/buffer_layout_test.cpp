// Kernels pass Halide's structs; the embedded runtime, which has no headers but its own, declares structs like them.
#include <HalideRuntime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

extern "C" {
extern const size_t oc_test_buffer_layout[9];  // size, then the fields' offsets
extern const size_t oc_test_task_layout[10];
}

namespace {

#define FIELD(name) offsetof(T, name)

TEST(EmbeddedRuntime, ItsBufferIsHalides) {
  using T = halide_buffer_t;
  EXPECT_THAT(oc_test_buffer_layout,
              testing::ElementsAre(sizeof(T), FIELD(device), FIELD(device_interface), FIELD(host), FIELD(flags),
                                   FIELD(type), FIELD(dimensions), FIELD(dim), FIELD(padding)));
  EXPECT_EQ(sizeof(halide_type_t), sizeof(uint32_t));  // the type is kept as one number
}

TEST(EmbeddedRuntime, ItsParallelTaskIsHalides) {
  using T = halide_parallel_task_t;
  EXPECT_THAT(oc_test_task_layout, testing::ElementsAre(sizeof(T), FIELD(fn), FIELD(closure), FIELD(name),
                                                        FIELD(semaphores), FIELD(num_semaphores), FIELD(min),
                                                        FIELD(extent), FIELD(min_threads), FIELD(serial)));
}

}  // namespace
