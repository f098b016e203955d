#include "compiler/module_cache.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libmodel.so";
constexpr const char* kWeights = "model.weights";
constexpr const char* kStamp = "stamp";

// "<bytes> <checksum>\n"; "" when the file cannot be read.
std::string checksum(const fs::path& file) {
  try {
    const std::string bytes = read_file(file);
    return fmt::format("{} {}\n", bytes.size(), content_hash(bytes));
  } catch (const UserError&) {
    return {};
  }
}

int64_t size_of(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

std::vector<fs::path> children(const fs::path& folder) {
  std::vector<fs::path> result;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) result.push_back(entry.path());
  return result;
}

// Weights that no module links to.
void drop_unused(const fs::path& weights) {
  for (const fs::path& file : children(weights)) {
    std::error_code error;
    if (fs::hard_link_count(file, error) == 1 && !error) fs::remove(file, error);
  }
}

}  // namespace

ModuleCache::ModuleCache(const fs::path& folder, int64_t max_bytes)
    : modules_(folder / "modules"), weights_(folder / "weights"), max_bytes_(max_bytes) {}

bool ModuleCache::holds(const std::string& key) const {
  const fs::path stamp = folder(key) / kStamp;
  std::error_code error;
  if (!fs::exists(stamp, error)) return false;
  std::string sealed;
  try {
    sealed = read_file(stamp);
  } catch (const UserError&) {  // removed since by another process
    return false;
  }
  const std::string library = checksum(folder(key) / kLibrary), weights = checksum(folder(key) / kWeights);
  if (library.empty() || weights.empty() || sealed != library + weights) return false;
  fs::last_write_time(stamp, fs::file_time_type::clock::now(), error);
  return true;
}

// The folder's file becomes a link to the shared one of equal content, which is made of it when there is none. On a
// file system without hard links it stays a file of its own.
void ModuleCache::share_weights(const fs::path& file) const {
  std::error_code error;
  fs::create_directories(weights_, error);
  const std::string sum = checksum(file);
  const fs::path shared = weights_ / content_hash(sum);
  if (fs::equivalent(file, shared, error)) return;
  const fs::path temporary = fs::path(file).concat(fmt::format(".{}", ::getpid()));
  fs::remove(temporary, error);
  if (checksum(shared) == sum) {
    fs::create_hard_link(shared, temporary, error);
    if (!error) fs::rename(temporary, file, error);
  } else {
    fs::create_hard_link(file, temporary, error);
    if (!error) fs::rename(temporary, shared, error);
  }
}

void ModuleCache::seal(const std::string& key) const {
  share_weights(folder(key) / kWeights);
  write_file_atomic(folder(key) / kStamp, checksum(folder(key) / kLibrary) + checksum(folder(key) / kWeights));
  shrink(key);
}

void ModuleCache::shrink(const std::string& kept) const {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
  };
  const auto total = [&] {
    int64_t bytes = 0;
    for (const fs::path& module : children(modules_)) {
      bytes += size_of(module / kLibrary);
      std::error_code error;
      if (fs::hard_link_count(module / kWeights, error) == 1 && !error) bytes += size_of(module / kWeights);
    }
    for (const fs::path& file : children(weights_)) bytes += size_of(file);
    return bytes;
  };
  if (total() <= max_bytes_) return;
  std::vector<Entry> entries;
  for (const fs::path& module : children(modules_)) {
    std::error_code error;
    fs::file_time_type used = fs::last_write_time(module / kStamp, error);
    if (error) used = fs::last_write_time(module, error);  // unsealed: being written, or left by a crash
    if (!error && module.filename() != kept) entries.push_back({module, used});
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (total() <= max_bytes_ * 3 / 4) break;
    std::error_code error;
    fs::remove_all(entry.path, error);
    drop_unused(weights_);
  }
}

}  // namespace oc
