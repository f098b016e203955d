#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "cli/verb.h"
#include "compiler/compile.h"
#include "generators/disassemble.h"
#include "graph/text.h"
#include "opencompiler/dsl.h"
#include "schedules/apply.h"

namespace oc::cli {
namespace {

struct Flags {
  ModelFlags model;
  std::string kernel, format = "text";
  bool graph = false;
};

// Index of the kernel whose workload hash begins with `prefix`.
size_t find_kernel(const Model& model, const std::string& prefix) {
  for (size_t k = 0; k < model.kernels.size(); ++k)
    if (model.kernels[k].workload.hash().starts_with(prefix)) return k;
  user_error("the model has no kernel '{}'; `explain` without --kernel lists them", prefix);
}

nlohmann::json to_json(const CompileResult& result) {
  nlohmann::json groups = nlohmann::json::array();
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
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

std::string one_line(std::string schedule) {
  std::ranges::replace(schedule, '\n', ';');
  while (schedule.ends_with(';')) schedule.pop_back();
  return schedule;
}

void print_text(const CompileResult& result) {
  for (size_t g = 0; g < result.model.partition.groups.size(); ++g) {
    const size_t k = result.model.kernel_of[g];
    const Kernel& kernel = result.model.kernels[k];
    fmt::print("{} {}\n    kernel {}  {:.3f} GFLOP  {:.2f} MB  -> {} {}\n    schedule ({}{}) {}\n    ends here: {}\n",
               family_name(kernel.family), group_label(result.model, g), kernel.workload.hash().substr(0, 12),
               kernel.flops / 1e9, static_cast<double>(kernel.bytes) / 1e6, fmt::join(kernel.output().extents(), "x"),
               layout_tag(kernel.output().layout, kernel.output().shape.size()), result.picks[k].rung,
               result.picks[k].trial.empty() ? "" : " " + result.picks[k].trial.substr(0, 12),
               one_line(print_schedule(result.picks[k].schedule)), result.model.partition.groups[g].reason);
  }
  fmt::print("{} groups, {} distinct kernels, {} views\n", result.model.partition.groups.size(),
             result.model.kernels.size(), result.model.partition.views.size());
}

// One kernel from its graph down to its instructions. Lowering runs in a child, as every build does.
void print_kernel(const CompileResult& result, size_t k, const Target& target) {
  const Kernel& kernel = result.model.kernels[k];
  const Schedule& schedule = result.picks[k].schedule;
  fmt::print("== workload {}\n{}\n== schedule ({})\n{}\n", kernel.workload.hash(), kernel.workload.text,
             result.picks[k].rung, print_schedule(schedule));
  const ChildResult nest = run_in_child([&] { return print_loop_nest(kernel, builtin_ops(), target, schedule); });
  if (nest.status != ChildStatus::ok) internal_error("loop nest: {}", nest.result);
  const BuildJob job{&kernel, schedule};
  const std::vector<BuildOutcome> built = build_kernels({&job, 1}, builtin_ops(), target, {});
  if (built[0].status != ChildStatus::ok) internal_error("kernel {}: {}", kernel.workload.hash(), built[0].error);
  fmt::print("== loop nest\n{}\n== assembly\n{}", nest.result, disassemble(built[0].artifact.object, target));
}

int run_explain(const Flags& flags) {
  CompileOptions options;
  options.model = flags.model.model_options();
  options.target = flags.model.parsed_target();
  options.threads = flags.model.thread_count();
  options.layers = flags.model.layers();
  const CompileResult result = plan_compile(flags.model.file, builtin_ops(), options);
  warn(result.warnings);
  if (flags.graph) {
    std::cout << print_graph(result.model.graph);
  } else if (!flags.kernel.empty()) {
    print_kernel(result, find_kernel(result.model, flags.kernel), options.target);
  } else if (flags.format == "json") {
    std::cout << to_json(result).dump(2) << '\n';
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
  flags->model.add_passes_to(*verb);
  verb->add_option("--kernel", flags->kernel, "Only this kernel (first digits of its hash), down to its assembly");
  verb->add_option("--format", flags->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  verb->add_flag("--graph", flags->graph, "The optimised graph's text");
  return [flags] { return run_explain(*flags); };
}

}  // namespace oc::cli
