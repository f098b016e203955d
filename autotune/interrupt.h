// Ctrl-C as a question instead of a blow: while a guard lives, SIGINT is held back and pending() says whether it came.
// Children that base/process.h starts are in process groups of their own and finish what they do. SIGTERM and SIGKILL
// still end the process at once; at most the trial under way is lost.
#pragma once

#include <csignal>

namespace oc {

class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  // True once SIGINT has arrived, and from then on.
  [[nodiscard]] bool pending();

 private:
  sigset_t before_;
  bool came_ = false;
};

}  // namespace oc
