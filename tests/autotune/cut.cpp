#include "tests/autotune/cut.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"

namespace oc::testing {
namespace {

using Found = std::map<std::string, Schedule>;  // by text

// What is legal, settled; nullopt: more than `most`.
std::optional<Found> walk(const Space& space, const std::vector<Schedule>& starts, size_t most) {
  Found found;
  for (const Schedule& start : starts) found.emplace(print_schedule(start), start);
  Point point(space.knobs.size(), 0);
  while (found.size() <= most) {
    Schedule schedule = space.at(point);
    if (space.legal(schedule)) found.emplace(print_schedule(schedule), std::move(schedule));
    size_t knob = 0;
    while (knob < point.size() && ++point[knob] == space.knobs[knob].values.size()) point[knob++] = 0;
    if (knob == point.size()) return found.size() <= most ? std::optional(std::move(found)) : std::nullopt;
  }
  return std::nullopt;
}

// A knob of the real space with what a cut has left of it.
struct Narrowing {
  Knob whole;
  std::set<int64_t> kept;       // values of the starts
  std::vector<size_t> left;     // indices into the whole's values
  std::vector<size_t> dropped;  // latest last
  bool full = false;            // the latest does not fit in again
  [[nodiscard]] bool done() const { return left.size() <= kept.size(); }

  // The value goes whose neighbours lie closest together; the ends of the range go last.
  void drop_one() {
    size_t place = left.size(), least = std::numeric_limits<size_t>::max();
    for (size_t i = 0; i < left.size(); ++i) {
      if (kept.contains(whole.values[left[i]])) continue;
      const bool end = i == 0 || i + 1 == left.size();
      const size_t gap = end ? whole.values.size() : left[i + 1] - left[i - 1];
      if (gap < least) {
        place = i;
        least = gap;
      }
    }
    dropped.push_back(left[place]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(place));
  }

  void restore_one() {
    left.insert(std::ranges::upper_bound(left, dropped.back()), dropped.back());
    dropped.pop_back();
  }

  [[nodiscard]] Knob narrowed() const {
    Knob knob{whole.name, {}};
    for (const size_t index : left) knob.values.push_back(whole.values[index]);
    return knob;
  }
};

// One for each argument of the grammar: the space's values, else the fallback, and the starts'.
std::vector<Narrowing> all_knobs(const Space& space, const std::vector<Schedule>& starts) {
  std::vector<Narrowing> result;
  for (const Argument& argument : family_info(space.family).grammar) {
    const auto knob = std::ranges::find(space.knobs, argument.name, &Knob::name);
    std::set<int64_t> values{argument.fallback};
    if (knob != space.knobs.end()) values = {knob->values.begin(), knob->values.end()};
    Narrowing& narrowing = result.emplace_back();
    for (const Schedule& start : starts) narrowing.kept.insert(start[argument.name]);
    values.insert(narrowing.kept.begin(), narrowing.kept.end());
    narrowing.whole = {argument.name, {values.begin(), values.end()}};
    for (size_t i = 0; i < values.size(); ++i) narrowing.left.push_back(i);
  }
  return result;
}

}  // namespace

Cut cut_space(const Kernel& kernel, const Target& target, int threads, size_t most) {
  Space space = schedule_space(kernel, target, threads);
  Cut cut;
  cut.starts.push_back(default_schedule(kernel, target, threads));
  for (const Schedule& start : space.starts)
    if (std::ranges::find(cut.starts, start) == cut.starts.end()) cut.starts.push_back(start);

  std::vector<Narrowing> knobs = all_knobs(space, cut.starts);
  const auto found_now = [&] {
    space.knobs.clear();
    for (const Narrowing& knob : knobs) space.knobs.push_back(knob.narrowed());
    return walk(space, cut.starts, most);
  };
  std::optional<Found> found;
  while (!(found = found_now())) {
    const auto size = [](const Narrowing& knob) { return knob.done() ? 0 : knob.left.size(); };
    const auto largest = std::ranges::max_element(knobs, {}, size);
    if (largest->done()) user_error("the starts alone span more than {} schedules; allow more", most);
    largest->drop_one();
  }
  // The last drop may have made more room than it had to: values come back to the knobs that have fewest.
  for (;;) {
    const auto size = [](const Narrowing& knob) {
      return knob.full || knob.dropped.empty() ? std::numeric_limits<size_t>::max() : knob.left.size();
    };
    const auto smallest = std::ranges::min_element(knobs, {}, size);
    if (smallest->full || smallest->dropped.empty()) break;
    const Narrowing before = *smallest;
    smallest->restore_one();
    if (std::optional<Found> more = found_now()) {
      found = std::move(more);
    } else {
      *smallest = before;
      smallest->full = true;
    }
  }
  for (auto& [text, schedule] : *found) cut.schedules.push_back(std::move(schedule));

  // Values that no schedule has, after settling, are none.
  for (const Argument& argument : family_info(space.family).grammar) {
    std::set<int64_t> used;
    for (const Schedule& schedule : cut.schedules) used.insert(schedule[argument.name]);
    if (used.size() == 1)
      cut.fixed[argument.name] = *used.begin();
    else
      cut.knobs.push_back({argument.name, {used.begin(), used.end()}});
  }
  return cut;
}

}  // namespace oc::testing
