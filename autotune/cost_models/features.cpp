#include "autotune/cost_models/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autotune/cost_models/estimate.h"
#include "base/error.h"

namespace oc {
namespace {

constexpr float kAbsent = -1;

// Where named values go: into a row of numbers, or into a list of names.
class Sink {
 public:
  explicit Sink(std::vector<float>* row, std::vector<std::string>* names) : row_(row), names_(names) {}
  void add(std::string_view group, std::string_view name, double value) {
    if (!std::isfinite(value)) internal_error("feature {}.{} of a schedule is {}", group, name, value);
    if (row_ != nullptr) row_->push_back(static_cast<float>(value));
    if (names_ != nullptr) names_->push_back(fmt::format("{}.{}", group, name));
  }
  // Of a size or a count, never negative.
  void add_log(std::string_view group, std::string_view name, double value) {
    add(group, name, std::log2(1 + std::max(0.0, value)));
  }
  // Of a ratio, which may be far below 1.
  void add_ratio(std::string_view group, std::string_view name, double value, double of) {
    add(group, name, std::log2((value + 1e-6) / (of + 1e-6)));
  }

 private:
  std::vector<float>* row_;
  std::vector<std::string>* names_;
};

// All that features are made of: of the kernel and its setting, then of one schedule.
struct Facts {
  Target target;
  int threads = 1;
  Family family = Family::elementwise;
  double flops = 0, least = 0, bytes = 0, weights = 0, nodes = 0;

  const Schedule* schedule = nullptr;
  ScheduleView view{{Nest{}}, {Traffic{}}, {}};
  size_t main = 0;  // the nest with the most work
};

Facts facts_of(const Setting& setting) {
  const Kernel& kernel = setting.kernel;
  Facts facts{.target = setting.target, .threads = setting.threads, .family = kernel.family};
  facts.flops = kernel.flops;
  facts.least = least_flops(kernel);
  facts.bytes = static_cast<double>(kernel.bytes);
  facts.weights = static_cast<double>(kernel.weight_bytes_read());
  facts.nodes = static_cast<double>(kernel.graph.nodes.size());
  return facts;
}

double work(const Nest& nest) {
  return nest.flops * nest.computed;
}

void look_at(Facts& facts, const Setting& setting, const Schedule& schedule) {
  facts.schedule = &schedule;
  facts.view = look_at(setting, facts.least, schedule);
  facts.main = static_cast<size_t>(std::ranges::max_element(facts.view.nests, {}, work) - facts.view.nests.begin());
}

void add_kernel(Sink& sink, const Facts& f) {
  sink.add_log("kernel", "flops", f.flops);
  sink.add_log("kernel", "bytes", f.bytes);
  sink.add_ratio("kernel", "intensity", f.flops, f.bytes);
  sink.add_ratio("kernel", "least_flops", f.least, f.flops);
  sink.add_ratio("kernel", "weights", f.weights, f.bytes);
  sink.add("kernel", "nodes", f.nodes);
  for (const Family family : kFamilies) sink.add("family", family_name(family), f.family == family ? 1 : 0);
}

void add_target(Sink& sink, const Facts& f) {
  sink.add("target", "vector_bytes", f.target.vector_bytes);
  sink.add("target", "vector_registers", f.target.vector_registers);
  sink.add("target", "vector_fmas", f.target.vector_fmas);
  sink.add_log("target", "l1_bytes", static_cast<double>(f.target.l1_bytes));
  sink.add_log("target", "l2_bytes", static_cast<double>(f.target.l2_bytes));
  sink.add_log("target", "l3_bytes", static_cast<double>(f.target.l3_bytes));
  sink.add_log("target", "threads", f.threads);
}

void add_tile(Sink& sink, const Facts& f) {
  const Nest& nest = f.view.nests[f.main];
  const auto sums = static_cast<double>(nest.sums), registers = static_cast<double>(f.target.vector_registers);
  sink.add("tile", "lanes_used", static_cast<double>(nest.lanes) / f.target.lanes(4));
  sink.add("tile", "sums", sums);
  sink.add("tile", "registers", static_cast<double>(registers_wanted(nest)) / registers);
  sink.add("tile", "latency", latency_hidden(nest, f.target));
  sink.add("tile", "loads_per_sum", static_cast<double>(nest.loads) / sums);
  sink.add_log("tile", "loads", static_cast<double>(nest.loads));
  sink.add_log("tile", "depth", static_cast<double>(nest.depth));
  sink.add_log("tile", "body", static_cast<double>(nest.body));
  sink.add_log("tile", "unrolled", static_cast<double>(nest.body) / sums);
  sink.add("tile", "waste", nest.computed);
  double flops = 0, computed = 0;
  for (const Nest& each : f.view.nests) {
    flops += each.flops;
    computed += work(each);
  }
  sink.add_ratio("tile", "work", computed, flops);
  sink.add_ratio("tile", "work_of_kernel", computed, f.flops);
}

void add_memory(Sink& sink, const Facts& f) {
  const Traffic& traffic = f.view.traffic[f.main];
  sink.add_ratio("memory", "tile_in_l1", traffic.tile, static_cast<double>(f.target.l1_bytes));
  sink.add_ratio("memory", "tile_in_l2", traffic.tile, static_cast<double>(f.target.l2_bytes));
  constexpr std::string_view kLevels[kCacheLevels] = {"l1", "l2", "l3"};
  constexpr std::string_view kRoles[kTensorRoles] = {"input", "weight", "result"};
  for (size_t level = 0; level < kCacheLevels; ++level) {
    double all = 0;
    for (const Traffic& each : f.view.traffic) all += each.into(level);
    sink.add_ratio(kLevels[level], "bytes_per_flop", all, f.flops);
    sink.add_ratio(kLevels[level], "bytes_again", all, f.bytes);
    sink.add(kLevels[level], "held", traffic.held[level]);
    for (size_t role = 0; role < kTensorRoles; ++role)
      sink.add_ratio(kLevels[level], kRoles[role], traffic.bytes[level][role], traffic.distinct[role]);
  }
  sink.add_log("memory", "run_of_weights", traffic.run);
  double extra_bytes = 0, extra_ops = 0;
  for (const Nest& nest : f.view.nests) {
    extra_bytes += nest.extra_bytes;
    extra_ops += nest.extra_ops;
  }
  sink.add("memory", "copied", extra_bytes / std::max(1.0, f.bytes));
  sink.add("memory", "extra_ops", extra_ops * static_cast<double>(f.view.nests[f.main].lanes) / std::max(1.0, f.flops));
}

void add_parallel(Sink& sink, const Facts& f) {
  const Nest& nest = f.view.nests[f.main];
  sink.add_log("parallel", "tasks", static_cast<double>(nest.tasks));
  sink.add_log("parallel", "pieces", static_cast<double>(nest.pieces));
  sink.add("parallel", "imbalance", imbalance(nest, f.threads));
  sink.add_log("parallel", "flops_of_task", f.flops / static_cast<double>(std::max<int64_t>(1, nest.tasks)));
}

void add_estimate(Sink& sink, const Facts& f) {
  const Estimate& e = f.view.estimate;
  sink.add("estimate", "efficiency", e.efficiency());
  const std::pair<std::string_view, double> parts[] = {{"arithmetic", e.arithmetic},
                                                       {"loads", e.loads},
                                                       {"overhead", e.overhead},
                                                       {"spills", e.spills},
                                                       {"extra", e.extra},
                                                       {"jumps", e.jumps},
                                                       {"l1", e.l1},
                                                       {"l2", e.l2},
                                                       {"l3", e.l3}};
  for (const auto& [name, cycles] : parts) sink.add("estimate", name, cycles / std::max(1e-9, e.ideal));
}

// Every argument of every family, so that points that differ in one knob alone differ here.
void add_knobs(Sink& sink, const Facts& f) {
  for (const Family family : kFamilies)
    for (const Argument& argument : family_info(family).grammar) {
      const bool stated = f.schedule != nullptr && f.schedule->family == family;
      const double value = stated ? static_cast<double>((*f.schedule)[argument.name]) : 0;
      const double shown = argument.words.empty() ? std::log2(1 + value) : value;
      sink.add(family_name(family), argument.name, stated ? shown : kAbsent);
    }
}

void add_all(Sink sink, const Facts& facts) {
  for (const auto add : {add_kernel, add_target, add_tile, add_memory, add_parallel, add_estimate, add_knobs})
    add(sink, facts);
}

}  // namespace

const std::vector<std::string>& feature_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    add_all(Sink(nullptr, &names), {});
    return names;
  }();
  return kNames;
}

std::vector<float> features(const Setting& setting, std::span<const Schedule> schedules) {
  std::vector<float> rows;
  rows.reserve(schedules.size() * feature_names().size());
  Facts facts = facts_of(setting);
  for (const Schedule& schedule : schedules) {
    look_at(facts, setting, schedule);
    add_all(Sink(&rows, nullptr), facts);
  }
  return rows;
}

}  // namespace oc
