#include "tuning_db/records.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "base/error.h"

namespace oc {
namespace {

constexpr std::array<std::string_view, 8> kStatusNames = {"ok",    "invalid",     "compile_timeout", "compile_error",
                                                          "crash", "run_timeout", "wrong_result",    "out_of_memory"};
constexpr std::array<std::string_view, 4> kMarkNames = {"pin", "quarantine", "confirm", "clear"};

template <class Enum, size_t N>
std::optional<Enum> parse_name(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view status_name(TrialStatus status) {
  return kStatusNames.at(static_cast<size_t>(status));
}

std::optional<TrialStatus> parse_status(std::string_view name) {
  return parse_name<TrialStatus>(kStatusNames, name);
}

std::string_view mark_name(MarkKind kind) {
  return kMarkNames.at(static_cast<size_t>(kind));
}

std::optional<MarkKind> parse_mark(std::string_view name) {
  return parse_name<MarkKind>(kMarkNames, name);
}

int64_t median_ns(std::span<const int64_t> samples) {
  if (samples.empty()) internal_error("the median of no samples");
  std::vector<int64_t> sorted(samples.begin(), samples.end());
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  if (sorted.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(sorted.begin(), middle), *middle);
}

int64_t unix_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace oc
