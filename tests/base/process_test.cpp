#include "base/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "base/files.h"

namespace oc {
namespace {

using namespace std::chrono_literals;

ChildLimits limits(std::chrono::milliseconds wall) {
  ChildLimits l;
  l.wall = wall;
  return l;
}

// Gone, or a zombie nobody reaps (a container's first process may not).
bool ended(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return !(stat >> number >> name >> state) || state == "Z";
}

bool ends_soon(pid_t pid) {
  for (int i = 0; i < 500 && !ended(pid); ++i) ::usleep(10'000);
  return ended(pid);
}

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

TEST(Child, ReturnsWhatTheBodyReturned) {
  const ChildResult result = run_in_child([] { return std::string("a\0b", 3); });
  EXPECT_EQ(result.status, ChildStatus::ok);
  EXPECT_EQ(result.result, std::string("a\0b", 3));
  EXPECT_EQ(run_in_child([] { return std::string(); }).status, ChildStatus::ok);
}

TEST(Child, LargeResultsPassThroughThePipe) {
  const ChildResult result = run_in_child([] { return std::string(8 << 20, 'x'); });
  EXPECT_EQ(result.status, ChildStatus::ok);
  EXPECT_EQ(result.result.size(), size_t{8} << 20);
}

TEST(Child, ExceptionsBecomeFailedWithTheMessage) {
  const ChildResult result = run_in_child([]() -> std::string { throw std::runtime_error("no such tile"); });
  EXPECT_EQ(result.status, ChildStatus::failed);
  EXPECT_EQ(result.result, "no such tile");
  EXPECT_EQ(run_in_child([]() -> std::string { throw 3; }).result, "an exception of unknown type");
}

TEST(Child, CrashesNameTheSignal) {
  const ChildResult segv = run_in_child([]() -> std::string {
    ::raise(SIGSEGV);
    return "";
  });
  EXPECT_EQ(segv.status, ChildStatus::crashed);
  EXPECT_EQ(segv.result, "SIGSEGV");
  EXPECT_EQ(run_in_child([]() -> std::string { std::abort(); }).result, "SIGABRT");
  const ChildResult left = run_in_child([]() -> std::string { ::_exit(3); });
  EXPECT_EQ(left.status, ChildStatus::crashed);
  EXPECT_EQ(left.result, "left with exit status 3");
  EXPECT_EQ(run_in_child([]() -> std::string { ::_exit(0); }).status, ChildStatus::crashed) << "no result was sent";
}

TEST(Child, TimesOut) {
  const auto start = std::chrono::steady_clock::now();
  const ChildResult result = run_in_child([]() -> std::string { sleep_for_ever(); }, limits(100ms));
  EXPECT_EQ(result.status, ChildStatus::timeout);
  EXPECT_EQ(result.result, "took longer than 100 ms");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(Child, MemoryIsLimited) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's allocator ends the process where malloc would refuse";
#endif
  ChildLimits l;
  l.memory_bytes = 256 << 20;
  const auto take = [](size_t bytes) {
    return [bytes] {
      std::vector<char> memory(bytes, 1);
      return std::string(1, memory[bytes / 2]);
    };
  };
  EXPECT_EQ(run_in_child(take(64 << 20), l).status, ChildStatus::ok);
  const ChildResult result = run_in_child(take(size_t{1} << 30), l);
  EXPECT_EQ(result.status, ChildStatus::out_of_memory);
  EXPECT_EQ(result.result, "needs more than 256 MiB");
}

TEST(Child, BeingKilledByTheKernelCountsAsOutOfMemory) {
  const ChildResult result = run_in_child([]() -> std::string {
    ::kill(::getpid(), SIGKILL);
    return "";
  });
  EXPECT_EQ(result.status, ChildStatus::out_of_memory);
}

TEST(Child, OutputIsLimited) {
  ChildLimits l;
  l.output_bytes = 1000;
  EXPECT_EQ(run_in_child([] { return std::string(1000, 'x'); }, l).result.size(), 1000U);
  const ChildResult result = run_in_child([] { return std::string(100 << 20, 'x'); }, l);
  EXPECT_EQ(result.status, ChildStatus::failed);
  EXPECT_EQ(result.result, "sent more than 1000 bytes");
}

TEST(Child, PrintsNowhereAndDropsNoCore) {
  const ChildResult result = run_in_child([] {
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    std::string text = std::to_string(core.rlim_cur);
    for (const char* fd : {"0", "1", "2"}) {
      text += " ";
      text += std::filesystem::read_symlink(std::string("/proc/self/fd/") + fd).string();
    }
    return text;
  });
  EXPECT_EQ(result.result, "0 /dev/null /dev/null /dev/null");
}

TEST(Child, ATimeoutKillsTheWholeGroup) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const ChildResult result = run_in_child(
      [&]() -> std::string {
        const pid_t grandchild = ::fork();
        if (grandchild == 0) sleep_for_ever();
        if (::write(ends[1], &grandchild, sizeof grandchild) < 0) return "";
        sleep_for_ever();
      },
      limits(300ms));
  EXPECT_EQ(result.status, ChildStatus::timeout);
  pid_t grandchild = 0;
  ASSERT_EQ(::read(ends[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  EXPECT_TRUE(ends_soon(grandchild));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Child, AGrandchildHoldingThePipeDelaysNothing) {
  const auto start = std::chrono::steady_clock::now();
  const ChildResult result = run_in_child([]() -> std::string {
    if (::fork() == 0) sleep_for_ever();
    return "done";
  });
  EXPECT_EQ(result.status, ChildStatus::ok);
  EXPECT_EQ(result.result, "done");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(Child, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  // The outer child starts an inner one and is killed at once, without a chance to clean up.
  (void)run_in_child([&]() -> std::string {
    const Child inner(
        [&]() -> std::string {
          const pid_t self = ::getpid();
          if (::write(ends[1], &self, sizeof self) < 0) return "";
          sleep_for_ever();
        },
        ChildLimits{});
    pollfd entry{ends[0], POLLIN, 0};
    ::poll(&entry, 1, 5000);
    ::kill(::getpid(), SIGKILL);
    return "";
  });
  pid_t inner = 0;
  ASSERT_EQ(::read(ends[0], &inner, sizeof inner), static_cast<ssize_t>(sizeof inner));
  EXPECT_TRUE(ends_soon(inner));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Child, ItsTemporaryFoldersGoEvenWhenItIsKilled) {
  const std::string note = (TempDir().path().parent_path() / "opencompiler-note").string();
  const ChildResult result = run_in_child(
      [&]() -> std::string {
        const TempDir folder;
        write_file_atomic(folder.path() / "left", "something");
        write_file_atomic(note, folder.path().string());
        for (;;) ::pause();
      },
      {.wall = std::chrono::milliseconds(300)});
  EXPECT_EQ(result.status, ChildStatus::timeout);
  const std::string folder = read_file(note);
  std::filesystem::remove(note);
  EXPECT_NE(folder, "");
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Child, SeveralAtOnce) {
  std::vector<Child> children;
  for (int i = 0; i < 5; ++i)
    children.emplace_back(
        [i] {
          ::usleep(static_cast<useconds_t>(10'000 * (5 - i)));
          return std::to_string(i);
        },
        ChildLimits{});
  std::vector<std::string> results;
  for (Child& child : children) results.push_back(child.wait().result);
  EXPECT_EQ(results, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

TEST(Child, PollNeverBlocksAndDestructionKills) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    Child child(
        [&]() -> std::string {
          const pid_t self = ::getpid();
          if (::write(ends[1], &self, sizeof self) < 0) return "";
          sleep_for_ever();
        },
        ChildLimits{});
    EXPECT_FALSE(child.poll());
    Child moved = std::move(child);
    EXPECT_FALSE(moved.poll());
    pollfd entry{ends[0], POLLIN, 0};
    ::poll(&entry, 1, 5000);
  }
  pid_t pid = 0;
  ASSERT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  EXPECT_TRUE(ended(pid));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Child, CpuTimeIsLimitedEvenIfNobodyPolls) {
  const ChildResult result = run_in_child(
      [] {
        rlimit cpu{};
        ::getrlimit(RLIMIT_CPU, &cpu);
        return std::string(cpu.rlim_cur == RLIM_INFINITY ? "unlimited" : "limited");
      },
      limits(2s));
  EXPECT_EQ(result.result, "limited");
}

}  // namespace
}  // namespace oc
