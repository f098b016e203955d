#include "autotune/measure/bench.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"

namespace oc {
namespace {

constexpr size_t kAlign = 64, kHugePage = 2 << 20;
constexpr size_t kFence = 4096;             // bytes before and after the output that must stay untouched
constexpr auto kGarbage = std::byte{0xdb};  // as floats −1.2e17: what a kernel leaves unwritten is far off

constexpr int64_t kBatchNs = 200'000;  // the clock's own cost and grain are below a thousandth of this
constexpr int64_t kMaxCalls = 20'000;
constexpr int64_t kSpanNs = 60'000'000;  // timing of one candidate, unless so slow that the fewest samples take longer
// Of kernels that use up the caller's patience, of all, at most.
constexpr size_t kSlowSamples = 3, kMinSamples = 7, kMaxSamples = 60;
constexpr size_t kSlowRounds = 5, kMinRounds = 21, kMaxRounds = 101;
constexpr int64_t kDuelSpanNs = 200'000'000;

size_t round_up(size_t n) {
  return (n + kAlign - 1) / kAlign * kAlign;
}

size_t activation_bytes(const Kernel& kernel, const std::vector<Tensor>& inputs) {
  size_t bytes = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!kernel.is_weight(i)) bytes += round_up(inputs[i].bytes.size());
  return bytes;
}

// Whether another sample, or round, is due after `count` that took `spent` nanoseconds.
struct Effort {
  size_t slow, least, most;
  int64_t span_ns;
  [[nodiscard]] bool goes_on(size_t count, int64_t spent, int64_t patience_ns) const {
    return count < slow || (count < least && spent < patience_ns) || (count < most && spent < span_ns);
  }
};
constexpr Effort kSampling{kSlowSamples, kMinSamples, kMaxSamples, kSpanNs};
constexpr Effort kDuelling{kSlowRounds, kMinRounds, kMaxRounds, kDuelSpanNs};

}  // namespace

AlignedBytes::AlignedBytes(size_t n) : size(n) {
  void* memory = nullptr;
  if (::posix_memalign(&memory, n < kHugePage ? kAlign : kHugePage, std::max<size_t>(n, 1)) != 0)
    throw std::bad_alloc();
  bytes.reset(static_cast<std::byte*>(memory));
#ifdef MADV_HUGEPAGE
  if (n >= kHugePage) ::madvise(memory, n, MADV_HUGEPAGE);
#endif
}

void AlignedBytes::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

Bench::Bench(const Kernel& kernel, KernelEntry entry, const std::vector<Tensor>& inputs, int64_t cold_bytes)
    : entry_(entry),
      output_bytes_(static_cast<size_t>(kernel.output().bytes())),
      activations_(activation_bytes(kernel, inputs) + round_up(output_bytes_) + 2 * kFence) {
  buffers_.resize(inputs.size() + 1);
  std::byte* next = activations_.bytes.get();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (kernel.is_weight(i)) {
      weight_places_.push_back({i, weight_stride_});
      weight_stride_ += round_up(inputs[i].bytes.size());
      continue;
    }
    std::ranges::copy(inputs[i].bytes, next);
    buffers_[i].host = next;
    next += round_up(inputs[i].bytes.size());
  }
  if (weight_stride_ > 0) {
    copies_ = 1 + static_cast<size_t>(cold_bytes) / weight_stride_;
    weights_.emplace(copies_ * weight_stride_);
    for (size_t copy = 0; copy < copies_; ++copy)
      for (const Weight& weight : weight_places_)
        std::ranges::copy(inputs[weight.input].bytes, weights_->bytes.get() + copy * weight_stride_ + weight.offset);
  }
  buffers_.back().host = next + kFence;
  args_.push_back(&entry_.user_context);
  for (KernelBuffer& buffer : buffers_) args_.push_back(&buffer);
}

void Bench::call() {
  for (const Weight& weight : weight_places_)
    buffers_[weight.input].host = weights_->bytes.get() + next_copy_ * weight_stride_ + weight.offset;
  if (++next_copy_ == copies_) next_copy_ = 0;
  if (const int32_t code = entry_.argv(args_.data()); code != 0)
    user_error("the kernel returned error {}{}", code,
               entry_.message != nullptr ? fmt::format(": {}", entry_.message(entry_.host)) : "");
}

std::string Bench::run_checked() {
  std::byte* output = buffers_.back().host;
  const std::span fenced(output - kFence, output_bytes_ + 2 * kFence);
  std::ranges::fill(fenced, kGarbage);
  if (entry_.begin != nullptr) entry_.begin(entry_.host);
  call();
  if (entry_.end != nullptr) entry_.end(entry_.host);
  const auto untouched = [](std::byte byte) { return byte == kGarbage; };
  if (!std::ranges::all_of(fenced.first(kFence), untouched) || !std::ranges::all_of(fenced.last(kFence), untouched))
    user_error("the kernel writes outside its output");
  return {reinterpret_cast<const char*>(output), output_bytes_};
}

int64_t Bench::time_calls(int64_t calls) {
  if (entry_.begin != nullptr) entry_.begin(entry_.host);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < calls; ++i) call();
  const auto span = std::chrono::steady_clock::now() - start;
  if (entry_.end != nullptr) entry_.end(entry_.host);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(span).count();
}

int64_t batch_calls(Bench& bench) {
  (void)bench.time_calls(1);  // warm-up: code, activations, page tables
  int64_t calls = 1;
  for (;;) {
    const int64_t span = std::max<int64_t>(1, bench.time_calls(calls));
    if (span >= kBatchNs || calls >= kMaxCalls) return calls;
    calls = std::min(kMaxCalls, std::max(2 * calls, calls * kBatchNs / span + 1));
  }
}

std::vector<int64_t> time_samples(Bench& bench, std::optional<double> hopeless_ns, int64_t patience_ns) {
  const int64_t calls = batch_calls(bench);
  std::vector<int64_t> samples;
  int64_t spent = 0;
  while (kSampling.goes_on(samples.size(), spent, patience_ns)) {
    const int64_t span = bench.time_calls(calls);
    spent += span;
    samples.push_back(std::max<int64_t>(1, span / calls));
    if (hopeless_ns && samples.size() == 2 && static_cast<double>(std::ranges::min(samples)) > *hopeless_ns) break;
  }
  return samples;
}

Duel time_duel(Bench& candidate, Bench& incumbent, int64_t patience_ns) {
  const int64_t candidate_calls = batch_calls(candidate), incumbent_calls = batch_calls(incumbent);
  Duel duel;
  int64_t spent = 0;
  const auto time_one = [&](Bench& bench, int64_t calls, std::vector<int64_t>& samples) {
    const int64_t span = bench.time_calls(calls);
    spent += span;
    samples.push_back(std::max<int64_t>(1, span / calls));
  };
  for (size_t round = 0; kDuelling.goes_on(round, spent, patience_ns); ++round) {
    if (round % 2 == 0) time_one(candidate, candidate_calls, duel.candidate_ns);
    time_one(incumbent, incumbent_calls, duel.incumbent_ns);
    if (round % 2 == 1) time_one(candidate, candidate_calls, duel.candidate_ns);
  }
  return duel;
}

}  // namespace oc
