#include "autotune/interrupt.h"

#include <ctime>

namespace oc {
namespace {

sigset_t only_sigint() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

InterruptGuard::InterruptGuard() : before_() {
  const sigset_t set = only_sigint();
  sigprocmask(SIG_BLOCK, &set, &before_);
}

InterruptGuard::~InterruptGuard() {
  (void)pending();  // one that came too late is taken along, or it would end the process while it reports
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool InterruptGuard::pending() {
  const sigset_t set = only_sigint();
  const timespec at_once{};
  while (sigtimedwait(&set, nullptr, &at_once) == SIGINT) came_ = true;
  return came_;
}

}  // namespace oc
