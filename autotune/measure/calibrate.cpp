#include "autotune/measure/calibrate.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <functional>
#include <limits>
#include <optional>
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

}  // namespace

double shortest_run(int threads, const std::function<void(int)>& body) {
  // Of runs, then no more are begun. Several threads share a core until the system has spread them out.
  const double span = threads == 1 ? 0.05 : 0.2;
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  std::optional<Clock::time_point> before;
  // In the last thread to arrive, before any goes on: none runs while the clock stands.
  const auto lap = [&]() noexcept {
    const auto now = Clock::now();
    if (before) {
      const double seconds = std::chrono::duration<double>(now - *before).count();
      best = std::min(best, seconds);
      spent += seconds;
    }
    before = now;
  };
  std::barrier together(threads, lap);
  const auto runs = [&](int thread) {
    for (together.arrive_and_wait(); spent < span; together.arrive_and_wait()) body(thread);
  };
  std::vector<std::jthread> others;
  try {
    for (int t = 1; t < threads; ++t) others.emplace_back(runs, t);
  } catch (...) {  // those that have started must not wait for the others
    spent = span;
    (void)together.arrive(threads - std::ssize(others));
    throw;
  }
  runs(0);
  return best;
}

Calibration calibrate_host(const Target& target, int threads) {
  threads = std::min(threads, host_machine().cores);
  const Probe probe = probe_for(target);
  std::vector<float> sink(static_cast<size_t>(threads) * 16);  // a cache line each
  const auto keep = [&](int thread, float value) {
    static_cast<volatile float&>(sink[static_cast<size_t>(thread) * 16]) = value;
  };

  Calibration result;
  constexpr int64_t kRounds = 1'600'000;  // some milliseconds: many times what waking takes
  const double fma = shortest_run(threads, [&](int t) { keep(t, probe.fma(kRounds)); });
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
      shortest_run(threads, [&](int t) { keep(t, probe.read(data + static_cast<size_t>(t) * share, share)); });
  result.bandwidth = static_cast<double>(share * sizeof(float)) * threads / read;

  constexpr int kPasses = 1024;  // some milliseconds, too
  const size_t cached = static_cast<size_t>(target.l2_bytes / 2) / sizeof(float) / 128 * 128;
  const size_t cached_share = std::min(cached, share);
  const double hot = shortest_run(threads, [&](int t) {
    for (int pass = 0; pass < kPasses; ++pass) keep(t, probe.read(data + static_cast<size_t>(t) * share, cached_share));
  });
  result.cached_bandwidth = static_cast<double>(cached_share * sizeof(float)) * kPasses * threads / hot;
  return result;
}

}  // namespace oc
