// Child processes. A forked child runs one function under limits; the parent learns how it ended and what it sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace oc {

struct ChildLimits {
  std::chrono::milliseconds wall{60'000};
  int64_t memory_bytes = int64_t{8} << 30;  // RLIMIT_AS above what the parent already maps
  int64_t output_bytes = 64 << 20;          // of the result sent through the pipe; more is an error
};

// failed: the function threw, `result` is its message.
enum class ChildStatus { ok, failed, crashed, timeout, out_of_memory };

struct ChildResult {
  ChildStatus status = ChildStatus::ok;
  std::string result;  // what the function returned, or what went wrong (signal name, limit)
};

// Forks, runs `body` in the child and returns what it returned. The child dies with its parent (PR_SET_PDEATHSIG), has
// no core file, its stdout and stderr go to /dev/null, and it leaves with _exit. Call from a single-threaded process.
[[nodiscard]] ChildResult run_in_child(const std::function<std::string()>& body, const ChildLimits& limits = {});

// The same, several at once: start, then poll or wait. Destruction kills and reaps.
class Child {
 public:
  Child(const std::function<std::string()>& body, const ChildLimits& limits);
  ~Child();
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;
  [[nodiscard]] int fd() const;      // readable when there is something to poll for
  [[nodiscard]] bool poll();         // true once finished; never blocks; enforces the limits
  [[nodiscard]] ChildResult wait();  // blocks

 private:
  struct State;
  State* state_;
};

}  // namespace oc
