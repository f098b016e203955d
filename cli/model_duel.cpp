#include "cli/model_duel.h"

#include <poll.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/process.h"
#include "cli/inputs.h"

namespace oc::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

constexpr int kSittings = 3;
constexpr size_t kMinRounds = 3;           // of a sitting
constexpr size_t kMaxRounds = 2000;        // likewise
constexpr Nanoseconds kTurn{10'000'000};   // of one library in a round, at least
constexpr Nanoseconds kWarmUp{1'000'000};  // before it: caches are warm again, the other's workers sleep
constexpr std::chrono::minutes kLongestSitting{10};

// A library with its tensors.
class Contestant {
 public:
  Contestant(const std::filesystem::path& library, int threads)
      : module_(library.string()),
        session_(module_, {.num_threads = threads}),
        given_(with_zeros(session_, {})),
        made_(make_outputs(session_)),
        inputs_(bind_inputs(session_, given_)),
        outputs_(addresses(made_)) {
    run_for({});
    calls_ = std::max<int64_t>(1, kTurn / std::max(run_for({}), Nanoseconds(1)));
  }

  // Nanoseconds of a run.
  int64_t turn() {
    run_for(kWarmUp);
    const auto start = Clock::now();
    for (int64_t i = 0; i < calls_; ++i) session_.run(inputs_, outputs_);
    return Nanoseconds(Clock::now() - start).count() / calls_;
  }

 private:
  // Runs until so much time has passed, at least once, and says how much has.
  Nanoseconds run_for(Nanoseconds span) {
    const auto start = Clock::now();
    do {
      session_.run(inputs_, outputs_);
    } while (Clock::now() - start < span);
    return Clock::now() - start;
  }

  opencompiler::Module module_;
  opencompiler::Session session_;
  std::map<std::string, Tensor> given_;
  std::vector<std::pair<std::string, Tensor>> made_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  int64_t calls_ = 1;
};

// The times of both, as JSON; `first` is opened first.
std::string sit(const std::filesystem::path& first, const std::filesystem::path& second, int threads, double seconds) {
  Contestant a(first, threads), b(second, threads);
  std::vector<int64_t> of_a, of_b;
  const auto start = Clock::now();
  const std::chrono::duration<double> span(seconds);
  while (of_a.size() < kMinRounds || (of_a.size() < kMaxRounds && Clock::now() - start < span)) {
    const bool a_begins = of_a.size() % 2 == 0;
    if (a_begins) of_a.push_back(a.turn());
    of_b.push_back(b.turn());
    if (!a_begins) of_a.push_back(a.turn());
  }
  return nlohmann::json{of_a, of_b}.dump();
}

void append(std::vector<int64_t>& to, const std::vector<int64_t>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

std::optional<Duel> time_models(const ModelDuel& models, const std::function<bool()>& stop) {
  Duel duel;
  for (int sitting = 0; sitting < kSittings; ++sitting) {
    const bool swapped = sitting % 2 == 1;
    const auto& first = swapped ? models.incumbent : models.candidate;
    const auto& second = swapped ? models.candidate : models.incumbent;
    Child child([&] { return sit(first, second, models.threads, models.seconds / kSittings); },
                {.wall = kLongestSitting});
    while (!child.poll()) {
      if (stop()) return std::nullopt;
      pollfd entry{child.fd(), POLLIN, 0};
      ::poll(&entry, 1, 50);
    }
    const ChildResult result = child.wait();
    if (result.status != ChildStatus::ok) user_error("running it failed: {}", result.result);
    const auto times = nlohmann::json::parse(result.result);
    append(swapped ? duel.incumbent_ns : duel.candidate_ns, times[0].get<std::vector<int64_t>>());
    append(swapped ? duel.candidate_ns : duel.incumbent_ns, times[1].get<std::vector<int64_t>>());
  }
  return duel;
}

}  // namespace oc::cli
