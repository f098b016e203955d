#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::string reason() {
  return std::generic_category().message(errno);
}

std::string random_name() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// Writes everything, or returns false with errno set.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// What `path` names when its symlinks are followed, whether that exists or not.
fs::path followed(fs::path path) {
  constexpr int kMostLinks = 40;  // as Linux
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;
  }
  return path;
}

// An XDG variable counts only when absolute; the specification says to ignore others.
fs::path from_home(const char* variable, const char* below_home) {
  const char* value = std::getenv(variable);
  if (value != nullptr && value[0] == '/') return value;
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/')
    user_error("neither {} nor HOME is set to an absolute path: set one, or name the file on the command line",
               variable);
  return fs::path(home) / below_home;
}

}  // namespace

void check_regular(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) user_error("cannot read {}: {}", path.string(), reason());
  if (S_ISDIR(info.st_mode)) user_error("cannot read {}: it is a folder", path.string());
  if (!S_ISREG(info.st_mode)) user_error("cannot read {}: it is not a regular file; save it as one", path.string());
}

std::string read_file(const fs::path& path) {
  check_regular(path);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) user_error("cannot read {}: {}", path.string(), reason());
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) user_error("cannot read {}: {}", path.string(), reason());
  if (info.st_size > kMaxFileBytes)
    user_error("cannot read {}: {} bytes, the limit is {}", path.string(), static_cast<int64_t>(info.st_size),
               kMaxFileBytes);
  // The size is a hint: files under /proc report 0, and a file may grow while it is read.
  std::string bytes(static_cast<size_t>(info.st_size) + 1, '\0');
  size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(bytes.size() * 2 + 4096);
    const ssize_t n = ::read(fd.get(), bytes.data() + used, bytes.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) user_error("cannot read {}: {}", path.string(), reason());
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > static_cast<size_t>(kMaxFileBytes))
      user_error("cannot read {}: over the limit of {} bytes", path.string(), kMaxFileBytes);
  }
  bytes.resize(used);
  return bytes;
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  std::error_code error;
  const fs::file_status now = fs::status(path, error);
  if (!fs::status_known(now)) user_error("cannot write {}: {}", path.string(), error.message());
  if (fs::is_directory(now)) user_error("cannot write {}: it is a folder", path.string());
  if (fs::is_other(now)) return write_file(path, bytes);
  const fs::path target = followed(path), folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  const fs::path temporary = folder / fmt::format(".{}.{}", target.filename().string(), random_name());
  const auto fail = [&](const std::string& why) {
    ::unlink(temporary.c_str());
    user_error("cannot write {}: {}", path.string(), why);
  };
  {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd.get() < 0) user_error("cannot write {}: {}", path.string(), reason());
    if (!write_all(fd.get(), bytes) || ::fsync(fd.get()) != 0) fail(reason());
  }
  if (::rename(temporary.c_str(), target.c_str()) != 0) fail(reason());
  // Makes the rename itself durable; some file systems refuse to sync a folder, which loses nothing that was there.
  const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) (void)::fsync(directory.get());
}

void write_file(const fs::path& path, std::string_view bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0 || !write_all(fd.get(), bytes)) user_error("cannot write {}: {}", path.string(), reason());
}

namespace {

constexpr std::string_view kTempPrefix = "opencompiler-";
constexpr auto kStale = std::chrono::minutes(10);  // a process of another container may only look dead

// The number of the process that made this temporary folder; 0 for other paths.
int maker_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kTempPrefix)) return 0;
  const char* digits = name.c_str() + kTempPrefix.size();
  int process = 0;
  const auto [end, error] = std::from_chars(digits, name.c_str() + name.size(), process);
  return error == std::errc() && *end == '-' ? process : 0;
}

fs::path temp_folder() {
  std::error_code error;
  fs::path folder = fs::temp_directory_path(error);
  if (error) user_error("no folder for temporary files: {}; set TMPDIR to one", error.message());
  return folder;
}

void remove_temp_dirs(const std::function<bool(const fs::path&, int)>& unwanted) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(temp_folder(), ignored))
    if (const int process = maker_of(entry.path()); process > 0 && unwanted(entry.path(), process))
      found.push_back(entry.path());
  for (const fs::path& path : found) fs::remove_all(path, ignored);
}

// Zombies are: a container's first process may be long in collecting them, or never do.
bool is_no_more(int process) {
  if (::kill(process, 0) != 0) return errno == ESRCH;
  std::ifstream file(fmt::format("/proc/{}/stat", process));  // "25086 (the name) Z …"
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.substr(name_end).starts_with(") Z");
}

void sweep_temp_dirs() {
  remove_temp_dirs([](const fs::path& path, int process) {
    std::error_code error;
    const auto written = fs::last_write_time(path, error);
    return !error && fs::file_time_type::clock::now() - written > kStale && is_no_more(process);
  });
}

}  // namespace

void remove_temp_dirs_of(int process) {
  remove_temp_dirs([&](const fs::path&, int maker) { return maker == process; });
}

TempDir::TempDir() {
  static std::once_flag swept;
  std::call_once(swept, sweep_temp_dirs);
  std::string name = (temp_folder() / fmt::format("{}{}-XXXXXX", kTempPrefix, ::getpid())).string();
  if (::mkdtemp(name.data()) == nullptr)
    user_error("cannot make a temporary folder {}: {}; set TMPDIR to where there can be one", name, reason());
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

fs::path default_database_path() {
  if (const char* path = std::getenv("OPENCOMPILER_DB"); path != nullptr && *path != '\0') return path;
  return from_home("XDG_DATA_HOME", ".local/share") / "opencompiler" / "tuning.db";
}

fs::path default_cache_path() {
  if (const char* path = std::getenv("OPENCOMPILER_CACHE"); path != nullptr && *path != '\0') return path;
  return from_home("XDG_CACHE_HOME", ".cache") / "opencompiler";
}

fs::path executable_path() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) user_error("cannot find the running program through /proc/self/exe: {}", error.message());
  return path;
}

std::string program_key(std::string_view content) {
  static const std::string program = content_hash(read_file("/proc/self/exe"));
  return content_hash(fmt::format("{}\n{}", program, content));
}

}  // namespace oc
