// What measured workloads say about one that was not measured: the rungs of the look-up between a trial of the very
// workload and the formula.
//
// What is carried over is evidence, not a schedule. A donor has in the databases, for one key and build, the formula's
// own schedule D for the donor and a winner W, both confirmed (D had its day, then W won), and W is clearly faster. The
// recipient gets the schedule R of its own formula, changed where W differs from D:
//
//   D  tile x=9 c=3; order inner=c; band y=4        R  tile x=9 c=3; order inner=c; band y=8
//   W  tile x=4 c=3; order inner=x; band y=4   →       tile x=4 c=3; order inner=x; band y=8
//
// Where the formula chose differently for the two, the evidence does not apply and the next donor is asked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/target.h"
#include "compiler/anchor.h"
#include "schedules/schedule.h"
#include "tuning_db/layers.h"

namespace oc {

inline constexpr double kLeastGain = 1.03;        // D's median / W's of a donor
inline constexpr int64_t kFarthestDonor = 2'000;  // distance(): the extents together at most fourfold

struct Transferred {
  Schedule schedule;
  std::string trial;   // the donor's
  std::string rung;    // other_epilogue, nearest_shape, sibling
  std::string source;  // the file the trial is in
};

// As text what the formula gives for a key, which evidence needs beside the winner; "" where this program does not know
// the workload, the target or the machine. `machines` by hash.
[[nodiscard]] std::string formula_of(const Key& key, const std::map<std::string, Machine>& machines,
                                     const OpTable& ops);

class Transfer {
 public:
  // `build`: the asking program's, as for Database::best.
  Transfer(const Layers& layers, const OpTable& ops, const Target& target, const Machine& machine, int threads,
           std::string build);

  // In this order:
  //   other_epilogue  a donor whose anchor is the same, on this machine: W's choices whole
  //   nearest_shape   one whose anchor is of the same kind, the nearest first: those of W's choices that do not depend
  //                   on extents (Argument::of_extents); they have been timed at the donor without the others, too
  //   sibling         this very workload on another machine of this class (architecture, vendor, kinds of cores) whose
  //                   features this one has, and for which the formula gives the same schedule
  // Of equally near donors the one that gained most, of those the one whose trial has the smaller id. A donor is passed
  // over if what it gives is illegal for the recipient, leaves threads idle, or failed or is quarantined for it.
  [[nodiscard]] std::optional<Transferred> find(const Kernel& kernel);

 private:
  // What a donor teaches: that the formula's schedule with these changes is faster.
  struct Lesson {
    KnobValues changes;
    double time = 0;  // ns, with them
    std::string trial, source;
    double gain = 1;
  };
  struct Donor {
    Kernel kernel;
    Anchor anchor;
    std::optional<Schedule> base = {};  // D; this and the others once asked for
    // For the same anchor, and for other extents.
    std::optional<std::optional<Lesson>> whole = {}, part = {};
  };
  struct Recipient {
    const Kernel& kernel;
    Schedule base;  // R
  };
  struct Offer {
    Transferred what;
    double gain = 1;
  };
  using Offers = std::vector<Offer>;
  using Rank = int64_t;  // 0: the same anchor; else 1 + distance

  [[nodiscard]] std::map<Rank, std::vector<Donor*>> donors_of(const Kernel& kernel);
  [[nodiscard]] std::optional<Offer> from_donor(Donor& donor, const Recipient& to, bool same_anchor) const;
  [[nodiscard]] Offers from_siblings(const Recipient& to) const;
  // `base`: D, what the formula gives for the kernel and the target. nullopt where there is no evidence.
  [[nodiscard]] std::optional<Lesson> lesson_of(const Kernel& kernel, const Target& target, const Key& key,
                                                const Schedule& base, bool for_other_extents) const;
  // R with the changes that D had; nullopt if R differs from D in what they change, or the result is of no use.
  [[nodiscard]] std::optional<Offer> offer_of(const Lesson& lesson, const Schedule& base, const Recipient& to,
                                              std::string rung) const;
  // The fastest trial of the key and build with this schedule that may be used; `confirmed` if any of them is.
  [[nodiscard]] std::optional<Record> fastest(const Key& key, const std::string& build, const Schedule& schedule) const;
  [[nodiscard]] Key key_of(const Kernel& kernel) const;
  // What the formula took for the target on the machine of this key; nullopt if it is no sibling.
  [[nodiscard]] std::optional<Target> sibling_target(const Key& key) const;
  void index();

  const Layers& layers_;
  const OpTable& ops_;
  Target target_;
  Machine machine_;
  std::string machine_hash_;
  int threads_;
  std::string build_;

  bool indexed_ = false;
  std::vector<std::string> texts_;  // of the workloads that may have evidence
  std::unordered_map<std::string, std::vector<size_t>> by_outline_;
  std::unordered_map<size_t, std::optional<Donor>> donors_;  // of texts_, when they have been parsed
  std::map<std::string, Machine> machines_;                  // by hash; those that are described
};

}  // namespace oc
