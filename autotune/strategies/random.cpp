#include "autotune/strategies/points.h"
#include "autotune/strategy.h"

namespace oc {
namespace {

// The starts, then uniform draws without repeats.
class RandomStrategy final : public Strategy {
 public:
  explicit RandomStrategy(StrategyInputs inputs)
      : inputs_(std::move(inputs)), random_(inputs_.seed), walk_(inputs_.space, random_) {}

  std::vector<Schedule> ask(size_t n) override {
    std::vector<Schedule> asked;
    for (; asked.size() < n && next_start_ < inputs_.starts.size(); ++next_start_)
      if (seen_.insert(inputs_.starts[next_start_])) asked.push_back(inputs_.starts[next_start_]);
    while (asked.size() < n) {
      const auto point = walk_.next(seen_);
      if (!point) break;
      asked.push_back(inputs_.space.at(*point));
    }
    return asked;
  }

  void suggest(const Schedule& schedule) override { inputs_.starts.push_back(schedule); }

  void tell(const Schedule& schedule, std::optional<double> /*nanoseconds*/) override { (void)seen_.insert(schedule); }

 private:
  StrategyInputs inputs_;
  Random random_;
  PointWalk walk_;
  Seen seen_;
  size_t next_start_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_random_strategy(StrategyInputs inputs) {
  return std::make_unique<RandomStrategy>(std::move(inputs));
}

}  // namespace oc
