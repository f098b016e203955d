// Compiled libraries on disk for `run` and InferenceSession: a folder a key with libmodel.so and model.weights, sealed
// by a stamp that holds their sizes and checksums. Weights of equal content are one file, hard-linked into every folder
// that needs it. Least recently used folders go first when there are too many bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace oc {

class ModuleCache {
 public:
  explicit ModuleCache(const std::filesystem::path& folder, int64_t max_bytes = int64_t{4} << 30);

  [[nodiscard]] std::filesystem::path folder(const std::string& key) const { return modules_ / key; }
  // Whether the library of this key is there as it was sealed; then it counts as used now. A damaged one is as good as
  // absent: what replaces it is written by rename, so that nobody who has it open sees the change.
  [[nodiscard]] bool holds(const std::string& key) const;
  // To be called when the files stand in folder(key): shares the weights, writes the stamp, then removes others that
  // are too many.
  void seal(const std::string& key) const;

 private:
  void share_weights(const std::filesystem::path& file) const;
  void shrink(const std::string& kept) const;

  std::filesystem::path modules_, weights_;
  int64_t max_bytes_;
};

}  // namespace oc
