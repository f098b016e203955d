#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "cli/verb.h"
#include "compiler/compile.h"
#include "generators/build.h"
#include "generators/disassemble.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"
#include "schedules/apply.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string kernel, format = "text";
  bool graph = false, passes = false;
};

// Index of the kernel whose workload hash begins with `prefix`.
size_t find_kernel(const Model& model, const std::string& prefix) {
  std::vector<size_t> found;
  for (size_t k = 0; k < model.kernels.size(); ++k)
    if (model.kernels[k].workload.hash().starts_with(prefix)) found.push_back(k);
  if (found.empty()) user_error("the model has no kernel '{}'; `explain` without --kernel lists them", prefix);
  if (found.size() == 1) return found.front();
  std::string list;
  for (const size_t k : found) {
    const auto group = static_cast<size_t>(std::ranges::find(model.kernel_of, k) - model.kernel_of.begin());
    list += fmt::format("\n  {}  {}", model.kernels[k].workload.hash(), group_label(model, group));
  }
  user_error("--kernel {}: {} kernels begin with it; give more digits of one of{}", prefix, found.size(), list);
}

nlohmann::json to_json(const CompileResult& result) {
  nlohmann::json groups = nlohmann::json::array();
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
    if (k == kNoKernel) {
      groups.push_back({{"group", group_label(result.model, g)}, {"kernel", nullptr}});
      continue;
    }
    const Kernel& kernel = result.model.kernels[k];
    groups.push_back({{"group", group_label(result.model, g)},
                      {"kernel", kernel.workload.hash()},
                      {"family", family_name(kernel.family)},
                      {"flops", kernel.flops},
                      {"bytes", kernel.bytes},
                      {"not_fused_further", result.model.partition.groups[g].reason},
                      {"schedule", print_schedule(result.picks[k].schedule)},
                      {"rung", result.picks[k].rung},
                      {"trial", result.picks[k].trial}});
  }
  return {{"groups", groups}, {"kernels", result.model.kernels.size()}};
}

// Names in a model may be no UTF-8.
std::string dump(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

void print_passes(const std::vector<PassRecord>& passes, bool json) {
  nlohmann::json rows = nlohmann::json::array();
  if (!json) fmt::print("{:<24} {:>9} {:>7} {:>7}  changed\n", "pass", "ms", "before", "after");
  for (const PassRecord& pass : passes) {
    if (!json)
      fmt::print("{:<24} {:>9.2f} {:>7} {:>7}  {}\n", pass.name, pass.milliseconds, pass.nodes_before, pass.nodes_after,
                 pass.changed ? "yes" : "-");
    rows.push_back({{"pass", pass.name},
                    {"milliseconds", pass.milliseconds},
                    {"nodes_before", pass.nodes_before},
                    {"nodes_after", pass.nodes_after},
                    {"changed", pass.changed}});
  }
  if (json) std::cout << dump({{"passes", rows}}) << '\n';
}

// "exact 3fa92c01be77": the rung and the first digits of the trial, if there is one.
std::string where_from(const Pick& pick) {
  return pick.trial.empty() ? pick.rung : pick.rung + " " + pick.trial.substr(0, 12);
}

std::string one_line(std::string schedule) {
  std::ranges::replace(schedule, '\n', ';');
  while (schedule.ends_with(';')) schedule.pop_back();
  return schedule;
}

void print_text(const CompileResult& result) {
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
    if (k == kNoKernel) {
      fmt::print("{}\n    no kernel: moves nothing\n", group_label(result.model, g));
      continue;
    }
    const Kernel& kernel = result.model.kernels[k];
    fmt::print("{} {}\n    kernel {}  {:.3f} GFLOP  {:.2f} MB  -> {} {}\n    schedule ({}) {}\n    ends here: {}\n",
               family_name(kernel.family), group_label(result.model, g), kernel.workload.hash().substr(0, 12),
               kernel.flops / 1e9, static_cast<double>(kernel.bytes) / 1e6, fmt::join(kernel.output().extents(), "x"),
               layout_tag(kernel.output().layout, kernel.output().shape.size()), where_from(result.picks[k]),
               one_line(print_schedule(result.picks[k].schedule)), result.model.partition.groups[g].reason);
  }
  fmt::print("{} groups, {} distinct kernels, {} views\n", result.model.partition.groups.size(),
             result.model.kernels.size(), result.model.partition.views.size());
}

struct KernelTexts {
  std::string loop_nest, assembly;
};

// Lowering and building run in children, as every build does.
KernelTexts texts_of(const Kernel& kernel, const Schedule& schedule, const Target& target) {
  const ChildResult nest = run_in_child([&] { return print_loop_nest(kernel, builtin_ops(), target, schedule); });
  if (nest.status != ChildStatus::ok) internal_error("loop nest: {}", nest.result);
  const BuildJob job{&kernel, schedule};
  const std::vector<BuildOutcome> built = build_kernels({&job, 1}, builtin_ops(), target, {});
  if (built[0].status != ChildStatus::ok) internal_error("kernel {}: {}", kernel.workload.hash(), built[0].error);
  return {nest.result, disassemble(built[0].artifact.object, target)};
}

// One kernel from its graph down to its instructions.
void print_kernel(const CompileResult& result, size_t k, const Target& target, bool json) {
  const Kernel& kernel = result.model.kernels[k];
  const Schedule& schedule = result.picks[k].schedule;
  const KernelTexts texts = texts_of(kernel, schedule, target);
  if (json) {
    const nlohmann::json row = {
        {"kernel", kernel.workload.hash()}, {"workload", kernel.workload.text}, {"schedule", print_schedule(schedule)},
        {"rung", result.picks[k].rung},     {"trial", result.picks[k].trial},   {"loop_nest", texts.loop_nest},
        {"assembly", texts.assembly}};
    std::cout << dump(row) << '\n';
    return;
  }
  fmt::print("== workload {}\n{}\n== schedule ({})\n{}\n", kernel.workload.hash(), kernel.workload.text,
             where_from(result.picks[k]), print_schedule(schedule));
  fmt::print("== loop nest\n{}\n== assembly\n{}", texts.loop_nest, texts.assembly);
}

int run_explain(const Flags& flags) {
  CompileOptions options = flags.model.compile_options();
  options.target = flags.model.parsed_target();
  std::vector<PassRecord> passes;
  options.model.passes.observe = [&](const PassRecord& pass, const Graph&) { passes.push_back(pass); };
  const CompileResult result = plan_compile(flags.model.file, builtin_ops(), options);
  warn(result.warnings);
  const bool json = flags.format == "json";
  if (flags.passes) {
    print_passes(passes, json);
  } else if (flags.graph) {
    std::cout << print_graph(result.model.graph);
  } else if (!flags.kernel.empty()) {
    print_kernel(result, find_kernel(result.model, flags.kernel), options.target, json);
  } else if (json) {
    std::cout << dump(to_json(result)) << '\n';
  } else {
    print_text(result);
  }
  return kOk;
}

}  // namespace

std::function<int()> add_explain(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("explain", "Graph, fused groups, schedules and where they come from, loop nest, assembly");
  verb->footer("Example: opencompiler explain model.onnx --kernel 3fa92c");
  auto flags = std::make_shared<Flags>();
  flags->model.add_to(*verb);
  flags->model.add_schedule_sources_to(*verb);
  flags->model.add_passes_to(*verb);
  verb->add_option("--kernel", flags->kernel, "Only this kernel (first digits of its hash), down to its assembly");
  verb->add_option("--format", flags->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  verb->add_flag("--graph", flags->graph, "The optimised graph's text");
  verb->add_flag("--passes", flags->passes, "What each graph pass took and did");
  return [flags] { return run_explain(*flags); };
}

}  // namespace oc::cli
