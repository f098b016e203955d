// Gradient-boosted trees over the features, by the library XGBoost. One thread, and none left behind: the tuner forks.
#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "autotune/cost_models/estimate.h"
#include "autotune/cost_models/features.h"
#include "base/error.h"

namespace oc {
namespace {

constexpr int kRounds = 100;
constexpr size_t kLeastRows = 16;  // below, the roofline model answers
constexpr std::pair<const char*, const char*> kParameters[] = {
    {"nthread", "1"},          {"seed", "0"},     {"verbosity", "0"},         {"objective", "rank:pairwise"},
    {"tree_method", "hist"},   {"max_bin", "64"}, {"max_depth", "4"},         {"eta", "0.1"},
    {"min_child_weight", "1"}, {"lambda", "1"},   {"colsample_bytree", "0.7"}};

void check(int failed) {
  if (failed != 0) internal_error("XGBoost: {}", XGBGetLastError());
}

struct FreeMatrix {
  void operator()(void* handle) const { XGDMatrixFree(handle); }
};
struct FreeBooster {
  void operator()(void* handle) const { XGBoosterFree(handle); }
};
using Matrix = std::unique_ptr<void, FreeMatrix>;
using Booster = std::unique_ptr<void, FreeBooster>;

// Rows of features, one after the other. Trees start from the estimate's ranking and learn what it gets wrong, so what
// no trial speaks of is ranked by the estimate.
Matrix make_matrix(const std::vector<float>& values) {
  const size_t columns = feature_names().size(), rows = values.size() / columns;
  static const auto kEfficiency =
      static_cast<size_t>(std::ranges::find(feature_names(), "estimate.efficiency") - feature_names().begin());
  DMatrixHandle handle = nullptr;
  check(XGDMatrixCreateFromMat_omp(values.data(), rows, columns, std::numeric_limits<float>::quiet_NaN(), &handle, 1));
  Matrix matrix(handle);
  std::vector<float> margins;
  for (size_t row = 0; row < rows; ++row)
    margins.push_back(std::log2(std::max(1e-6F, values[row * columns + kEfficiency])));
  check(XGDMatrixSetFloatInfo(handle, "base_margin", margins.data(), rows));
  return matrix;
}

// Trials whose times compare.
struct Group {
  std::vector<float> values;  // features, row by row
  std::vector<std::optional<double>> times;
};

class XgboostCostModel final : public CostModel {
 public:
  std::vector<double> predict(const Setting& setting, std::span<const Schedule> schedules) const override {
    if (!booster_) return roofline_->predict(setting, schedules);
    if (schedules.empty()) return {};
    const Matrix matrix = make_matrix(features(setting, schedules));
    bst_ulong count = 0;
    const float* scores = nullptr;
    check(XGBoosterPredict(booster_.get(), matrix.get(), 0, 0, 0, &count, &scores));
    return {scores, scores + count};
  }

  void learn(const Setting& setting, std::string_view bench, const Schedule& schedule,
             std::optional<double> nanoseconds) override {
    Group& group = groups_[fmt::format("{} {} {} {}", bench, setting.target.name(), setting.threads,
                                       setting.kernel.workload.text)];
    const std::vector<float> row = features(setting, {&schedule, 1});
    group.values.insert(group.values.end(), row.begin(), row.end());
    group.times.push_back(nanoseconds);
    if (++kept_ > kMostTrialsLearnt) forget_one();
    fresh_ = true;
  }

  void train() override {
    if (!fresh_) return;
    fresh_ = false;
    std::vector<float> values, labels;
    std::vector<unsigned> sizes;
    for (const auto& [key, group] : groups_) {
      double best = std::numeric_limits<double>::infinity();
      for (const std::optional<double>& time : group.times) best = std::min(best, time.value_or(best));
      if (group.times.size() < 2 || best == std::numeric_limits<double>::infinity()) continue;  // nothing to compare
      values.insert(values.end(), group.values.begin(), group.values.end());
      for (const std::optional<double>& time : group.times)
        labels.push_back(time ? static_cast<float>(best / *time) : 0.0F);
      sizes.push_back(static_cast<unsigned>(group.times.size()));
    }
    if (labels.size() < kLeastRows) return;
    const Matrix matrix = make_matrix(values);
    check(XGDMatrixSetFloatInfo(matrix.get(), "label", labels.data(), labels.size()));
    check(XGDMatrixSetUIntInfo(matrix.get(), "group", sizes.data(), sizes.size()));
    DMatrixHandle handle = matrix.get();
    BoosterHandle made = nullptr;
    check(XGBoosterCreate(&handle, 1, &made));
    booster_.reset(made);
    for (const auto& [name, value] : kParameters) check(XGBoosterSetParam(made, name, value));
    for (int round = 0; round < kRounds; ++round) check(XGBoosterUpdateOneIter(made, round, handle));
  }

 private:
  void forget_one() {
    Group& largest =
        std::ranges::max_element(groups_, {}, [](const auto& entry) { return entry.second.times.size(); })->second;
    largest.values.erase(largest.values.begin(), largest.values.begin() + static_cast<long>(feature_names().size()));
    largest.times.erase(largest.times.begin());
    --kept_;
  }

  std::unique_ptr<CostModel> roofline_ = make_roofline_cost_model();
  std::map<std::string, Group> groups_;
  size_t kept_ = 0;  // rows of all groups
  Booster booster_;
  bool fresh_ = false;
};

}  // namespace

std::unique_ptr<CostModel> make_xgboost_cost_model() {
  return std::make_unique<XgboostCostModel>();
}

}  // namespace oc
