// Inside a measuring child: one kernel loaded with its data in place, checked and timed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autotune/stats.h"
#include "base/tensor.h"
#include "dsl/kernel.h"

namespace oc {

// `int32_t <symbol>_argv(void** args)` with the host it runs on (generators/link.h). Calls stand between begin and end;
// null where a host has nothing to do there.
struct KernelEntry {
  int32_t (*argv)(void**) = nullptr;
  void* user_context = nullptr;
  void* host = nullptr;
  void (*begin)(void* host) = nullptr;
  void (*end)(void* host) = nullptr;
  const char* (*message)(void* host) = nullptr;
};

// What a kernel sees of a tensor: Halide's halide_buffer_t, of which compiled-in extents leave only `host` to be read.
struct KernelBuffer {
  uint64_t device = 0;
  const void* device_interface = nullptr;
  std::byte* host = nullptr;
  uint64_t flags = 0;
  uint8_t type_code = 0, type_bits = 0;
  uint16_t type_lanes = 1;
  int32_t dimensions = 0;
  void* dim = nullptr;
  void* padding = nullptr;
};
static_assert(sizeof(void*) != 8 || sizeof(KernelBuffer) == 56);

// Bytes at a 64-byte boundary, uninitialised. From 2 MB on in huge pages, as the arena of every library and the weights
// of those in the cache (docs/decisions/0003-weights-in-huge-pages.md).
struct AlignedBytes {
  explicit AlignedBytes(size_t size);
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::unique_ptr<std::byte[], Free> bytes;
  size_t size;
};

class Bench {
 public:
  // Copies the inputs. The weights among them are laid down several times, `cold_bytes` or more in all.
  Bench(const Kernel& kernel, KernelEntry entry, const std::vector<Tensor>& inputs, int64_t cold_bytes);

  // Runs once over an output of known garbage and returns it. UserError when the kernel returns an error or writes
  // outside.
  [[nodiscard]] std::string run_checked();

  // Nanoseconds of `calls` calls in a row, each with the next copy of the weights; waking and ending workers not
  // included.
  [[nodiscard]] int64_t time_calls(int64_t calls);

 private:
  void call();

  KernelEntry entry_;
  size_t output_bytes_;
  AlignedBytes activations_;  // the inputs, one after the other as in a library, and the output between its fences
  std::optional<AlignedBytes> weights_;
  size_t weight_stride_ = 0, copies_ = 1, next_copy_ = 0;
  struct Weight {
    size_t input, offset;  // which input, and where it lies in a copy
  };
  std::vector<Weight> weight_places_;
  std::vector<KernelBuffer> buffers_;  // of the inputs, then of the output
  std::vector<void*> args_;
};

// Calls per batch so that one batch is long enough for the clock, found by trying.
[[nodiscard]] int64_t batch_calls(Bench& bench);

// Batches until the median is settled: samples in nanoseconds per call. Two batches beyond `hopeless_ns` end it. At
// least 7, or 3 once they have taken `patience_ns`.
[[nodiscard]] std::vector<int64_t> time_samples(Bench& bench, std::optional<double> hopeless_ns, int64_t patience_ns);

// Rounds of both in turns, the order swapped each time. At least 21, or 5 once they have taken `patience_ns`.
[[nodiscard]] Duel time_duel(Bench& candidate, Bench& incumbent, int64_t patience_ns);

}  // namespace oc
