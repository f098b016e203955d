// Several databases looked up as one: the user's, the teams', and the schedules that ship with the compiler. Trials are
// ranked together by the rule of Database::best; a mark in one layer holds for the trial wherever it is.
//
// For one thread at a time, const look-ups too: they open the shipped schedules and leave out what turns out unusable.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tuning_db/database.h"

namespace oc {

struct LayerPaths {
  std::optional<std::filesystem::path> user;
  // The user did not name `user`: if it is missing that is nothing, if it is unusable a warning.
  bool user_is_default = false;
  std::vector<std::filesystem::path> teams;     // named, so unusable ones are errors
  std::optional<std::filesystem::path> system;  // a folder of *.jsonl files; missing = none
  std::filesystem::path system_cache;           // a folder that keeps `system` as a database; "" = none is kept
};

class Layers {
 public:
  explicit Layers(std::vector<Database> layers = {}) : layers_(std::move(layers)) {}

  // DatabaseError when a layer turns out to be damaged; a default user database is dropped instead, with a warning.
  // `serves` is asked about the best first, then about the next, until it takes one.
  [[nodiscard]] std::optional<LookupResult> best(const Key& key, std::string_view build,
                                                 const Serves& serves = {}) const;
  [[nodiscard]] std::optional<LookupResult> look_up(const Key& key, std::string_view build,
                                                    const Serves& serves = {}) const;
  // The unions over the layers.
  [[nodiscard]] std::vector<Key> keys_of(std::string_view workload) const;
  [[nodiscard]] std::vector<MachineRow> machines() const;
  // Of the trials, those that begin with `digits`.
  [[nodiscard]] std::set<std::string> trial_ids(std::string_view digits) const;
  // When the newest mark that counts on a trial of this one's key was made, in whatever layer either lies; -1: none
  // was.
  [[nodiscard]] int64_t newest_mark(std::string_view trial) const;
  // Texts of the workloads of which two schedules or more were confirmed there: one may have beaten another. By text.
  [[nodiscard]] std::vector<std::string> contested(std::string_view machine, std::string_view features,
                                                   int threads) const;
  // All trials of a schedule for a workload, on any machine, target and thread count, by id.
  [[nodiscard]] std::vector<Record> records(std::string_view workload, std::string_view schedule) const;
  // As of one database.
  [[nodiscard]] std::vector<Record> records(const Key& key, std::string_view build) const;

  // Look-ups may add to them.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend Layers open_layers(const LayerPaths& paths);
  void open_shipped() const;
  [[nodiscard]] std::vector<Database::State*> states() const;

  template <class Find>
  [[nodiscard]] auto find(const Find& find) const -> decltype(find());

  // A layer that look-ups cannot read is found out by them alone.
  mutable std::vector<Database> layers_;
  mutable std::vector<std::string> warnings_;
  mutable bool first_is_default_ = false;  // layers_[0] is a database that nobody named

  struct Shipped {
    std::filesystem::path folder, cache;
  };
  mutable std::optional<Shipped> unopened_;
};

// Opens all for reading, the shipped schedules when something is first looked up. DatabaseError for a named file that
// cannot be used; skipped system rows become a warning.
[[nodiscard]] Layers open_layers(const LayerPaths& paths);

}  // namespace oc
