// The front half of every verb: model file → Graph → optimised Graph → fused groups → distinct kernels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/target.h"
#include "dsl/kernel.h"
#include "frontends/onnx/import.h"
#include "graph/partition.h"
#include "graph/pass.h"

namespace oc {

struct ModelOptions {
  std::map<std::string, Extents> shapes;    // --shape, by input name
  std::map<std::string, Tensor> constants;  // --freeze, likewise
  PipelineOptions passes;
  // What every kernel makes becomes an output under the model's name for it, in the order of execution: to be compared.
  // The kernels are those of the model without it.
  bool all_values = false;
};

inline constexpr size_t kNoKernel = SIZE_MAX;  // of a group that moves nothing

struct Model {
  Graph graph;
  Partition partition;
  std::vector<Kernel> kernels;    // distinct workloads, in order of first use
  std::vector<size_t> kernel_of;  // per group: index into kernels, or kNoKernel
  std::vector<int> uses;          // per kernel: how many groups run it
  // Per group: what its kernel, which does not know extents, is to be told: GroupBinding::sizes. Empty: nothing varies.
  std::vector<std::vector<Extents>> sizes_of = {};
  std::vector<std::string> warnings;
};

// UserError when the model cannot be read, names unsupported ops, or needs a dtype kernels do not have.
[[nodiscard]] Model load_model(const std::filesystem::path& file, const OpTable& ops, const Target& target,
                               const ModelOptions& options);
// Of `source`, which is that file: for many shapes it is read once.
[[nodiscard]] Model load_model(OnnxModel& source, const std::filesystem::path& file, const OpTable& ops,
                               const Target& target, const ModelOptions& options);

// "conv+relu (Conv_12)": what group `i` computes and the model's name for it, for people.
[[nodiscard]] std::string group_label(const Model& model, size_t group);

}  // namespace oc
