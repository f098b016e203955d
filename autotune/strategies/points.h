// What strategies share: walking the points of a Space, each at most once.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "schedules/schedule.h"

namespace oc {

// mt19937_64's numbers are the same everywhere; the standard's distributions are not, so ours are written out.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  [[nodiscard]] size_t below(size_t n) { return n == 0 ? 0 : engine_() % n; }
  [[nodiscard]] bool chance(double p) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < p; }

 private:
  std::mt19937_64 engine_;
};

// The schedules already proposed or told, by text.
class Seen {
 public:
  [[nodiscard]] bool contains(const std::string& text) const { return texts_.contains(text); }
  // True when it is new; remembers it.
  [[nodiscard]] bool insert(const Schedule& schedule) { return texts_.insert(print_schedule(schedule)).second; }

 private:
  std::unordered_set<std::string> texts_;
};

// Random legal points of a space. A space of up to 2^16 points is walked as a random permutation, so that each comes
// once and the end is known; a larger one is sampled until nothing fresh and legal is found for long.
class PointWalk {
 public:
  PointWalk(const Space& space, Random& random);
  // A point whose schedule is legal and was new to `seen`; nullopt when exhausted.
  [[nodiscard]] std::optional<Point> next(Seen& seen);

 private:
  [[nodiscard]] std::optional<Point> draw();
  const Space& space_;
  Random& random_;
  bool finite_ = false;
  std::vector<uint32_t> rest_;  // of a finite walk: the points not drawn yet, by number
};

[[nodiscard]] Point random_point(const Space& space, Random& random);  // legal or not
[[nodiscard]] bool is_legal(const Space& space, const Schedule& schedule);
// The point of the space whose knob values lie nearest to the schedule's: where a schedule from elsewhere joins in.
[[nodiscard]] Point nearest_point(const Space& space, const Schedule& schedule);

}  // namespace oc
