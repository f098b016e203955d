#include "compiler/transfer.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "autotune/provenance.h"
#include "base/error.h"

namespace oc {
namespace {

std::optional<Kernel> analysed(const std::string& text, const OpTable& ops) {
  try {
    return analyse({text}, ops);
  } catch (const UserError&) {  // rows are data
    return std::nullopt;
  }
}

// Whether the formula chose alike for two kernels: all but the numbers that count pieces of extents, and of these the
// same are 0, which says that there are none.
bool chose_alike(const Schedule& a, const Schedule& b) {
  return std::ranges::all_of(family_info(a.family).grammar, [&](const Argument& argument) {
    const int64_t x = a[argument.name], y = b[argument.name];
    return x == y || (argument.of_extents && argument.words.empty() && (x == 0) == (y == 0));
  });
}

// The winner's values that differ; without those that depend on extents if these may differ.
KnobValues difference(const Schedule& base, const Schedule& winner, bool other_extents) {
  KnobValues changes;
  for (const Argument& argument : family_info(base.family).grammar)
    if (winner[argument.name] != base[argument.name] && !(argument.of_extents && other_extents))
      changes[argument.name] = winner[argument.name];
  return changes;
}

Schedule changed(Schedule schedule, const KnobValues& changes) {
  for (const auto& [name, value] : changes) schedule.values.at(name) = value;
  return schedule;
}

bool is_subset(const std::vector<std::string>& some, const std::vector<std::string>& all) {
  return std::ranges::all_of(some, [&](const std::string& one) { return std::ranges::count(all, one) != 0; });
}

// "4P+4E" → {E, P}, "8" → {}. How many there are is nothing to a kernel for so many threads.
std::set<char> core_kinds(const Machine& machine) {
  std::set<char> kinds;
  std::ranges::copy_if(machine.core_kinds, std::inserter(kinds, kinds.end()),
                       [](char c) { return c >= 'A' && c <= 'Z'; });
  return kinds;
}

double time_of(const Trial& trial) {
  return static_cast<double>(median_ns(trial.samples_ns));
}

}  // namespace

std::string formula_of(const Key& key, const std::map<std::string, Machine>& machines, const OpTable& ops) {
  const auto machine = machines.find(key.machine);
  const std::optional<Target> target =
      machine == machines.end() ? std::nullopt : target_on(key.features, machine->second);
  const std::optional<Kernel> kernel = target ? analysed(key.workload, ops) : std::nullopt;
  return kernel ? print_schedule(default_schedule(*kernel, *target, key.threads)) : std::string();
}

Transfer::Transfer(const Layers& layers, const OpTable& ops, const Target& target, const Machine& machine, int threads,
                   std::string build)
    : layers_(layers),
      ops_(ops),
      target_(target),
      machine_(machine),
      machine_hash_(machine.hash()),
      threads_(threads),
      build_(std::move(build)) {}

void Transfer::index() {
  if (indexed_) return;
  indexed_ = true;
  texts_ = layers_.contested(machine_hash_, target_.name(), threads_);
  for (size_t i = 0; i < texts_.size(); ++i)
    for (std::string& outline : node_outlines(texts_[i])) {
      std::vector<size_t>& same = by_outline_[std::move(outline)];
      if (same.empty() || same.back() != i) same.push_back(i);
    }
  machines_ = described_machines(layers_.machines());
}

std::optional<Transferred> Transfer::find(const Kernel& kernel) {
  index();
  const Recipient to{kernel, default_schedule(kernel, target_, threads_)};
  const auto best = [](Offers& offers) -> std::optional<Transferred> {
    const auto order = [](const Offer& offer) { return std::pair(-offer.gain, std::string_view(offer.what.trial)); };
    const auto first = std::ranges::min_element(offers, {}, order);
    return first == offers.end() ? std::nullopt : std::optional(std::move(first->what));
  };
  for (const auto& [rank, donors] : donors_of(kernel)) {
    Offers offers;
    for (Donor* donor : donors)
      if (std::optional<Offer> offer = from_donor(*donor, to, rank == 0)) offers.push_back(std::move(*offer));
    if (std::optional<Transferred> found = best(offers)) return found;
  }
  Offers offers = from_siblings(to);
  return best(offers);
}

std::map<Transfer::Rank, std::vector<Transfer::Donor*>> Transfer::donors_of(const Kernel& kernel) {
  std::map<Rank, std::vector<Donor*>> result;
  const std::optional<Anchor> anchor = anchor_of(kernel, ops_);
  if (!anchor) return result;
  std::set<size_t> likely;
  for (const std::string& outline : node_outlines(kernel.workload.text))
    if (const auto found = by_outline_.find(outline);
        found != by_outline_.end() && outline.ends_with(" " + kernel.anchor_node().op))
      likely.insert(found->second.begin(), found->second.end());
  for (const size_t i : likely) {
    if (texts_[i] == kernel.workload.text) continue;
    const auto [place, fresh] = donors_.try_emplace(i);
    if (fresh) {
      std::optional<Kernel> parsed = analysed(texts_[i], ops_);
      std::optional<Anchor> of_donor = parsed ? anchor_of(*parsed, ops_) : std::nullopt;
      if (of_donor) place->second = Donor{.kernel = std::move(*parsed), .anchor = std::move(*of_donor)};
    }
    if (!place->second || place->second->anchor.kind != anchor->kind) continue;
    Donor& donor = *place->second;
    if (donor.anchor.tensors == anchor->tensors)
      result[0].push_back(&donor);
    else if (const int64_t far = distance(donor.anchor, *anchor); far <= kFarthestDonor)
      result[1 + far].push_back(&donor);
  }
  return result;
}

Key Transfer::key_of(const Kernel& kernel) const {
  return {kernel.workload.text, machine_hash_, target_.name(), threads_};
}

std::optional<Record> Transfer::fastest(const Key& key, const std::string& build, const Schedule& schedule) const {
  std::optional<Record> best;
  bool confirmed = false;
  for (Record& record : layers_.records(key.workload, print_schedule(schedule))) {
    const Trial& trial = record.trial;
    const bool of_key = trial.machine == key.machine && trial.features == key.features && trial.threads == key.threads;
    if (!of_key || trial.build != build || trial.status != TrialStatus::ok || record.quarantined) continue;
    confirmed |= record.confirmed;
    if (!best || time_of(trial) < time_of(best->trial)) best = std::move(record);
  }
  if (best) best->confirmed = confirmed;
  return best;
}

std::optional<Transfer::Lesson> Transfer::lesson_of(const Kernel& kernel, const Target& target, const Key& key,
                                                    const Schedule& base, bool for_other_extents) const {
  std::optional<Schedule> winner;
  const std::optional<LookupResult> found = layers_.best(key, build_, [&](const LookupResult& candidate) {
    winner = fitting_schedule(kernel, target, candidate.trial.schedule);
    return winner.has_value();
  });
  if (!found || !found->confirmed) return std::nullopt;
  Lesson lesson{difference(base, *winner, for_other_extents), time_of(found->trial), found->id, found->source};
  if (lesson.changes.empty()) return std::nullopt;
  const std::string& build = found->trial.build;
  if (const Schedule part = settled(kernel, target, changed(base, lesson.changes)); part != *winner) {
    const std::optional<Record> timed = fastest(key, build, part);
    if (!timed) return std::nullopt;
    lesson = {std::move(lesson.changes), time_of(timed->trial), timed->id, timed->source};
  }
  const std::optional<Record> before = fastest(key, build, base);
  if (!before || !before->confirmed) return std::nullopt;
  lesson.gain = time_of(before->trial) / lesson.time;
  // W itself is held against D, too: a part that looks faster than the whole was timed at another moment.
  const bool won = time_of(before->trial) >= kLeastGain * time_of(found->trial) && lesson.gain >= kLeastGain;
  return won ? std::optional(std::move(lesson)) : std::nullopt;
}

std::optional<Transfer::Offer> Transfer::from_donor(Donor& donor, const Recipient& to, bool same_anchor) const {
  if (!donor.base) donor.base = default_schedule(donor.kernel, target_, threads_);
  if (!chose_alike(*donor.base, to.base)) return std::nullopt;
  std::optional<std::optional<Lesson>>& lesson = same_anchor ? donor.whole : donor.part;
  if (!lesson) lesson = lesson_of(donor.kernel, target_, key_of(donor.kernel), *donor.base, !same_anchor);
  if (!*lesson) return std::nullopt;
  return offer_of(**lesson, *donor.base, to, same_anchor ? "other_epilogue" : "nearest_shape");
}

std::optional<Target> Transfer::sibling_target(const Key& key) const {
  const auto described = machines_.find(key.machine);
  if (key.machine == machine_hash_ || key.threads != threads_ || described == machines_.end()) return std::nullopt;
  const Machine& machine = described->second;
  const bool sibling = machine.vendor == machine_.vendor && core_kinds(machine) == core_kinds(machine_) &&
                       is_subset(machine.features, machine_.features);
  std::optional<Target> target = sibling ? target_on(key.features, machine) : std::nullopt;
  if (!target || target->arch != target_.arch || target->os != target_.os ||
      !is_subset(target->features, target_.features))
    return std::nullopt;
  return target;
}

Transfer::Offers Transfer::from_siblings(const Recipient& to) const {
  Offers offers;
  for (const Key& key : layers_.keys_of(to.kernel.workload.text)) {
    const std::optional<Target> target = sibling_target(key);
    if (!target) continue;
    if (default_schedule(to.kernel, *target, threads_) != to.base) continue;
    const std::optional<Lesson> lesson = lesson_of(to.kernel, *target, key, to.base, false);
    std::optional<Offer> offer = lesson ? offer_of(*lesson, to.base, to, "sibling") : std::nullopt;
    if (offer) offers.push_back(std::move(*offer));
  }
  return offers;
}

std::optional<Transfer::Offer> Transfer::offer_of(const Lesson& lesson, const Schedule& base, const Recipient& to,
                                                  std::string rung) const {
  const KnobValues& changes = lesson.changes;
  for (const auto& [name, value] : changes)
    if (to.base[name] != base[name]) return std::nullopt;
  Schedule schedule = settled(to.kernel, target_, changed(to.base, changes));
  const bool kept = std::ranges::all_of(changes, [&](const auto& each) { return schedule[each.first] == each.second; });
  if (!kept || !why_illegal(to.kernel, target_, schedule).empty() ||
      !serves_threads(to.kernel, target_, threads_, schedule))
    return std::nullopt;
  const auto speaks_against = [&](const Record& record) {
    return record.trial.features == target_.name() && (record.quarantined || record.trial.status != TrialStatus::ok);
  };
  if (std::ranges::any_of(layers_.records(to.kernel.workload.text, print_schedule(schedule)), speaks_against))
    return std::nullopt;
  return Offer{{std::move(schedule), lesson.trial, std::move(rung), lesson.source}, lesson.gain};
}

}  // namespace oc
