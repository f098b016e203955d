#include <algorithm>
#include <unordered_set>

#include "autotune/strategies/points.h"
#include "autotune/strategy.h"

namespace oc {
namespace {

constexpr size_t kElite = 12;           // parents: the fastest points told
constexpr size_t kFirstRandom = 2;      // points drawn blindly before evolution starts, beside the starts
constexpr double kExplore = 0.1;        // share of blind draws afterwards
constexpr double kPolish = 0.8;         // share of steps along one knob from the best point
constexpr double kCross = 0.3;          // of the rest: share of children of two parents
constexpr double kTrust = 0.8;          // of the other steps: share that a cost model decides, if there is one
constexpr size_t kPoolChildren = 96;    // that it chooses among, beside the best point's neighbours
constexpr size_t kPoolBlind = 64;       // and points drawn blindly
constexpr int kFruitlessChildren = 64;  // in a row, before a blind draw is taken instead

// Starts, a few blind draws, then three moves in a random mix: a step along one knob from the best point (coordinate
// descent), a mutation of one of the elite, and a cross of two of them. With a cost model most steps take the most
// promising of many such moves instead.
class EvolutionStrategy final : public Strategy {
 public:
  explicit EvolutionStrategy(StrategyInputs inputs)
      : inputs_(std::move(inputs)), random_(inputs_.seed), walk_(inputs_.space, random_) {}

  std::vector<Schedule> ask(size_t n) override {
    std::vector<Schedule> asked;
    while (asked.size() < n) {
      std::optional<Schedule> next = propose();
      if (!next) break;
      asked.push_back(std::move(*next));
    }
    return asked;
  }

  void suggest(const Schedule& schedule) override { inputs_.starts.push_back(schedule); }

  void tell(const Schedule& schedule, std::optional<double> nanoseconds) override {
    (void)seen_.insert(schedule);
    if (!nanoseconds) return;
    // A schedule from elsewhere joins as its nearest point: its neighbourhood is worth a look.
    const Member member{*nanoseconds, nearest_point(inputs_.space, schedule)};
    const auto place = std::ranges::upper_bound(elite_, member.nanoseconds, {}, &Member::nanoseconds);
    if (place == elite_.begin()) polish_.clear();  // a new best: polish that one
    elite_.insert(place, member);
    if (elite_.size() > kElite) elite_.pop_back();
  }

 private:
  struct Member {
    double nanoseconds = 0;
    Point point;
  };

  std::optional<Schedule> propose() {
    while (next_start_ < inputs_.starts.size()) {
      const Schedule& start = inputs_.starts[next_start_++];
      if (seen_.insert(start)) return start;
    }
    const bool explore = random_.chance(kExplore);
    if (inputs_.score && !explore && random_.chance(kTrust))
      if (auto promising = most_promising()) return promising;
    const bool blind = explore || elite_.empty() || first_random_ < kFirstRandom;
    if (!blind) {
      if (random_.chance(kPolish))
        if (auto step = polish_step()) return step;
      for (int i = 0; i < kFruitlessChildren; ++i)
        if (auto fresh = accept(child())) return fresh;
      // The elite's surroundings are used up; the best point's neighbours may not be.
      if (auto step = polish_step()) return step;
    }
    ++first_random_;
    const auto point = walk_.next(seen_);
    return point ? std::optional(inputs_.space.at(*point)) : std::nullopt;
  }

  std::optional<Schedule> accept(const Point& point) {
    Schedule schedule = inputs_.space.at(point);
    if (!is_legal(inputs_.space, schedule) || !seen_.insert(schedule)) return std::nullopt;
    return schedule;
  }

  // Of children of the elite, neighbours of the best point and points drawn blindly the one with the highest score;
  // nullopt when none of them is legal and fresh.
  std::optional<Schedule> most_promising() {
    std::vector<Schedule> pool;
    std::unordered_set<std::string> texts;
    const auto offer = [&](const Point& point) {
      Schedule schedule = inputs_.space.at(point);
      std::string text = print_schedule(schedule);
      if (seen_.contains(text) || texts.contains(text) || !is_legal(inputs_.space, schedule)) return;
      texts.insert(std::move(text));
      pool.push_back(std::move(schedule));
    };
    if (!elite_.empty()) {
      const Point& best = elite_.front().point;
      for (size_t knob = 0; knob < best.size(); ++knob)
        for (uint32_t value = 0; value < inputs_.space.knobs[knob].values.size(); ++value) {
          Point moved = best;
          moved[knob] = value;
          offer(moved);
        }
      for (size_t i = 0; i < kPoolChildren; ++i) offer(child());
    }
    for (size_t i = 0; i < kPoolBlind; ++i) offer(random_point(inputs_.space, random_));
    if (pool.empty()) return std::nullopt;
    // Of equal ones a random one: those that a model cannot tell apart are not alike.
    for (size_t i = pool.size(); i > 1; --i) std::swap(pool[i - 1], pool[random_.below(i)]);
    const std::vector<double> scores = inputs_.score(pool);
    Schedule& chosen = pool[static_cast<size_t>(std::ranges::max_element(scores) - scores.begin())];
    (void)seen_.insert(chosen);
    return std::move(chosen);
  }

  // The best point with one knob moved to a neighbouring value, knobs in random order; nullopt when all were tried.
  std::optional<Schedule> polish_step() {
    const Point& best = elite_.front().point;
    if (polish_.empty()) {
      for (size_t knob = 0; knob < best.size(); ++knob)
        for (const int step : {-1, 1}) polish_.push_back({knob, step});
      for (size_t i = polish_.size(); i > 1; --i) std::swap(polish_[i - 1], polish_[random_.below(i)]);
      polish_next_ = 0;
    }
    while (polish_next_ < polish_.size()) {
      const auto [knob, step] = polish_[polish_next_++];
      const int64_t moved = static_cast<int64_t>(best[knob]) + step;
      if (moved < 0 || moved >= static_cast<int64_t>(inputs_.space.knobs[knob].values.size())) continue;
      Point point = best;
      point[knob] = static_cast<uint32_t>(moved);
      if (auto fresh = accept(point)) return fresh;
    }
    return std::nullopt;
  }

  // The faster of two drawn members.
  const Point& parent() { return elite_[std::min(random_.below(elite_.size()), random_.below(elite_.size()))].point; }

  Point child() {
    Point point = parent();
    if (random_.chance(kCross)) {
      const Point& other = parent();
      for (size_t i = 0; i < point.size(); ++i)
        if (random_.chance(0.5)) point[i] = other[i];
    }
    do {
      const size_t knob = random_.below(point.size());
      if (!point.empty()) point[knob] = static_cast<uint32_t>(random_.below(inputs_.space.knobs[knob].values.size()));
    } while (random_.chance(0.4));
    return point;
  }

  StrategyInputs inputs_;
  Random random_;
  PointWalk walk_;
  Seen seen_;
  std::vector<Member> elite_;  // fastest first
  size_t next_start_ = 0;
  size_t first_random_ = 0;
  std::vector<std::pair<size_t, int>> polish_;  // moves from the best point: knob, step
  size_t polish_next_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_evolution_strategy(StrategyInputs inputs) {
  return std::make_unique<EvolutionStrategy>(std::move(inputs));
}

}  // namespace oc
