#include "compiler/variants.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "dsl/varying.h"
#include "generators/build.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

constexpr size_t kMostKnown = 4096;
// Times the work of its example that a kernel may do, or the share: tiles go by extents.
constexpr double kFarthest = 8;

double distance(const Kernel& a, const Kernel& b) {
  return std::abs(std::log((a.flops + 1) / (b.flops + 1)));
}

// Of the kernel's buffers in memory. What the schedule packs has no size that varies and is asked for none.
std::vector<Extents> buffer_sizes(const Kernel& kernel) {
  std::vector<Extents> sizes;
  const auto add = [&](const Type& type) { sizes.push_back(physical_extents(type.layout, type.extents())); };
  for (const ValueId input : kernel.graph.inputs) add(kernel.graph[input].type);
  add(kernel.output());
  return sizes;
}

ptrdiff_t count_symbols(const Kernel& kernel) {
  ptrdiff_t count = 0;
  for (const std::vector<int>& dims : kernel.symbols)
    count += std::ranges::count_if(dims, [](int symbol) { return symbol != Kernel::kFixed; });
  return count;
}

}  // namespace

Variants::Variants(std::filesystem::path file, const OpTable& ops) : file_(std::move(file)), ops_(ops) {
  try {
    const auto json = nlohmann::json::parse(read_file(file_));
    if (json.at("toolchain") != toolchain_id()) return;
    for (const auto& entry : json.at("kernels")) {
      Known known{analyse({entry.at(0).get<std::string>()}, ops), entry.at(1).get<std::string>(),
                  entry.at(2).get<size_t>()};
      known.given_up = entry.at(3).get<bool>();
      if (!known.other.empty()) known.kernel = varying(known.kernel, analyse({known.other}, ops), ops).value();
      if (!can_vary(known.kernel)) user_error("a kernel that cannot vary");
      known_.push_back(std::move(known));
    }
  } catch (const std::exception&) {  // not there, or whatever somebody has written into it
    known_.clear();
  }
}

// The nearest that fits.
const Variants::Known* Variants::serving(const Kernel& wanted, const Search& search) {
  Known* best = nullptr;
  for (Known& known : known_) {
    if (known.other.empty() || distance(known.kernel, wanted) > std::log(kFarthest)) continue;
    if (best != nullptr && distance(known.kernel, wanted) >= distance(best->kernel, wanted)) continue;
    if (!symbols_in(known.kernel, wanted, ops_)) continue;
    if (!known.pick) known.pick = search.pick(known.kernel);
    if (serves(known.kernel, search.target, known.pick->schedule, wanted)) best = &known;
  }
  return best;
}

bool Variants::is_given_up(const Kernel& wanted) const {
  return std::ranges::any_of(known_, [&](const Known& known) {
    return known.given_up && (known.kernel.workload == wanted.workload || varying(wanted, known.kernel, ops_));
  });
}

// `wanted` as a kernel that varies: as it does against the one that stood in its place, else in as many dims as it can.
std::optional<Variants::Known> Variants::made_from(const Kernel& wanted, size_t place) const {
  std::optional<Known> best;
  std::pair<bool, ptrdiff_t> best_rank;
  for (const Known& known : known_) {
    std::optional<Kernel> made = varying(wanted, known.kernel, ops_);
    if (!made || !can_vary(*made)) continue;
    const std::pair rank(known.place == place, count_symbols(*made));
    if (rank.second == 0 || (best && rank <= best_rank)) continue;
    best_rank = rank;
    best = Known{std::move(*made), known.kernel.workload.text, place};
  }
  return best;
}

// What a kernel that none serves becomes: one that varies where its own extents do for that, else itself.
Variants::Known Variants::learned(const Kernel& wanted, size_t place, const Pick& own, const Search& search) const {
  if (std::optional<Known> made = made_from(wanted, place)) {
    made->pick = search.pick(made->kernel);
    if (serves(made->kernel, search.target, made->pick->schedule, wanted)) return *std::move(made);
  }
  return {wanted, "", place, own};
}

void Variants::apply(Model& model, std::vector<Pick>& picks, const Target& target,
                     const std::function<Pick(const Kernel&)>& pick) {
  std::map<std::string, size_t> at;
  std::vector<Kernel> kernels;
  std::vector<Pick> picked;
  std::vector<int> uses;
  std::vector<size_t> becomes;
  std::vector<std::vector<Extents>> sizes;
  std::vector<Known> fresh;  // kernels of one model are no variants of each other
  for (size_t k = 0; k < model.kernels.size(); ++k) {
    const Kernel& wanted = model.kernels[k];
    const auto is_wanted = [&](const Known& known) {
      return known.other.empty() && known.kernel.workload == wanted.workload;
    };
    Known used{wanted, "", k, picks[k]};
    const bool timed = picks[k].rung == "exact" || picks[k].rung == "other_threads";
    if (!timed && takes_sizes(wanted, ops_) && std::ranges::none_of(known_, is_wanted) && !is_given_up(wanted)) {
      const Search search{target, pick};
      if (const Known* found = serving(wanted, search)) {
        used = *found;
      } else {
        used = fresh.emplace_back(learned(wanted, k, picks[k], search));
      }
    }
    sizes.push_back(used.kernel.symbols.empty() ? std::vector<Extents>() : buffer_sizes(wanted));
    const auto [found, is_new] = at.emplace(used.kernel.workload.text + print_symbols(used.kernel), kernels.size());
    becomes.push_back(found->second);
    if (is_new) {
      kernels.push_back(std::move(used.kernel));
      picked.push_back(*std::move(used.pick));
      uses.push_back(0);
    }
    uses[found->second] += model.uses[k];
  }
  for (size_t& k : model.kernel_of) {
    model.sizes_of.push_back(k == kNoKernel ? std::vector<Extents>() : sizes[k]);
    if (k != kNoKernel) k = becomes[k];
  }
  model.kernels = std::move(kernels);
  model.uses = std::move(uses);
  picks = std::move(picked);
  learned_ = learned_ || !fresh.empty();
  std::ranges::move(fresh, std::back_inserter(known_));
  if (known_.size() <= kMostKnown) return;
  std::ranges::stable_partition(known_, [](const Known& known) { return known.other.empty(); });  // serve few: go first
  known_.erase(known_.begin(), known_.end() - kMostKnown);
}

void Variants::give_up(const Kernel& kernel) {
  bool found = false;
  for (Known& known : known_) {
    if (known.kernel.workload != kernel.workload) continue;
    known = {analyse(known.kernel.workload, ops_), "", known.place, {}, true};
    found = learned_ = true;
  }
  if (!found) internal_error("a kernel that varies is not known");
}

void Variants::keep_those_that_vary() {
  std::erase_if(known_, [](const Known& known) { return known.other.empty() && !known.given_up; });
}

void Variants::save() const {
  if (!learned_) return;
  nlohmann::json json{{"toolchain", toolchain_id()}, {"kernels", nlohmann::json::array()}};
  for (const Known& known : known_)
    json["kernels"].push_back({known.kernel.workload.text, known.other, known.place, known.given_up});
  try {
    std::filesystem::create_directories(file_.parent_path());
    write_file_atomic(file_, json.dump());
  } catch (const std::exception&) {  // the next compile learns it again
    return;
  }
}

}  // namespace oc
