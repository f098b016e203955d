#include "autotune/measure/trial.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "autotune/measure/bench.h"
#include "autotune/measure/inputs.h"
#include "autotune/measure/load.h"
#include "base/compare.h"
#include "base/error.h"
#include "base/files.h"

namespace oc {
namespace {

using Json = nlohmann::json;

// With large values strewn in, an epilogue such as sigmoid turns legitimate rounding of a long sum into a visible
// difference; the adversarial run is after NaN, infinities and gross errors.
constexpr double kAdversarialTolerance = 1e-2;

// The inputs as the schedule wants them: weights in its packing.
std::vector<Tensor> packed(const TrialSetup& setup, const Schedule& schedule, const std::vector<Tensor>& inputs) {
  return pack_tensors(inputs, weight_packings(setup.kernel, setup.target, schedule));
}

double error_against(const std::filesystem::path& reference, DType dtype, const std::string& output, bool winograd) {
  const std::string expected = read_file(reference);
  const auto compare = winograd ? err_where_finite : static_cast<decltype(&err_where_finite)>(err);
  return compare(dtype, std::as_bytes(std::span(output)), std::as_bytes(std::span(expected)));
}

bool by_winograd(const TrialSetup& setup, const Schedule& schedule) {
  return std::ranges::any_of(weight_packings(setup.kernel, setup.target, schedule),
                             [](const auto& packing) { return packing && !packing->transform.empty(); });
}

// Infinity is no JSON number.
constexpr double kIncomparable = std::numeric_limits<double>::max();

std::string encode(const Measurement& measurement) {
  return Json{{"wrong", measurement.status == TrialStatus::wrong_result},
              {"samples", measurement.samples_ns},
              {"error", std::min(measurement.error, kIncomparable)},
              {"message", measurement.message}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string encode_wrong(double error, std::string message) {
  return encode({.status = TrialStatus::wrong_result, .error = error, .message = std::move(message)});
}

LoadedKernel load(const TrialSetup& setup, const BuiltKernel& kernel) {
  return {kernel, setup.folder};
}

std::string checked_output(Bench& bench, std::string& complaint) {
  try {
    return bench.run_checked();
  } catch (const UserError& error) {
    complaint = error.what();
    return {};
  }
}

}  // namespace

std::string run_reference(const TrialSetup& setup, const BuiltKernel& reference) {
  const KernelEntry entry = load(setup, reference).start(setup.threads);
  Bench usual(setup.kernel, entry, setup.data.usual, 0);
  const auto start = std::chrono::steady_clock::now();
  const std::string output = usual.run_checked();
  const std::chrono::nanoseconds span = std::chrono::steady_clock::now() - start;
  write_file_atomic(setup.data.usual_output, output);
  Bench adversarial(setup.kernel, entry, setup.data.adversarial, 0);
  write_file_atomic(setup.data.adversarial_output, adversarial.run_checked());
  return std::to_string(span.count());
}

std::string run_trial(const TrialSetup& setup, const BuiltKernel& built, const Schedule& schedule,
                      std::optional<double> hopeless_ns) {
  const KernelEntry entry = load(setup, built).start(setup.threads);
  const DType dtype = setup.kernel.output().dtype;
  const bool winograd = by_winograd(setup, schedule);
  std::string complaint;

  Bench bench(setup.kernel, entry, packed(setup, schedule, setup.data.usual), setup.cold_bytes);
  const std::string output = checked_output(bench, complaint);
  if (!complaint.empty()) return encode_wrong(kIncomparable, complaint);
  const double error = error_against(setup.data.usual_output, dtype, output, winograd);
  const double exact = kernel_tolerance(reduced_elements(setup.kernel));
  const double tolerance = winograd ? std::min(exact, kWinogradTolerance) : exact;
  if (!(error <= tolerance))
    return encode_wrong(error, fmt::format("the output is off by {:.2e}; {:.1e} is allowed", error, tolerance));
  {
    Bench adversarial(setup.kernel, entry, packed(setup, schedule, setup.data.adversarial), 0);
    const std::string other = checked_output(adversarial, complaint);
    if (!complaint.empty()) return encode_wrong(kIncomparable, complaint);
    const double difference = error_against(setup.data.adversarial_output, dtype, other, winograd);
    if (!(difference <= kAdversarialTolerance))
      return encode_wrong(difference,
                          fmt::format("with NaN, infinities and large values the output is off by {:.2e}", difference));
  }
  return encode({.samples_ns = time_samples(bench, hopeless_ns, setup.patience_ns), .error = error, .message = {}});
}

std::string run_duel(const TrialSetup& setup, const BuiltKernel& candidate, const Schedule& candidate_schedule,
                     const BuiltKernel& incumbent, const Schedule& incumbent_schedule) {
  const LoadedKernel first_loaded = load(setup, candidate), second_loaded = load(setup, incumbent);
  Bench first(setup.kernel, first_loaded.start(setup.threads), packed(setup, candidate_schedule, setup.data.usual),
              setup.cold_bytes);
  Bench second(setup.kernel, second_loaded.start(setup.threads), packed(setup, incumbent_schedule, setup.data.usual),
               setup.cold_bytes);
  const Duel duel = time_duel(first, second, setup.patience_ns);
  return Json{{"candidate", duel.candidate_ns}, {"incumbent", duel.incumbent_ns}}.dump();
}

Measurement decode_measurement(const std::string& bytes) {
  const Json json = Json::parse(bytes);
  Measurement result;
  result.status = json.at("wrong").get<bool>() ? TrialStatus::wrong_result : TrialStatus::ok;
  result.samples_ns = json.at("samples").get<std::vector<int64_t>>();
  const double error = json.at("error").get<double>();
  result.error = error < kIncomparable ? error : std::numeric_limits<double>::infinity();
  result.message = json.at("message").get<std::string>();
  return result;
}

Duel decode_duel(const std::string& bytes) {
  const Json json = Json::parse(bytes);
  return {json.at("candidate").get<std::vector<int64_t>>(), json.at("incumbent").get<std::vector<int64_t>>()};
}

}  // namespace oc
