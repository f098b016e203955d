#include "autotune/measure/calibrate.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "autotune/measure/bench.h"

namespace oc {
namespace {

using Clock = std::chrono::steady_clock;

// Vectors of the compiler's own kind: the attribute on each function decides which instructions they become.
template <int bytes>
using Floats [[gnu::vector_size(bytes)]] = float;

// `rounds` × kChains independent multiply-adds; kChains covers latency × pipes of every core so far and stays within
// the registers (12 of 16 with AVX2, 24 of 32 else). Returns the sum, so that nothing is optimised away.
template <class V, int chains>
[[gnu::always_inline]] inline float fma_rounds(int64_t rounds) {
  V acc[chains];
  for (int i = 0; i < chains; ++i) acc[i] = V{} + static_cast<float>(i);
  V scale = V{} + 0.9999f, step = V{} + 1.0001f;
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) acc[i] = acc[i] * scale + step;
  }
  V sum{};
  for (int i = 0; i < chains; ++i) sum += acc[i];
  return sum[0];
}

// Sums `count` floats; eight accumulators, so that loads and not latency decide.
template <class V>
[[gnu::always_inline]] inline float read_all(const float* data, size_t count) {
  constexpr size_t kLanes = sizeof(V) / sizeof(float);
  V acc[8] = {};
  for (size_t i = 0; i + 8 * kLanes <= count; i += 8 * kLanes) {
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) acc[j] += *reinterpret_cast<const V*>(data + i + j * kLanes);
  }
  V sum{};
  for (const V& part : acc) sum += part;
  return sum[0];
}

struct Probe {
  int lanes = 4, chains = 24;
  float (*fma)(int64_t) = nullptr;
  float (*read)(const float*, size_t) = nullptr;
};

#if defined(__x86_64__)
[[gnu::target("avx512f")]] float fma_avx512(int64_t rounds) {
  return fma_rounds<Floats<64>, 24>(rounds);
}
[[gnu::target("avx512f")]] float read_avx512(const float* data, size_t n) {
  return read_all<Floats<64>>(data, n);
}
[[gnu::target("avx2,fma")]] float fma_avx2(int64_t rounds) {
  return fma_rounds<Floats<32>, 12>(rounds);
}
[[gnu::target("avx2,fma")]] float read_avx2(const float* data, size_t n) {
  return read_all<Floats<32>>(data, n);
}
#endif
float fma_plain(int64_t rounds) {
  return fma_rounds<Floats<16>, 12>(rounds);
}
float read_plain(const float* data, size_t n) {
  return read_all<Floats<16>>(data, n);
}

Probe probe_for([[maybe_unused]] const Target& target) {
#if defined(__x86_64__)
  if (target.vector_bytes >= 64) return {16, 24, fma_avx512, read_avx512};
  if (target.has("fma") && target.vector_bytes >= 32) return {8, 12, fma_avx2, read_avx2};
#endif
  return {4, 12, fma_plain, read_plain};
}

constexpr double kSeconds = 0.2;  // of runs, then no more

// The shortest of several runs of `body` on every thread at once. The threads stay between them: new ones share a core
// until the system has spread them out, and look half as fast.
double best_seconds(int threads, const std::function<void(int)>& body) {
  double best = std::numeric_limits<double>::infinity(), sum = 0;
  std::barrier together(threads);
  const auto runs = [&](int thread) {
    for (;;) {
      together.arrive_and_wait();
      if (sum >= kSeconds) return;
      const auto start = Clock::now();
      body(thread);
      together.arrive_and_wait();
      if (thread != 0) continue;
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      best = std::min(best, seconds);
      sum += seconds;
    }
  };
  std::vector<std::jthread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(runs, t);
  runs(0);
  return best;
}

}  // namespace

Calibration calibrate_host(const Target& target, int threads) {
  threads = std::min(threads, host_machine().cores);
  const Probe probe = probe_for(target);
  std::vector<float> sink(static_cast<size_t>(threads) * 16);  // a cache line each
  const auto keep = [&](int thread, float value) {
    static_cast<volatile float&>(sink[static_cast<size_t>(thread) * 16]) = value;
  };

  Calibration result;
  constexpr int64_t kRounds = 800'000;
  const double fma = best_seconds(threads, [&](int t) { keep(t, probe.fma(kRounds)); });
  result.flops = 2.0 * static_cast<double>(kRounds) * probe.chains * probe.lanes * threads / fma;

  // Of twice its size a last cache that keeps what is pushed out of others still holds a third.
  constexpr int64_t kLeast = 64 << 20, kMost = 512 << 20;
  const int64_t beyond = std::max(2 * target.l3_bytes, std::min(kMost, 8 * target.l3_bytes));
  const size_t count = static_cast<size_t>(std::max(kLeast, beyond)) / sizeof(float);
  const AlignedBytes memory(count * sizeof(float));  // in the pages that candidates have
  auto* data = reinterpret_cast<float*>(memory.bytes.get());
  std::fill_n(data, count, 1.0f);
  const size_t share = count / static_cast<size_t>(threads) / 128 * 128;
  const double read =
      best_seconds(threads, [&](int t) { keep(t, probe.read(data + static_cast<size_t>(t) * share, share)); });
  result.bandwidth = static_cast<double>(share * sizeof(float)) * threads / read;

  constexpr int kPasses = 1024;
  const size_t cached = static_cast<size_t>(target.l2_bytes / 2) / sizeof(float) / 128 * 128;
  const size_t cached_share = std::min(cached, share);
  const double hot = best_seconds(threads, [&](int t) {
    for (int pass = 0; pass < kPasses; ++pass) keep(t, probe.read(data + static_cast<size_t>(t) * share, cached_share));
  });
  result.cached_bandwidth = static_cast<double>(cached_share * sizeof(float)) * kPasses * threads / hot;
  return result;
}

}  // namespace oc
