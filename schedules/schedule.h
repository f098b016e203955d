// A Schedule is data: a family, its version, and directives with integer or word arguments. It says everything Halide
// is told and how weights are packed; it can be replayed without the Space it came from.
//
//   window v1
//   tile x=7 c=2
//   unroll ci=4
//   order inner=x
//   parallel tasks=8
//
// The text form groups arguments by directive, in the order of the family's grammar; print and parse round-trip.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "dsl/packing.h"
#include "schedules/nest.h"

namespace oc {

struct Schedule {
  Family family = Family::elementwise;
  int version = 1;
  KnobValues values;  // of every argument of the grammar

  bool operator==(const Schedule&) const = default;
  [[nodiscard]] int64_t operator[](std::string_view name) const;  // InternalError if absent
};

// One argument of one directive.
struct Argument {
  std::string name;                // "tile.x": directive, dot, key
  int64_t min = 1, max = 1;        // stated limits; beyond them never reaches Halide
  std::vector<std::string> words;  // if not empty, values are indices into it
  int64_t fallback = 1;            // when the text does not state it
  // It counts pieces of extents, caches or threads, or what pays depends on them: a value found for other extents says
  // nothing. Else it says how registers are used, which depends on the machine more than on the extents.
  bool of_extents = false;
};

// A finite set of schedules for one kernel on one target.
struct Knob {
  std::string name;             // an Argument's
  std::vector<int64_t> values;  // legal ones, sorted
};
using Point = std::vector<uint32_t>;  // per knob an index into its values

struct Space {
  Family family = Family::elementwise;
  std::vector<Knob> knobs;
  std::function<bool(const Schedule&)> legal;  // constraints between knobs (register budget, unroll product)
  std::vector<Schedule> starts = {};           // where the family has several algorithms: a formula's schedule for each
  std::function<void(Schedule&)> settle = {};  // FamilyInfo's, for the kernel

  [[nodiscard]] double size() const;                    // product of the knobs, constraints aside
  [[nodiscard]] Schedule at(const Point& point) const;  // several points may be one schedule
};

// A family of loop structures: one file in families/, one row in families.inc.
struct FamilyInfo {
  Family family;
  int version = 1;
  std::vector<Argument> grammar;
  // "copy.a=no": what texts on record state of arguments that the family no longer has, at the value that did nothing.
  // It is read over; any other value of theirs is refused.
  std::vector<std::string> retired = {};
  Space (*space)(const Kernel&, const Target&, int threads);
  Schedule (*fallback)(const Kernel&, const Target&, int threads);  // the formula default
  // Empty if the schedule fits the kernel on the target, else why not. Every point of `space` that its `legal` admits
  // fits.
  std::string (*why_illegal)(const Kernel&, const Target&, const Schedule&);
  // Null: no packing. How the kernel's constants arrive under this schedule.
  Packings (*packings)(const Kernel&, const Target&, const Schedule&);
  // Gives knobs that others leave without effect one value, so that a kernel has one schedule: no two points are timed
  // for the same code. Points of the space need not be legal.
  void (*settle)(const Kernel&, const Target&, Schedule&);
  // Of a schedule that fits the kernel; several where it computes in stages, each with loops of its own.
  std::vector<Nest> (*nests)(const Kernel&, const Target&, const Schedule&);
  // Null: the kernel's own. Operations of the algorithm with the fewest among those that schedules choose from.
  double (*least_flops)(const Kernel&) = nullptr;
  // Null: yes. May the extent of an axis be known only when the kernel runs?
  bool (*can_vary)(const Axis&) = nullptr;
  // Of a kernel whose extents vary: by axis, the least extent that the schedule's tiles fit into. Null: 1.
  std::vector<int64_t> (*least_extents)(const Kernel&, const Target&, const Schedule&) = nullptr;
};
inline constexpr int64_t kNoExtent = INT64_MAX;  // of least_extents: none will do

[[nodiscard]] const FamilyInfo& family_info(Family family);

// In the order of families.inc.
inline constexpr Family kFamilies[] = {
#define OC_FAMILY(name) Family::name,
#include "schedules/families.inc"
#undef OC_FAMILY
};

[[nodiscard]] std::string print_schedule(const Schedule& schedule);
// UserError naming line and directive: unknown family, version, directive or key, a value outside its limits, a text
// over 64 KiB. Missing arguments take their fallback.
[[nodiscard]] Schedule parse_schedule(std::string_view text);

[[nodiscard]] Space schedule_space(const Kernel& kernel, const Target& target, int threads);
[[nodiscard]] Schedule default_schedule(const Kernel& kernel, const Target& target, int threads);
// Empty when `schedule` fits the kernel (family, divisibility, register and unroll limits), else why not.
[[nodiscard]] std::string why_illegal(const Kernel& kernel, const Target& target, const Schedule& schedule);
// `schedule`, made for one thread, with its outer loops shared among so many. Which loops, and in how many tasks, is
// the formula's.
[[nodiscard]] Schedule shared_among(const Kernel& kernel, const Target& target, int threads, Schedule schedule);
// The one way to write what `schedule`, which fits the kernel, makes of it: FamilyInfo::settle.
[[nodiscard]] Schedule settled(const Kernel& kernel, const Target& target, Schedule schedule);
// What the text makes of the kernel, settled; nullopt if it is no schedule or does not fit. For texts that are data: of
// another version, by another hand.
[[nodiscard]] std::optional<Schedule> fitting_schedule(const Kernel& kernel, const Target& target,
                                                       std::string_view text);
[[nodiscard]] double least_flops(const Kernel& kernel);
// Does the family have schedules for a kernel whose axes vary so?
[[nodiscard]] bool can_vary(const Kernel& varying);
// May a kernel that varies, built under `schedule`, run with the extents of `actual`, the same kernel at other extents?
[[nodiscard]] bool serves(const Kernel& varying, const Target& target, const Schedule& schedule, const Kernel& actual);
// What `schedule`, which fits the kernel, makes of its loops; at least one nest.
[[nodiscard]] std::vector<Nest> loop_nests(const Kernel& kernel, const Target& target, const Schedule& schedule);
// Whether a schedule found for another number of threads shares the work where the formula would for this one, and only
// there: one for a single thread would leave the others idle.
[[nodiscard]] bool serves_threads(const Kernel& kernel, const Target& target, int threads, const Schedule& schedule);
[[nodiscard]] Packings weight_packings(const Kernel& kernel, const Target& target, const Schedule& schedule);

}  // namespace oc
