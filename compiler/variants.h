// Kernels for extents that vary, remembered from one shape of a model to the next: the first shape's are built for its
// extents, a second shape's for extents that vary where the two differ, and others use those again that fit.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/model.h"
#include "compiler/pick.h"

namespace oc {

class Variants {
 public:
  // What `file` holds; nothing when it is missing, damaged or of another program.
  Variants(std::filesystem::path file, const OpTable& ops);

  // Replaces kernels of `model` by ones that vary, with their `picks`, and learns those that are new. `pick` says what
  // a kernel would be built with; one that was timed with its own extents stays as it is and is not learned.
  void apply(Model& model, std::vector<Pick>& picks, const Target& target,
             const std::function<Pick(const Kernel&)>& pick);
  // One that varies cannot be built: kernels like it are built as they are from now on.
  void give_up(const Kernel& kernel);
  // Forgets the others but those given up: the shapes they were learned from get kernels that vary, too, as all that
  // comes.
  void keep_those_that_vary();
  // Writes what was learned. A folder that cannot be written forgets; of two compiles at once the last one is heard.
  void save() const;

 private:
  struct Known {
    Kernel kernel;
    std::string other;  // the workload that says what of it varies; "" when nothing does
    size_t place = 0;   // among the kernels of its model
    std::optional<Pick> pick = {};
    bool given_up = false;
  };
  struct Search {
    const Target& target;
    const std::function<Pick(const Kernel&)>& pick;
  };
  [[nodiscard]] const Known* serving(const Kernel& wanted, const Search& search);
  [[nodiscard]] bool is_given_up(const Kernel& wanted) const;
  [[nodiscard]] std::optional<Known> made_from(const Kernel& wanted, size_t place) const;
  [[nodiscard]] Known learned(const Kernel& wanted, size_t place, const Pick& own, const Search& search) const;

  std::filesystem::path file_;
  const OpTable& ops_;
  std::vector<Known> known_;
  bool learned_ = false;
};

}  // namespace oc
