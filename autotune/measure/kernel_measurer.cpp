#include "autotune/measure/kernel_measurer.h"

#include <algorithm>
#include <list>
#include <map>
#include <nlohmann/json.hpp>

#include "autotune/measure/calibrate.h"
#include "autotune/measure/inputs.h"
#include "autotune/measure/trial.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "generators/build.h"
#include "generators/link.h"

namespace oc {
namespace {

constexpr size_t kKeptWorkloads = 4;  // whose inputs stay in memory; others are made again from the seed
constexpr size_t kKeptBuilds = 256;   // libraries kept for duels, of some 50 KiB each
constexpr int64_t kMaxColdBytes = 256 << 20;
// Calls that a run may last: a trial makes 7 of a slow kernel, a duel 7 of each.
constexpr double kTrialCalls = 10, kDuelCalls = 20;
constexpr double kReferenceFlops = 5e8;  // a second, of code without any schedule, at least
constexpr double kReferenceRuns = 4;     // two, and as long again
constexpr size_t kRoom = 16 << 20;       // for temporary files: many times what a child writes

// In a model a kernel's weights come from memory, since all the others' were read meanwhile; from a nearer cache some
// schedules win that lose in the model. Twice what the last cache of this machine holds is cold when read in turns;
// where that is very large, others share it.
int64_t cold_bytes() {
  const Machine machine = host_machine();
  return std::min(2 * std::max(machine.l2_bytes, machine.l3_bytes), kMaxColdBytes);
}

// What a build came to.
struct Built {
  ChildStatus status = ChildStatus::ok;
  std::string error;
  BuiltKernel kernel;
  std::string code;  // code_hash
};

struct Building {
  std::string key;
  Child child;
};

// Of a candidate's function. Object files sort names by their ends, which are alike here: what its key is must not
// change the order.
std::string candidate_symbol(const std::string& key) {
  return artifact_symbol(key) + "_candidate";
}

// Of an object file with its own name blanked: equal code under different schedules compares equal.
std::string code_hash(std::string object, const std::string& symbol) {
  for (size_t at = 0; (at = object.find(symbol, at)) != std::string::npos; at += symbol.size())
    std::fill_n(object.begin() + static_cast<std::ptrdiff_t>(at), symbol.size(), '_');
  return content_hash(object);
}

TrialStatus build_failure(ChildStatus status) {
  switch (status) {
    case ChildStatus::timeout: return TrialStatus::compile_timeout;
    case ChildStatus::crashed: return TrialStatus::crash;
    case ChildStatus::out_of_memory: return TrialStatus::out_of_memory;
    default: return TrialStatus::compile_error;
  }
}

TrialStatus run_failure(ChildStatus status) {
  switch (status) {
    case ChildStatus::timeout: return TrialStatus::run_timeout;
    case ChildStatus::crashed: return TrialStatus::crash;
    case ChildStatus::out_of_memory: return TrialStatus::out_of_memory;
    default: return TrialStatus::invalid;
  }
}

// Asked when a child has failed. UserError when the machine lacks what children need, whatever they build or run: the
// schedule is not to blame then, and those that come next would fail alike.
void require_able_machine() {
  const ChildResult result = run_in_child([] {
    const TempDir folder;
    write_file(folder.path() / "room", std::string(kRoom, 'x'));
    const ChildResult nested = run_in_child([] { return std::string(); });  // as for linking
    if (nested.status != ChildStatus::ok) user_error("{}", nested.result);
    return std::string();
  });
  if (result.status != ChildStatus::ok)
    user_error("this machine cannot build and time kernels now: {}; free what is missing, then run this again",
               result.result);
}

ChildLimits lasting(ChildLimits limits, double seconds) {
  const auto least = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  limits.wall = std::max(limits.wall, least);
  return limits;
}

class KernelMeasurer final : public Measurer {
 public:
  KernelMeasurer(Target target, const OpTable& ops, const MeasureOptions& options)
      : target_(std::move(target)), ops_(ops), options_(options) {}

  Calibration calibrate() override {
    const ChildResult result = run_in_child(
        [this] {
          const Calibration found = calibrate_host(target_, options_.threads);
          return nlohmann::json{found.flops, found.bandwidth, found.cached_bandwidth}.dump();
        },
        options_.run);
    if (result.status != ChildStatus::ok) user_error("cannot calibrate this machine: {}", result.result);
    const nlohmann::json json = nlohmann::json::parse(result.result);
    return {json.at(0), json.at(1), json.at(2)};
  }

  void prepare(const Kernel& kernel, const Schedule& schedule) override {
    if (!why_illegal(kernel, target_, schedule).empty()) return;
    const std::string key = artifact_key(kernel.workload, schedule, target_);
    if (built_.contains(key) || std::ranges::any_of(building_, [&](const Building& b) { return b.key == key; })) return;
    while (building_.size() >= static_cast<size_t>(std::max(1, options_.jobs))) collect(building_.front().key);
    building_.push_back({key, start(kernel, schedule, candidate_symbol(key))});
  }

  Measurement measure(const Kernel& kernel, const Schedule& schedule, std::optional<double> hopeless_ns) override {
    if (std::string reason = why_illegal(kernel, target_, schedule); !reason.empty())
      return {.status = TrialStatus::invalid, .message = std::move(reason)};
    const WorkloadData* data = reference(kernel);
    if (data == nullptr)
      return {
          .status = TrialStatus::invalid, .message = references_.at(kernel.workload.text).failure, .hopeless = true};
    const Built built = build(kernel, schedule);
    if (built.status != ChildStatus::ok) return {.status = build_failure(built.status), .message = built.error};

    const std::string code = kernel.workload.hash() + built.code + packing_text(kernel, schedule);
    if (const auto earlier = by_code_.find(code); earlier != by_code_.end()) {
      Measurement repeated = earlier->second;
      repeated.repeated = true;
      return repeated;
    }
    Measurement measurement = run(kernel, *data, built.kernel, schedule, hopeless_ns);
    by_code_.emplace(code, measurement);
    return measurement;
  }

  std::optional<Duel> duel(const Kernel& kernel, const Schedule& candidate, const Schedule& incumbent) override {
    const WorkloadData* data = reference(kernel);
    if (data == nullptr) return std::nullopt;
    const Built first = build(kernel, candidate), second = build(kernel, incumbent);
    if (first.status != ChildStatus::ok || second.status != ChildStatus::ok) return std::nullopt;
    quiet();
    const ChildResult result =
        run_in_child([&] { return run_duel(setup(kernel, *data), first.kernel, candidate, second.kernel, incumbent); },
                     lasting(options_.run, kDuelCalls * reference_seconds(kernel)));
    if (result.status != ChildStatus::ok) {
      require_able_machine();
      return std::nullopt;
    }
    try {
      return decode_duel(result.result);
    } catch (const nlohmann::json::exception&) {  // one of them wrote into our pipe or over our memory
      return std::nullopt;
    }
  }

 private:
  struct Reference {
    std::string failure;  // empty: the output files stand
    double seconds = 0;   // of one run
    std::filesystem::path usual, adversarial;
  };

  [[nodiscard]] TrialSetup setup(const Kernel& kernel, const WorkloadData& data) const {
    const std::chrono::nanoseconds patience = options_.run.wall / 3;
    return {kernel, target_, options_.threads, data, cold_bytes_, patience.count(), folder_.path()};
  }

  // No candidate worth its time is slower than this.
  [[nodiscard]] double reference_seconds(const Kernel& kernel) const {
    return references_.at(kernel.workload.text).seconds;
  }

  // Code says nothing of the layout in which it expects its weights.
  [[nodiscard]] std::string packing_text(const Kernel& kernel, const Schedule& schedule) const {
    std::string text;
    const Packings packings = weight_packings(kernel, target_, schedule);
    for (size_t i = 0; i < packings.size(); ++i)
      text += packings[i] ? " " + print_packing(*packings[i], kernel.input(i).shape.size()) : " -";
    return text;
  }

  Measurement run(const Kernel& kernel, const WorkloadData& data, const BuiltKernel& built, const Schedule& schedule,
                  std::optional<double> hopeless_ns) {
    quiet();
    const double reference = reference_seconds(kernel);
    const double slowest = hopeless_ns ? std::min(reference, *hopeless_ns / 1e9) : reference;
    const ChildResult result =
        run_in_child([&] { return run_trial(setup(kernel, data), built, schedule, hopeless_ns); },
                     lasting(options_.run, kTrialCalls * slowest));
    if (result.status != ChildStatus::ok) {
      require_able_machine();
      return {.status = run_failure(result.status), .message = result.result};
    }
    try {
      return decode_measurement(result.result);
    } catch (const nlohmann::json::exception&) {  // the candidate wrote into our pipe or over our memory
      return {.status = TrialStatus::crash, .message = "the measuring process sent no result"};
    }
  }

  // Before timing, unless there is a core to spare for them, the builds under way are waited for.
  void quiet() {
    if (options_.overlap) return;
    while (!building_.empty()) collect(building_.front().key);
  }

  [[nodiscard]] std::string linked(const std::string& object, const std::string& symbol) const {
    const std::filesystem::path path = folder_.path() / (symbol + ".so");
    link_kernel(target_, object, symbol, path);
    std::string library = read_file(path);
    std::filesystem::remove(path);
    return library;
  }

  // Builds and links in a child, on another core than what is timed meanwhile.
  Child start(const Kernel& kernel, const Schedule& schedule, const std::string& symbol) const {
    return {[&] {
              const std::string object = build_object(kernel, ops_, target_, &schedule, symbol);
              return code_hash(object, symbol) + linked(object, symbol);
            },
            options_.build};
  }

  void collect(std::string key) {  // a copy: it may be that of the entry that goes
    const auto found = std::ranges::find(building_, key, &Building::key);
    ChildResult result = found->child.wait();
    building_.erase(found);
    Built built{.status = result.status};
    if (built.status == ChildStatus::ok) {
      const size_t digits = content_hash({}).size();
      built.kernel = {candidate_symbol(key), result.result.substr(digits)};
      built.code = result.result.substr(0, digits);
    } else {
      require_able_machine();
      built.error = std::move(result.result);
    }
    if (built_.size() >= kKeptBuilds) built_.clear();
    built_.insert_or_assign(std::move(key), std::move(built));
  }

  // A copy: collecting others may drop what is kept.
  Built build(const Kernel& kernel, const Schedule& schedule) {
    if (std::string reason = why_illegal(kernel, target_, schedule); !reason.empty())
      return {.status = ChildStatus::failed, .error = std::move(reason), .kernel = {}, .code = {}};
    const std::string key = artifact_key(kernel.workload, schedule, target_);
    if (!built_.contains(key)) {
      prepare(kernel, schedule);
      if (!built_.contains(key)) collect(key);
    }
    return built_.at(key);
  }

  // Inputs of the workload and its reference outputs; null when the reference fails.
  const WorkloadData* reference(const Kernel& kernel) {
    const auto [entry, fresh] = references_.try_emplace(kernel.workload.text);
    Reference& found = entry->second;
    if (fresh) {
      found.usual = folder_.path() / fmt::format("{}.usual", references_.size());
      found.adversarial = folder_.path() / fmt::format("{}.adversarial", references_.size());
    } else if (!found.failure.empty()) {
      return nullptr;
    }
    const WorkloadData& data = inputs(kernel, found);
    if (fresh) make_reference(kernel, data, found);
    if (fresh && !found.failure.empty()) require_able_machine();
    return found.failure.empty() ? &data : nullptr;
  }

  void make_reference(const Kernel& kernel, const WorkloadData& data, Reference& reference) {
    const BuildJob job{&kernel, std::nullopt};
    const BuildOutcome outcome = std::move(
        build_kernels({&job, 1}, ops_, target_, {.jobs = 1, .limits = options_.build, .cache = options_.references})
            .front());
    if (outcome.status != ChildStatus::ok) {
      reference.failure = "the reference does not build: " + outcome.error;
      return;
    }
    const auto& made = outcome.artifact;
    ChildLimits limits = lasting(options_.run, kReferenceRuns * kernel.flops / kReferenceFlops);
    limits.wall = std::max(limits.wall, 4 * options_.run.wall);  // much of what it does is no arithmetic
    const ChildResult result = run_in_child(
        [&] { return run_reference(setup(kernel, data), {made.symbol, linked(made.object, made.symbol)}); }, limits);
    if (result.status == ChildStatus::ok)
      reference.seconds = std::stod(result.result) / 1e9;
    else
      reference.failure = "the reference does not run: " + result.result;
  }

  const WorkloadData& inputs(const Kernel& kernel, const Reference& files) {
    const auto kept = std::ranges::find(inputs_, kernel.workload.text, &KeptInputs::workload);
    if (kept != inputs_.end()) {
      inputs_.splice(inputs_.begin(), inputs_, kept);
    } else {
      if (inputs_.size() >= kKeptWorkloads) inputs_.pop_back();
      inputs_.push_front(
          {kernel.workload.text,
           {make_inputs(kernel, options_.seed, InputKind::usual),
            make_inputs(kernel, options_.seed, InputKind::adversarial), files.usual, files.adversarial}});
    }
    return inputs_.front().data;
  }

  struct KeptInputs {
    std::string workload;
    WorkloadData data;
  };

  Target target_;
  const OpTable& ops_;
  MeasureOptions options_;
  int64_t cold_bytes_ = cold_bytes();
  TempDir folder_;
  std::map<std::string, Reference> references_;  // by workload text
  std::list<KeptInputs> inputs_;                 // latest first
  std::map<std::string, Built> built_;           // by artifact key
  std::list<Building> building_;
  std::map<std::string, Measurement> by_code_;  // by workload and code
};

}  // namespace

std::unique_ptr<Measurer> make_kernel_measurer(const Target& target, const OpTable& ops,
                                               const MeasureOptions& options) {
  if (!runs_on_host(target))
    user_error("cannot measure for {}: its code does not run on this machine; tune on such a machine", target.name());
  return std::make_unique<KernelMeasurer>(target, ops, options);
}

}  // namespace oc
