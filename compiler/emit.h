// From kernels and their schedules to a library: builds, packs, plans, links. Of one graph, or of one model's graphs
// for several shapes.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "generators/build.h"
#include "generators/interface.h"

namespace oc {

// What the picks of a result say, for print_lock.
[[nodiscard]] Lock make_lock(const CompileResult& result, const Target& target, int threads);

// A kernel whose extents vary cannot be built: another schedule's tiles may not fit into the extents.
struct VaryingFailed {
  Kernel kernel;
};

class LibraryBuilder {
 public:
  // `axes` empty: one graph.
  LibraryBuilder(const OpTable& ops, const CompileOptions& options, std::string name,
                 std::vector<AxisInterface> axes = {})
      : ops_(ops),
        options_(options),
        name_(std::move(name)),
        axes_(std::move(axes)),
        cache_(options.cache / "kernels") {}

  // Builds the kernels that no graph before had, packs and plans. The graphs come in the order of
  // DataObjectRequest::plans, backwards: the largest shapes first, in whose constants others may stand. result.picks
  // and result.lock say afterwards what was built. UserError for a schedule that the user gave and that cannot be built
  // (one from a database gives way to the formula's, with a warning), and for a graph with other outputs;
  // VaryingFailed.
  void add(CompileResult& result, const BuildProgress& progress = {});
  // Sets result.files, shared_library, and of the kernels of all graphs how many were built.
  void write(CompileResult& result, const std::filesystem::path& out_dir, const std::set<Emit>& emit,
             bool separate_weights);
  // Of the kernels of all graphs.
  [[nodiscard]] std::vector<Pick> picks() const;

 private:
  struct Built {
    Kernel kernel;
    Pick pick;
    Artifact artifact;
  };
  [[nodiscard]] std::vector<const Built*> build_all(CompileResult& result, const BuildProgress& progress);
  [[nodiscard]] std::vector<GroupBinding> bind(const CompileResult& result,
                                               const std::vector<const Built*>& kernels) const;
  [[nodiscard]] std::map<std::string, std::string> kernel_texts(const std::set<Emit>& emit) const;

  const OpTable& ops_;
  const CompileOptions& options_;
  std::string name_;
  std::vector<AxisInterface> axes_;
  ObjectCache cache_;
  Interface interface_;                 // of the first graph
  std::map<std::string, Built> built_;  // by workload, what of it varies, and schedule
  std::vector<ShapedPlan> plans_;
  Packer packer_;
  size_t kernels_built_ = 0;
};

}  // namespace oc
