#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "autotune/limit.h"
#include "autotune/measure/kernel_measurer.h"
#include "autotune/stats.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/inputs.h"
#include "opencompiler/dsl.h"

namespace oc::cli {
namespace {

constexpr size_t kMinRuns = 5, kMaxRuns = 100'000;

struct Flags {
  ModelFlags model;
  std::vector<std::string> inputs;
  std::string trace;
  double seconds = 2;
  bool json = false;
};

// A step of the plan over all runs.
struct Row {
  std::string label;
  double nanoseconds = 0;          // median
  const Kernel* kernel = nullptr;  // null: a copy, or a library whose model is not known
  double limit = 0;                // nanoseconds the machine would need; 0 without a kernel
};

using Runs = std::vector<std::vector<uint64_t>>;  // nanoseconds by run and step

Runs measure(opencompiler::Session& session, const std::map<std::string, Tensor>& given, const Flags& flags) {
  const std::map<std::string, Tensor> tensors = with_zeros(session, given);
  const std::vector<const void*> inputs = bind_inputs(session, tensors);
  std::vector<std::pair<std::string, Tensor>> outputs = make_outputs(session);
  const std::vector<void*> pointers = addresses(outputs);
  session.run(inputs, pointers);
  Runs runs;
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double> span(flags.seconds);
  while (runs.size() < kMinRuns || (runs.size() < kMaxRuns && std::chrono::steady_clock::now() - start < span))
    runs.push_back(session.run_profiled(inputs, pointers));
  return runs;
}

std::vector<Row> rows_of(const opencompiler::Session& session, const Runs& runs) {
  std::vector<Row> rows;
  for (const std::string& label : session.steps()) {
    std::vector<double> times;
    for (const auto& run : runs) times.push_back(static_cast<double>(run[rows.size()]));
    rows.push_back({.label = label, .nanoseconds = median(std::move(times))});
  }
  return rows;
}

// Steps carry their group's label and stand in the groups' order; groups that move nothing have no step.
void add_kernels(std::vector<Row>& rows, const Model& model, const Target& target, const Calibration& calibration) {
  size_t next = 0;
  for (Row& row : rows)
    for (size_t g = next; g < model.partition.groups.size(); ++g) {
      if (model.kernel_of[g] == kNoKernel || group_label(model, g) != row.label) continue;
      row.kernel = &model.kernels[model.kernel_of[g]];
      row.limit = limit_ns(*row.kernel, target, calibration);
      next = g + 1;
      break;
    }
}

void print_table(std::vector<Row> rows, size_t runs) {
  double total = 0;
  for (const Row& row : rows) total += row.nanoseconds;
  std::ranges::stable_sort(rows, std::greater(), &Row::nanoseconds);
  fmt::print("{:>10} {:>6} {:>9} {:>7} {:>9}  step\n", "us", "%", "GFLOP/s", "GB/s", "of limit");
  for (const Row& row : rows) {
    std::string rates = fmt::format("{:>9} {:>7} {:>9}", "", "", "");
    if (row.kernel != nullptr && row.nanoseconds > 0)
      rates = fmt::format("{:9.1f} {:7.1f} {:7.0f} %", row.kernel->flops / row.nanoseconds,
                          static_cast<double>(row.kernel->bytes) / row.nanoseconds,
                          100 * std::min(1.0, row.limit / row.nanoseconds));
    fmt::print("{:10.1f} {:6.1f} {}  {}\n", row.nanoseconds / 1e3, total > 0 ? 100 * row.nanoseconds / total : 0, rates,
               row.label);
  }
  fmt::print("{:10.1f} us in {} steps, medians of {} runs\n", total / 1e3, rows.size(), runs);
}

void print_json(const std::vector<Row>& rows, size_t runs) {
  nlohmann::json steps = nlohmann::json::array();
  for (const Row& row : rows) {
    nlohmann::json step = {{"step", row.label}, {"nanoseconds", row.nanoseconds}};
    if (row.kernel != nullptr)
      step.update({{"kernel", row.kernel->workload.hash()},
                   {"flops", row.kernel->flops},
                   {"bytes", row.kernel->bytes},
                   {"limit_nanoseconds", row.limit}});
    steps.push_back(std::move(step));
  }
  std::cout << nlohmann::json{{"runs", runs}, {"steps", steps}}.dump(2) << '\n';
}

// The run of median length as Chrome's trace events: the steps one after the other inside the run.
void write_trace(const std::string& file, const std::string& name, const std::vector<Row>& rows, Runs runs) {
  const auto length = [](const std::vector<uint64_t>& run) {
    uint64_t sum = 0;
    for (const uint64_t step : run) sum += step;
    return sum;
  };
  std::ranges::nth_element(runs, runs.begin() + static_cast<ptrdiff_t>(runs.size() / 2), {}, length);
  const std::vector<uint64_t>& run = runs[runs.size() / 2];
  nlohmann::json events = nlohmann::json::array();
  const auto event = [&](const std::string& what, uint64_t start, uint64_t duration) {
    events.push_back({{"name", what},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"ts", static_cast<double>(start) / 1e3},
                      {"dur", static_cast<double>(duration) / 1e3}});
  };
  event(name, 0, length(run));
  uint64_t start = 0;
  for (size_t s = 0; s < run.size(); ++s) {
    event(rows[s].label, start, run[s]);
    start += run[s];
  }
  write_file_atomic(file, nlohmann::json{{"traceEvents", events}}.dump());
}

int profile_model(const Flags& flags) {
  const std::map<std::string, Tensor> given = parse_inputs(flags.inputs);
  try {
    std::optional<CompileResult> compiled;
    if (!is_library(flags.model)) compiled = compile_for_run(flags.model, given);
    const opencompiler::Module module(compiled ? compiled->shared_library.string() : library_of(flags.model, given));
    opencompiler::Session session(module, {.num_threads = flags.model.threads});
    choose_shapes(module, session, given);
    const Runs runs = measure(session, given, flags);
    std::vector<Row> rows = rows_of(session, runs);
    if (compiled) {
      const Target target = flags.model.parsed_target();
      const auto measurer = make_kernel_measurer(target, builtin_ops(), {.threads = flags.model.thread_count()});
      add_kernels(rows, compiled->model, target, measurer->calibrate());
    }
    if (!flags.trace.empty()) write_trace(flags.trace, flags.model.file, rows, runs);
    flags.json ? print_json(rows, runs.size()) : print_table(rows, runs.size());
  } catch (const opencompiler::Error& error) {
    user_error("{}: {}", flags.model.file, error.what());
  }
  return kOk;
}

}  // namespace

std::function<int()> add_profile(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("profile", "Time every kernel of a model, beside what the machine allows");
  verb->footer("Example: opencompiler profile model.onnx --trace trace.json   (open it in Perfetto)");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  flags->model.add_schedule_sources_to(*verb);
  add_inputs(*verb, flags->inputs);
  verb->add_option("--trace", flags->trace, "Write the run of median length as a Chrome trace");
  verb->add_option("--time", flags->seconds, "Seconds to run, at least five runs")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  verb->add_flag("--json", flags->json, "Print it as JSON");
  return [flags] { return profile_model(*flags); };
}

}  // namespace oc::cli
