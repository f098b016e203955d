// Rows for the tests.
#pragma once

#include <random>
#include <sstream>
#include <string>

#include "tuning_db/database.h"
#include "tuning_db/machine.h"

namespace oc {

// Descriptions of one model differ in `cores`, which is no part of the hash.
inline MachineRow sample_machine(int cores = 1, const std::string& model = "this") {
  MachineRow row = describe({.vendor = "x", .model = model});
  row.description.insert(1, R"("cores":)" + std::to_string(cores) + ",");
  return row;
}

inline const std::string kMachine = sample_machine().hash;

inline Key sample_key(int threads = 1) {
  return {.workload = "matmul 64x64x64", .machine = kMachine, .features = "x86-64-linux-avx2", .threads = threads};
}

inline Trial sample_trial(const std::string& schedule = "contraction v1",
                          std::vector<int64_t> samples = {300, 100, 200}, const Key& key = sample_key()) {
  return {.workload = key.workload,
          .schedule = schedule,
          .machine = key.machine,
          .features = key.features,
          .threads = key.threads,
          .build = "build",
          .samples_ns = std::move(samples),
          .relative_error = 1.25e-7,
          .unix_ms = 1'700'000'000'000};
}

inline ImportReport import_text(Database& database, const std::string& text) {
  std::istringstream stream(text);
  return database.import_jsonl(stream);
}

inline Trial failed_trial(const std::string& schedule, TrialStatus status) {
  Trial trial = sample_trial(schedule, {});
  trial.status = status;
  trial.message = "it did not work";
  return trial;
}

// From small pools, so that two draws often share something or everything.
class RandomRows {
 public:
  explicit RandomRows(uint32_t seed) : random_(seed) {}

  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }

  Trial trial() {
    Trial out = sample_trial("schedule " + std::to_string(pick(8)), {100 + pick(20)});
    out.workload = "workload " + std::to_string(pick(4));
    out.threads = 1 + pick(2);
    out.status = pick(4) == 0 ? TrialStatus::crash : TrialStatus::ok;
    if (out.status != TrialStatus::ok) out.samples_ns.clear();
    out.unix_ms += pick(2);
    return out;
  }

  void fill(Database& database, int rows) {
    for (int i = 0; i < rows; ++i) {
      const std::string id = database.add_trial(trial());
      switch (pick(6)) {
        case 0: database.add_mark({static_cast<MarkKind>(pick(4)), id, 1'700'000'000'000 + pick(9), ""}); break;
        case 1:
          database.add_workload({"workload " + std::to_string(pick(4)), pick(2) == 0 ? "window" : "contraction"});
          break;
        case 2: database.add_machine(sample_machine(pick(4))); break;
        case 3: database.add_build({"llvm 19", "0.1." + std::to_string(pick(3)), "space"}); break;
        case 4: database.add_calibration({kMachine, "run " + std::to_string(pick(3)), 100, 20, 1, 5}); break;
        default: break;
      }
    }
  }

 private:
  std::mt19937 random_;
};

}  // namespace oc
