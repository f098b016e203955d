// What measuring children do: load one kernel, check it against the reference, time it. Each function runs in
// a fresh child of measure/kernel_measurer.cpp and returns bytes for the pipe; what they throw becomes the child's
// failure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "autotune/measurer.h"
#include "base/target.h"
#include "base/tensor.h"

namespace oc {

// As link_kernel writes it.
struct BuiltKernel {
  std::string symbol;
  std::string library;  // the bytes of a shared library
};

// The inputs of one workload in its own layouts, and the reference's outputs for them, kept as files.
struct WorkloadData {
  std::vector<Tensor> usual, adversarial;
  std::filesystem::path usual_output, adversarial_output;
};

struct TrialSetup {
  const Kernel& kernel;
  const Target& target;
  int threads;
  const WorkloadData& data;
  int64_t cold_bytes;                   // of weight copies to rotate over
  int64_t patience_ns;                  // after which fewer samples do
  const std::filesystem::path& folder;  // for temporary files; the parent removes it
};

// Runs the unscheduled kernel over both kinds of inputs and writes its outputs to the files of `setup.data`. Returns
// the nanoseconds of one run, as digits.
[[nodiscard]] std::string run_reference(const TrialSetup& setup, const BuiltKernel& reference);

// A Measurement, encoded: ok with samples, or wrong_result.
[[nodiscard]] std::string run_trial(const TrialSetup& setup, const BuiltKernel& built, const Schedule& schedule,
                                    std::optional<double> hopeless_ns);
// A Duel, encoded.
[[nodiscard]] std::string run_duel(const TrialSetup& setup, const BuiltKernel& candidate,
                                   const Schedule& candidate_schedule, const BuiltKernel& incumbent,
                                   const Schedule& incumbent_schedule);

[[nodiscard]] Measurement decode_measurement(const std::string& bytes);
[[nodiscard]] Duel decode_duel(const std::string& bytes);

}  // namespace oc
