// ObjectCache: entries are "<program_key of the key>\n<checksum>\n" followed by the object.
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "generators/build.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

struct Entry {
  fs::path path;
  fs::file_time_type used;
  int64_t bytes;
};

std::vector<Entry> entries(const fs::path& folder) {
  std::vector<Entry> result;
  std::error_code error;
  for (const fs::directory_entry& file : fs::directory_iterator(folder, error)) {
    std::error_code ignored;  // another process may remove it at any moment
    const auto bytes = file.file_size(ignored);
    if (!ignored && file.path().extension() == ".kernel")
      result.push_back({file.path(), file.last_write_time(ignored), static_cast<int64_t>(bytes)});
  }
  return result;
}

}  // namespace

ObjectCache::ObjectCache(fs::path folder, int64_t max_bytes) : folder_(std::move(folder)), max_bytes_(max_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) user_error("{}: cannot make the cache folder: {}", folder_.string(), error.message());
  for (const Entry& entry : entries(folder_)) bytes_ += entry.bytes;
}

std::optional<std::string> ObjectCache::get(const std::string& key) const {
  const fs::path path = folder_ / (key + ".kernel");
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  std::string file;
  try {
    file = read_file(path);
  } catch (const UserError&) {
    return std::nullopt;  // unreadable or removed since: as good as absent
  }
  const size_t first = file.find('\n'), second = file.find('\n', first + 1);
  const bool valid =
      second != std::string::npos && file.compare(0, first, program_key(key)) == 0 &&
      file.compare(first + 1, second - first - 1, content_hash(std::string_view(file).substr(second + 1))) == 0;
  if (!valid) {
    fs::remove(path, error);
    return std::nullopt;
  }
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  return file.substr(second + 1);
}

void ObjectCache::put(const std::string& key, const std::string& object) {
  const std::string file = program_key(key) + "\n" + content_hash(object) + "\n" + object;
  write_file_atomic(folder_ / (key + ".kernel"), file);
  bytes_ += static_cast<int64_t>(file.size());
  if (bytes_ <= max_bytes_) return;
  std::vector<Entry> all = entries(folder_);
  std::ranges::sort(all, {}, &Entry::used);
  bytes_ = 0;
  for (const Entry& entry : all) bytes_ += entry.bytes;
  for (const Entry& entry : all) {
    if (bytes_ <= max_bytes_ * 3 / 4) break;
    std::error_code error;
    fs::remove(entry.path, error);
    bytes_ -= entry.bytes;
  }
}

}  // namespace oc
