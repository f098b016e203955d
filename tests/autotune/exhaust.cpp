// Makes the tables of times that strategies and cost models are tried on: of each workload TABLES/NAME.workload, whose
// space is cut to few schedules, every one is built, checked against the reference and timed on one thread of this
// machine, into TABLES/NAME.tsv. A table that is complete is left alone, one cut short is gone on with.
//
// The machine drifts, so the default is timed anew every kBlock schedules, and those between two such times are scaled
// by the mean of both to the first. Then the fastest are timed in turns with the default.
#include <fmt/chrono.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "autotune/measure/kernel_measurer.h"
#include "autotune/provenance.h"
#include "autotune/strategies/points.h"
#include "base/error.h"
#include "base/files.h"
#include "tests/autotune/cut.h"
#include "tests/autotune/table.h"
#include "tests/autotune/workloads.h"

namespace oc::testing {
namespace {

constexpr size_t kBlock = 25;
constexpr size_t kFastest = 5;
constexpr double kEarlyStop = 10;  // times slower than the best; cost models learn from slow ones too

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void say(const std::string& line) {
  std::cout << line << std::endl;
}

Table new_table(const Kernel& kernel, const Target& target, const Cut& cut) {
  const BuildRow build = current_build();
  Table table{.workload = kernel.workload.text,
              .target = target.name(),
              .machine = host_machine().hash(),
              .toolchain = build.toolchain,
              .date = fmt::format("{:%F}", fmt::gmtime(std::time(nullptr))),
              .l1 = target.l1_bytes,
              .l2 = target.l2_bytes,
              .l3 = target.l3_bytes,
              .threads = 1,
              .family = kernel.family,
              .version = family_info(kernel.family).version,
              .fixed = cut.fixed,
              .knobs = cut.knobs};
  for (const Schedule& start : cut.starts) table.starts.push_back(table.values_of(start));
  return table;
}

// Whether the schedules of `old` can stand beside those that a run would add to `fresh`.
bool goes_on(const Table& old, const Table& fresh) {
  const auto same_knob = [](const Knob& a, const Knob& b) { return a.name == b.name && a.values == b.values; };
  return old.workload == fresh.workload && old.target == fresh.target && old.machine == fresh.machine &&
         old.toolchain == fresh.toolchain && old.fixed == fresh.fixed && old.starts == fresh.starts &&
         std::ranges::equal(old.knobs, fresh.knobs, same_knob);
}

class Exhaustion {
 public:
  Exhaustion(Kernel kernel, const Target& target, Measurer& measurer, std::filesystem::path path)
      : kernel_(std::move(kernel)), target_(target), measurer_(measurer), path_(std::move(path)) {}

  // Candidates timed, and the seconds that took.
  std::pair<size_t, double> run(const Cut& cut) {
    const Clock::time_point start = Clock::now();
    open(cut);
    std::vector<Schedule> left = remaining(cut);
    const Clock::time_point ready = Clock::now();
    say(fmt::format("{}: {} of {} schedules to time; reference and first timing took {:.1f} s", name(), left.size(),
                    cut.schedules.size(), seconds_since(start)));
    for (size_t first = 0; first < left.size(); first += kBlock) {
      const size_t end = std::min(left.size(), first + kBlock);
      time_block(left, first, end);
      say(fmt::format("{}: {}/{}, best {:.2f} of the default, {:.1f} a second", name(), table_.rows.size(),
                      cut.schedules.size(), static_cast<double>(best_ns()) / static_cast<double>(table_.default_ns),
                      static_cast<double>(end) / seconds_since(ready)));
    }
    const double seconds = seconds_since(ready);
    retime();
    write_file_atomic(path_, print_table(table_));
    return {left.size(), seconds};
  }

 private:
  [[nodiscard]] std::string name() const { return path_.stem().string(); }

  void open(const Cut& cut) {
    default_ = cut.starts.front();
    const Measurement first = measurer_.measure(kernel_, default_, std::nullopt);
    if (!first.ok()) user_error("{}: the default schedule fails: {}", name(), first.message);
    table_ = new_table(kernel_, target_, cut);
    if (std::filesystem::exists(path_)) {
      Table old = read_table(path_);
      if (goes_on(old, table_)) {
        table_ = std::move(old);
      } else {
        say(name() + ": of another space, machine or build; made anew");
      }
    }
    if (table_.default_ns == 0) table_.default_ns = std::llround(time_default());
    by_samples_[first.samples_ns] = table_.default_ns;
    write_file_atomic(path_, print_table(table_));  // and without a line cut short
  }

  // In a random order, so that no knob's value falls together with a phase of the machine.
  std::vector<Schedule> remaining(const Cut& cut) {
    std::set<Values> done;
    for (const TableRow& row : table_.rows) done.insert(row.values);
    std::vector<Schedule> left;
    for (const Schedule& schedule : cut.schedules)
      if (!done.contains(table_.values_of(schedule))) left.push_back(schedule);
    Random random(1);
    for (size_t i = left.size(); i > 1; --i) std::swap(left[i - 1], left[random.below(i)]);
    return left;
  }

  // Now, in nanoseconds.
  double time_default() {
    const std::optional<Duel> duel = measurer_.duel(kernel_, default_, default_);
    if (!duel) user_error("{}: the default schedule ran before and fails now", name());
    std::vector<double> samples(duel->candidate_ns.begin(), duel->candidate_ns.end());
    samples.insert(samples.end(), duel->incumbent_ns.begin(), duel->incumbent_ns.end());
    default_now_ = median(std::move(samples));
    return default_now_;
  }

  void time_block(const std::vector<Schedule>& left, size_t first, size_t end) {
    const double before = first == 0 ? time_default() : default_now_;
    std::vector<Measurement> block;
    for (size_t i = first; i < end; ++i) {
      measurer_.prepare(kernel_, left[i]);
      if (i + 1 < left.size()) measurer_.prepare(kernel_, left[i + 1]);  // builds while this one is timed
      std::optional<double> hopeless;
      if (!table_.rows.empty()) hopeless = kEarlyStop * static_cast<double>(best_ns());
      block.push_back(measurer_.measure(kernel_, left[i], hopeless));
    }
    const double scale = static_cast<double>(table_.default_ns) * 2 / (before + time_default());
    std::string lines;
    for (size_t i = first; i < end; ++i) {
      table_.rows.push_back(row_of(left[i], block[i - first], scale));
      lines += print_row(table_.rows.back());
    }
    std::ofstream(path_, std::ios::app) << lines << std::flush;
  }

  TableRow row_of(const Schedule& schedule, const Measurement& measurement, double scale) {
    TableRow row{.values = table_.values_of(schedule), .status = measurement.status};
    if (!measurement.ok()) {
      say(fmt::format("{}: {}: {}", name(), status_name(measurement.status), measurement.message));
      return row;
    }
    row.nanoseconds = std::max<int64_t>(1, std::llround(measurement.nanoseconds() * scale));
    // Code seen before has its samples of then, and so its scale.
    row.nanoseconds = by_samples_.try_emplace(measurement.samples_ns, row.nanoseconds).first->second;
    return row;
  }

  [[nodiscard]] int64_t best_ns() const {
    int64_t best = table_.default_ns;
    for (const TableRow& row : table_.rows)
      if (row.status == TrialStatus::ok) best = std::min(best, row.nanoseconds);
    return best;
  }

  // The fastest row gets its time in turns with the default, until the kFastest of all have it.
  void retime() {
    std::map<Values, Retimed> retimed;
    while (TableRow* row = fastest_without(retimed)) {
      const std::optional<Duel> duel = measurer_.duel(kernel_, table_.schedule(row->values), default_);
      if (!duel) user_error("{}: a schedule ran before and fails now: {}", name(), print_row(*row));
      std::vector<double> ratios;
      for (size_t i = 0; i < duel->candidate_ns.size(); ++i)
        ratios.push_back(static_cast<double>(duel->candidate_ns[i]) / static_cast<double>(duel->incumbent_ns[i]));
      const auto rounds = static_cast<int64_t>(ratios.size());
      const double ratio = std::round(median(std::move(ratios)) * 1e4) / 1e4;
      retimed[row->values] = {row->values, ratio, rounds};
      row->nanoseconds = std::max<int64_t>(1, std::llround(ratio * static_cast<double>(table_.default_ns)));
    }
    for (size_t i = 0; i < std::min(kFastest, table_.rows.size()); ++i)
      if (const auto found = retimed.find(table_.rows[i].values); found != retimed.end())
        table_.retimed.push_back(found->second);
    say(fmt::format("{}: {} timed in turns with the default, the best has {:.4f} of its time", name(), retimed.size(),
                    table_.retimed.front().of_default));
  }

  // Sorts the rows, fastest first; null: the kFastest are all in `retimed`.
  TableRow* fastest_without(const std::map<Values, Retimed>& retimed) {
    std::ranges::sort(table_.rows, {}, [](const TableRow& row) {
      return row.status == TrialStatus::ok ? row.nanoseconds : std::numeric_limits<int64_t>::max();
    });
    for (size_t i = 0; i < std::min(kFastest, table_.rows.size()); ++i)
      if (table_.rows[i].status == TrialStatus::ok && !retimed.contains(table_.rows[i].values)) return &table_.rows[i];
    return nullptr;
  }

  Kernel kernel_;
  const Target& target_;
  Measurer& measurer_;
  std::filesystem::path path_;
  Table table_;
  Schedule default_;
  double default_now_ = 0;
  std::map<std::vector<int64_t>, int64_t> by_samples_;
};

void exhaust(const std::filesystem::path& folder, const std::vector<std::string>& only, size_t points, bool count) {
  std::vector<std::filesystem::path> workloads;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".workload" &&
        (only.empty() || std::ranges::find(only, entry.path().stem().string()) != only.end()))
      workloads.push_back(entry.path());
  if (workloads.empty()) user_error("{}: no such NAME.workload there", folder.string());
  std::ranges::sort(workloads);
  const Target target = host_target();
  size_t candidates = 0;
  double seconds = 0;
  for (const std::filesystem::path& workload : workloads) {
    const std::string name = workload.stem().string();
    std::filesystem::path path = workload;
    path.replace_extension(".tsv");
    if (!count && std::filesystem::exists(path) && !read_table(path).retimed.empty()) {
      say(name + ": complete");
      continue;
    }
    const Kernel kernel = kernel_of(read_file(workload));
    const Cut cut = cut_space(kernel, target, 1, points);
    if (count) {
      std::string knobs;
      for (const Knob& knob : cut.knobs) knobs += fmt::format(" {}={}", knob.name, fmt::join(knob.values, ","));
      say(fmt::format("{}: {} schedules, {} starts;{}", name, cut.schedules.size(), cut.starts.size(), knobs));
      continue;
    }
    const auto measurer = make_kernel_measurer(target, builtin_ops(), {.overlap = host_machine().cores > 1});
    const auto [timed, took] = Exhaustion(kernel, target, *measurer, path).run(cut);
    say(fmt::format("{}: {} candidates built and timed, {:.1f} a second", name, timed,
                    static_cast<double>(timed) / took));
    candidates += timed;
    seconds += took;
  }
  if (candidates > 0)
    say(fmt::format("{} candidates in {:.0f} s: {:.1f} a second", candidates, seconds,
                    static_cast<double>(candidates) / seconds));
}

}  // namespace
}  // namespace oc::testing

int main(int argc, char** argv) {
  CLI::App app("Times every schedule of the workloads' cut spaces, one table each.", "exhaust");
  std::filesystem::path folder = OC_TABLES;
  std::vector<std::string> only;
  size_t points = 400;
  bool count = false;
  app.add_option("--tables", folder, "Folder of NAME.workload and NAME.tsv")->capture_default_str();
  app.add_option("--only", only, "These workloads alone")->delimiter(',');
  app.add_option("--points", points, "Schedules a table, at most")->capture_default_str();
  app.add_flag("--count", count, "Times nothing; says what there would be to time");
  CLI11_PARSE(app, argc, argv);
  try {
    oc::testing::exhaust(folder, only, points, count);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
