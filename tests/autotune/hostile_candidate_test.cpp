// Candidates that misbehave, through the real measurer and its children: each gets its status and a message, none wins,
// and the next candidate is measured as if nothing had been.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencompiler/dsl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "autotune/measure/kernel_measurer.h"
#include "autotune/tune.h"
#include "tests/autotune/workloads.h"

// What a kernel calls as it runs; the kernel's library finds them in this program.
#define OC_CANDIDATE extern "C" [[gnu::used, gnu::visibility("default")]] float

OC_CANDIDATE oc_test_crashes(float x) {
  (void)::raise(SIGSEGV);
  return x;
}
OC_CANDIDATE oc_test_hangs(float) {
  for (;;) ::pause();
}
OC_CANDIDATE oc_test_exits(float) {
  ::_exit(0);
}
// Up to 100 GB, and every byte of it in use.
OC_CANDIDATE oc_test_eats_memory(float x) {
  constexpr size_t kBlock = 64 << 20;
  for (size_t eaten = 0; eaten < size_t{100} << 30; eaten += kBlock) {
    void* memory = std::malloc(kBlock);
    if (memory == nullptr) std::abort();  // as code does that cannot go on
    std::memset(memory, 1, kBlock);
  }
  return x;
}
// 1 GB to standard output and error.
OC_CANDIDATE oc_test_prints(float x) {
  static bool done = false;
  static char block[1 << 20];
  for (int i = 0; i < 1024 && !done; ++i) (void)!::write(1 + i % 2, block, sizeof block);
  done = true;
  return 2 * x;
}
// A fifth of a second a run of the kernel, which calls this for each of its elements.
static constexpr int64_t kRows = 64, kColumns = 512;
OC_CANDIDATE oc_test_sleeps(float x) {
  static int64_t elements = 0;
  if (elements++ % (kRows * kColumns) == 0) ::usleep(200'000);
  return 2 * x;
}
// Into the pipe by which the child sends its result, all it takes or a few bytes that look like one.
static void write_into_pipes(const char* bytes, size_t size, bool for_ever) {
  for (int fd = 3; fd < 100; ++fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode)) continue;
    while (::write(fd, bytes, size) > 0 && for_ever) {
    }
  }
}
OC_CANDIDATE oc_test_floods_the_pipe(float x) {
  static char block[1 << 16];
  write_into_pipes(block, sizeof block, true);
  return x;
}
OC_CANDIDATE oc_test_scribbles_into_the_pipe(float x) {
  static bool done = false;
  if (!done) write_into_pipes("R{", 2, false);
  done = true;
  return 2 * x;
}

namespace oc {
namespace {

using namespace std::chrono_literals;

enum class Deed : uint8_t {
  honest,
  // while it is built
  build_crashes,
  build_hangs,
  build_eats_memory,
  build_refuses,
  build_prints,
  // when it runs
  crashes,
  hangs,
  exits,
  eats_memory,
  prints,
  sleeps,
  floods_the_pipe,
  scribbles_into_the_pipe,
  fast_and_wrong,
  wrong_with_nan
};

// By vector.unroll of the schedule; the reference has none and is honest.
std::map<int64_t, Deed> deeds;

Halide::Expr runs(const char* function, const Halide::Expr& x) {
  return Halide::Internal::Call::make(Halide::Float(32), function, {x}, Halide::Internal::Call::PureExtern);
}

// 2x, by a long way round so that anything wrong is faster.
Halide::Expr honestly(const Halide::Expr& x) {
  Halide::Expr slow = x;
  for (int i = 0; i < 40; ++i) slow = Halide::sqrt(Halide::abs(slow) + 1.0f);
  return 2 * x + 0 * Halide::select(Halide::is_finite(slow), slow, 0.0f);
}

Halide::Expr define(OpCall& call) {
  const Halide::Expr x = call.in(0);
  const auto found = deeds.find(call.knob("vector.unroll"));
  switch (found == deeds.end() ? Deed::honest : found->second) {
    case Deed::honest: return honestly(x);
    case Deed::build_crashes: (void)::raise(SIGSEGV); return x;
    case Deed::build_hangs:
      for (;;) ::pause();
    case Deed::build_eats_memory: return runs(std::string(size_t{100} << 30, 'x').c_str(), x);
    case Deed::build_refuses: user_error("tiles of 10⁹ do not fit");
    case Deed::build_prints:
      for (int i = 0; i < 1024; ++i) (void)!::write(1 + i % 2, std::string(1 << 20, 'x').data(), 1 << 20);
      return honestly(x);
    case Deed::crashes: return runs("oc_test_crashes", x);
    case Deed::hangs: return runs("oc_test_hangs", x);
    case Deed::exits: return runs("oc_test_exits", x);
    case Deed::eats_memory: return runs("oc_test_eats_memory", x);
    case Deed::prints: return runs("oc_test_prints", x);
    case Deed::sleeps: return runs("oc_test_sleeps", x);
    case Deed::floods_the_pipe: return runs("oc_test_floods_the_pipe", x);
    case Deed::scribbles_into_the_pipe: return runs("oc_test_scribbles_into_the_pipe", x);
    case Deed::fast_and_wrong: return 0.0f;
    case Deed::wrong_with_nan: return 2 * Halide::select(x >= -1e30f && x <= 1e30f, x, 0.0f);
  }
  return x;
}

const OpTable& ops() {
  static const OpInfo candidate = [] {
    OpInfo op;
    op.name = "candidate";
    op.infer = [](const NodeView& node) -> std::vector<Type> { return {{node.in(0).dtype, node.in(0).shape, {}}}; };
    op.define = define;
    return op;
  }();
  static const OpTable table = [] {
    OpTable all = builtin_ops();
    all.emplace(candidate.name, &candidate);
    return all;
  }();
  return table;
}

struct HostileCandidate : ::testing::Test {
  HostileCandidate() { deeds.clear(); }

  // `wall` is short for those who use it up.
  [[nodiscard]] std::unique_ptr<Measurer> measurer(std::chrono::milliseconds wall) const {
    const ChildLimits limits{.wall = wall, .memory_bytes = int64_t{1} << 30, .output_bytes = 1 << 20};
    return make_kernel_measurer(target, ops(), {.build = limits, .run = limits});
  }
  [[nodiscard]] Schedule unrolled(int64_t by) const {
    Schedule schedule = default_schedule(kernel, target, 1);
    schedule.values["vector.unroll"] = by;
    return schedule;
  }

  Target target = host_target();
  // Eight vectors a row at least: the space unrolls by 1, 2, 4 and 8.
  Kernel kernel = analyse({"graph \"\" {\n  %0: f32[64,512] = input\n  %1: f32[64,512] = candidate(%0)\n"
                           "  return %1\n}\n"},
                          ops());
};

struct Case {
  std::string name;
  Deed deed;
  TrialStatus status;
  std::string message;  // or how it begins
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

struct Measured : HostileCandidate, ::testing::WithParamInterface<Case> {};

// The address sanitizer ends a process that can have no more memory in its own way, and slows what is measured as the
// machine's limit.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

TEST_P(Measured, IsFoundOutAndLeavesNothingBehind) {
  const bool eats = GetParam().deed == Deed::eats_memory || GetParam().deed == Deed::build_eats_memory;
  if (kSanitized && eats) GTEST_SKIP();
  deeds[2] = GetParam().deed;
  const bool hangs = GetParam().deed == Deed::hangs || GetParam().deed == Deed::build_hangs;
  const auto measuring = measurer(hangs ? 2000ms : 30000ms);
  ASSERT_EQ(measuring->measure(kernel, unrolled(1), {}).status, TrialStatus::ok);
  const Measurement found = measuring->measure(kernel, unrolled(2), {});
  EXPECT_EQ(status_name(found.status), status_name(GetParam().status)) << found.message;
  EXPECT_THAT(found.message, ::testing::StartsWith(GetParam().message));
  EXPECT_EQ(found.ok(), found.status == TrialStatus::ok);
  EXPECT_EQ(found.samples_ns.empty(), !found.ok());

  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  EXPECT_EQ(errno, ECHILD);
  const Measurement next = measuring->measure(kernel, unrolled(4), {});
  EXPECT_EQ(next.status, TrialStatus::ok) << next.message;
}

INSTANTIATE_TEST_SUITE_P(
    Deeds, Measured,
    ::testing::ValuesIn(std::vector<Case>{
        {"BuildCrashes", Deed::build_crashes, TrialStatus::crash, "SIGSEGV"},
        {"BuildHangs", Deed::build_hangs, TrialStatus::compile_timeout, "took longer than 2000 ms"},
        {"BuildEatsMemory", Deed::build_eats_memory, TrialStatus::out_of_memory, "needs more than 1024 MiB"},
        {"BuildRefuses", Deed::build_refuses, TrialStatus::compile_error, "tiles of 10⁹ do not fit"},
        {"BuildPrints", Deed::build_prints, TrialStatus::ok, ""},
        {"Crashes", Deed::crashes, TrialStatus::crash, "SIGSEGV"},
        {"Hangs", Deed::hangs, TrialStatus::run_timeout, "took longer than 2000 ms"},
        {"Exits", Deed::exits, TrialStatus::crash, "left with exit status 0"},
        {"EatsMemory", Deed::eats_memory, TrialStatus::crash, "SIGABRT"},
        {"Prints", Deed::prints, TrialStatus::ok, ""},
        {"FloodsThePipe", Deed::floods_the_pipe, TrialStatus::invalid, "sent more than 1048576 bytes"},
        {"ScribblesIntoThePipe", Deed::scribbles_into_the_pipe, TrialStatus::crash,
         "the measuring process sent no result"},
        {"FastAndWrong", Deed::fast_and_wrong, TrialStatus::wrong_result, "the output is off by 1.00e+00; "},
        {"WrongWithNan", Deed::wrong_with_nan, TrialStatus::wrong_result,
         "with NaN, infinities and large values the output is off by inf"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(HostileCandidate, ADuelThatFailsIsNone) {
  deeds = {{2, Deed::crashes}, {4, Deed::scribbles_into_the_pipe}, {8, Deed::build_refuses}};
  const auto measuring = measurer(30000ms);
  ASSERT_TRUE(measuring->duel(kernel, unrolled(1), unrolled(1)));
  for (const int64_t by : {2, 4, 8}) {
    EXPECT_FALSE(measuring->duel(kernel, unrolled(1), unrolled(by))) << by;
    EXPECT_FALSE(measuring->duel(kernel, unrolled(by), unrolled(1))) << by;
  }
  // No schedule of the kernel at all, as rows of others may state.
  Schedule foreign = unrolled(1);
  foreign.family = Family::window;
  ASSERT_NE(why_illegal(kernel, target, foreign), "");
  EXPECT_FALSE(measuring->duel(kernel, foreign, unrolled(1)));
  EXPECT_FALSE(measuring->duel(kernel, unrolled(1), foreign));
}

TEST_F(HostileCandidate, AKernelNoSlowerThanItsReferenceIsNeverTooSlow) {
  deeds = {{0, Deed::sleeps}, {1, Deed::sleeps}, {2, Deed::sleeps}};
  const auto measuring =
      make_kernel_measurer(target, ops(), {.run = {.wall = 600ms, .memory_bytes = int64_t{1} << 30}});
  const Measurement found = measuring->measure(kernel, unrolled(1), {});
  EXPECT_EQ(found.status, TrialStatus::ok) << found.message;
  EXPECT_EQ(found.samples_ns.size(), 3U);
  const std::optional<Duel> duel = measuring->duel(kernel, unrolled(1), unrolled(2));
  ASSERT_TRUE(duel);
  EXPECT_EQ(duel->candidate_ns.size(), 5U);
}

// Measures as the other does, on a machine so fast that no kernel comes near its limit, which would end the search.
class OnAFasterMachine final : public Measurer {
 public:
  explicit OnAFasterMachine(std::unique_ptr<Measurer> measurer) : measurer_(std::move(measurer)) {}

  Calibration calibrate() override { return {1e18, 1e18, 1e18}; }
  void prepare(const Kernel& kernel, const Schedule& schedule) override { measurer_->prepare(kernel, schedule); }
  Measurement measure(const Kernel& kernel, const Schedule& schedule, std::optional<double> hopeless_ns) override {
    return measurer_->measure(kernel, schedule, hopeless_ns);
  }
  std::optional<Duel> duel(const Kernel& kernel, const Schedule& candidate, const Schedule& incumbent) override {
    return measurer_->duel(kernel, candidate, incumbent);
  }

 private:
  std::unique_ptr<Measurer> measurer_;
};

TEST_F(HostileCandidate, NoneOfThemWinsAndNoneIsTriedAgain) {
  if (kSanitized) GTEST_SKIP();
  deeds = {{2, Deed::fast_and_wrong}, {4, Deed::crashes}, {8, Deed::hangs}};
  Database database = Database::in_memory();
  const std::vector<TuneTask> tasks = {{kernel, 1, "candidate"}};
  const auto tuned = [&] {
    OnAFasterMachine measuring(measurer(2000ms));
    return tune(tasks, target, 1, database, measuring, {.trials = 100});
  };
  const TuneReport report = tuned();
  EXPECT_EQ(report.end, TuneEnd::finished);
  EXPECT_EQ(task_state_name(report.tasks[0].state), task_state_name(TaskState::exhausted));
  ASSERT_TRUE(report.tasks[0].best);
  EXPECT_EQ((*report.tasks[0].best)["vector.unroll"], 1);
  EXPECT_EQ(report.tasks[0].failed, 3);
  EXPECT_EQ(database.stats().trials_by_status,
            (std::map<std::string, int64_t>{{"ok", 1}, {"wrong_result", 1}, {"crash", 1}, {"run_timeout", 1}}));
  const auto best = database.best({kernel.workload.text, host_machine().hash(), target.name(), 1}, kAnyBuild);
  ASSERT_TRUE(best);
  EXPECT_EQ(parse_schedule(best->trial.schedule)["vector.unroll"], 1);
  EXPECT_EQ(tuned().trials, 0);
}

}  // namespace
}  // namespace oc
