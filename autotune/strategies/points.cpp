#include "autotune/strategies/points.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace oc {
namespace {

constexpr double kMaxWalk = 1 << 16;
constexpr int kFruitlessDraws = 20'000;  // in a row, before a sampled space counts as exhausted

Point numbered_point(const Space& space, uint32_t number) {
  Point point;
  for (const Knob& knob : space.knobs) {
    point.push_back(number % static_cast<uint32_t>(knob.values.size()));
    number /= static_cast<uint32_t>(knob.values.size());
  }
  return point;
}

}  // namespace

PointWalk::PointWalk(const Space& space, Random& random)
    : space_(space), random_(random), finite_(space.size() <= kMaxWalk) {
  if (!finite_) return;
  rest_.resize(static_cast<size_t>(space.size()));
  std::iota(rest_.begin(), rest_.end(), 0u);
}

std::optional<Point> PointWalk::draw() {
  if (!finite_) return random_point(space_, random_);
  if (rest_.empty()) return std::nullopt;
  std::swap(rest_[random_.below(rest_.size())], rest_.back());
  const uint32_t number = rest_.back();
  rest_.pop_back();
  return numbered_point(space_, number);
}

std::optional<Point> PointWalk::next(Seen& seen) {
  for (int fruitless = 0; finite_ || fruitless < kFruitlessDraws; ++fruitless) {
    std::optional<Point> point = draw();
    if (!point) return std::nullopt;
    const Schedule schedule = space_.at(*point);
    if (is_legal(space_, schedule) && seen.insert(schedule)) return point;
  }
  return std::nullopt;
}

Point random_point(const Space& space, Random& random) {
  Point point;
  for (const Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random.below(knob.values.size())));
  return point;
}

bool is_legal(const Space& space, const Schedule& schedule) {
  return !space.legal || space.legal(schedule);
}

Point nearest_point(const Space& space, const Schedule& schedule) {
  Point point;
  for (const Knob& knob : space.knobs) {
    const auto stated = schedule.values.find(knob.name);
    const int64_t wanted = stated == schedule.values.end() ? knob.values.front() : stated->second;
    const auto nearest = std::ranges::min_element(knob.values, {}, [&](int64_t value) {
      return std::abs(static_cast<double>(value) - static_cast<double>(wanted));
    });
    point.push_back(static_cast<uint32_t>(nearest - knob.values.begin()));
  }
  return point;
}

}  // namespace oc
