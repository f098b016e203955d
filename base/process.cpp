#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace oc {
namespace {

using Clock = std::chrono::steady_clock;

// First byte of what a child sends; the rest is the result or the message.
constexpr char kReturned = 'R';
constexpr char kThrew = 'E';
constexpr char kOutOfMemory = 'M';

constexpr size_t kMaxMessageBytes = 64 << 10;

void set_limit(int resource, rlim_t value) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
  limit.rlim_cur = std::min(value, limit.rlim_max);
  limit.rlim_max = limit.rlim_cur;
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

int64_t mapped_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

void write_all(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) ::_exit(1);
    done += static_cast<size_t>(n);
  }
}

// Everything the child must have before foreign code runs in it.
void enter_child(pid_t parent, const ChildLimits& limits) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // the parent died before the line above took effect
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU})
    ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);

  set_limit(RLIMIT_CORE, 0);
  set_limit(RLIMIT_AS, static_cast<rlim_t>(mapped_bytes() + limits.memory_bytes));
  // The parent watches the wall clock; this only stops a child whose parent no longer looks.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(limits.wall).count() + 1;
  set_limit(RLIMIT_CPU, static_cast<rlim_t>(seconds * std::max(1U, std::thread::hardware_concurrency())));
}

[[noreturn]] void run_body(int fd, const std::function<std::string()>& body) {
  const auto send = [fd](char tag, std::string text, size_t limit) {
    if (text.size() > limit) text.resize(limit);
    write_all(fd, std::string(1, tag));
    write_all(fd, text);
  };
  try {
    send(kReturned, body(), SIZE_MAX);
  } catch (const std::bad_alloc&) {
    write_all(fd, std::string(1, kOutOfMemory));
  } catch (const std::exception& e) {
    send(kThrew, e.what(), kMaxMessageBytes);
  } catch (...) {
    send(kThrew, "an exception of unknown type", kMaxMessageBytes);
  }
  ::_exit(0);
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

ChildResult interpret(int status, std::string received, const ChildLimits& limits) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGXCPU) return {ChildStatus::timeout, "used up its CPU time"};
    // Nobody but the kernel's out-of-memory killer sends this; our own kills are known to the caller.
    if (signal == SIGKILL) return {ChildStatus::out_of_memory, "killed by SIGKILL, probably for want of memory"};
    return {ChildStatus::crashed, signal_name(signal)};
  }
  if (WEXITSTATUS(status) != 0 || received.empty())
    return {ChildStatus::crashed, fmt::format("left with exit status {}", WEXITSTATUS(status))};
  const char tag = received.front();
  received.erase(0, 1);
  if (tag == kOutOfMemory)
    return {ChildStatus::out_of_memory, fmt::format("needs more than {} MiB", limits.memory_bytes >> 20)};
  return {tag == kReturned ? ChildStatus::ok : ChildStatus::failed, std::move(received)};
}

}  // namespace

struct Child::State {
  pid_t pid = -1;
  int fd = -1;
  ChildLimits limits;
  Clock::time_point deadline;
  std::string received;
  bool eof = false;
  bool finished = false;
  ChildResult result;

  // Takes what the pipe holds now. False when the child sent more than it may.
  bool drain() {
    char buffer[1 << 16];
    while (!eof) {
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) break;  // EAGAIN: nothing more for now
      if (n == 0) eof = true;
      received.append(buffer, static_cast<size_t>(n));
      if (static_cast<int64_t>(received.size()) > limits.output_bytes + 1) return false;
    }
    return true;
  }

  [[nodiscard]] bool exited() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
  }

  // Kills the group while the child is not reaped yet, so that its number cannot belong to someone else.
  int reap() {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) remove_temp_dirs_of(pid);
    return status;
  }

  void finish(ChildResult value) {
    result = std::move(value);
    finished = true;
    received = {};
    ::close(fd);
    fd = -1;
  }
};

Child::Child(const std::function<std::string()>& body, const ChildLimits& limits) : state_(new State) {
  int ends[2];
  const auto fail = [this](const char* what) {
    const int error = errno;
    delete state_;
    user_error("cannot start a child process: {}: {}", what, std::generic_category().message(error));
  };
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    fail("fork");
  }
  if (pid == 0) {
    ::close(ends[0]);
    enter_child(parent, limits);
    run_body(ends[1], body);
  }
  ::close(ends[1]);
  ::setpgid(pid, pid);  // the child does the same; whoever comes first
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  state_->pid = pid;
  state_->fd = ends[0];
  state_->limits = limits;
  state_->deadline = Clock::now() + limits.wall;
}

Child::~Child() {
  if (state_ == nullptr) return;
  if (!state_->finished) {
    state_->reap();
    ::close(state_->fd);
  }
  delete state_;
}

Child::Child(Child&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

int Child::fd() const {
  return state_->fd;
}

bool Child::poll() {
  State& s = *state_;
  if (s.finished) return true;
  const bool exited = s.exited();  // asked before draining: what an exited child sent is all in the pipe by now
  if (!s.drain()) {
    s.reap();
    s.finish({ChildStatus::failed, fmt::format("sent more than {} bytes", s.limits.output_bytes)});
  } else if (exited) {
    const int status = s.reap();
    s.finish(interpret(status, std::move(s.received), s.limits));
  } else if (Clock::now() >= s.deadline) {
    s.reap();
    s.finish({ChildStatus::timeout, fmt::format("took longer than {} ms", s.limits.wall.count())});
  }
  return s.finished;
}

ChildResult Child::wait() {
  // A grandchild may keep the pipe open after the child's end, so readiness of the pipe alone is not waited for.
  constexpr int kLookEveryMs = 20;
  while (!poll()) {
    if (state_->eof) {
      ::usleep(100);
      continue;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(state_->deadline - Clock::now()).count();
    pollfd entry{state_->fd, POLLIN, 0};
    ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, kLookEveryMs)));
  }
  return state_->result;
}

ChildResult run_in_child(const std::function<std::string()>& body, const ChildLimits& limits) {
  return Child(body, limits).wait();
}

}  // namespace oc
