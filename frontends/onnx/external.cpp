#include "frontends/onnx/external.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "frontends/onnx/names.h"

namespace oc::from_onnx {
namespace {

namespace fs = std::filesystem;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void refuse(std::string_view location, std::string_view why) {
  user_error("external data '{}': {}", printable(location), why);
}

std::string reason() {
  return std::generic_category().message(errno);
}

// The components of a relative path, "." left out.
std::vector<std::string> components(std::string_view location) {
  if (location.empty() || location.size() > 4096) refuse(location, "the location is no file name");
  if (location.find('\0') != std::string_view::npos) refuse(location, "the location holds a NUL byte");
  if (location.front() == '/' || location.find('\\') != std::string_view::npos)
    refuse(location, "only paths relative to the model's folder, written with '/', are read");
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string_view part = location.substr(begin, end - begin);
    if (part == "..") refuse(location, "'..' may leave the model's folder; put the weights beside the model");
    if (!part.empty() && part != ".") parts.emplace_back(part);
    begin = end + 1;
  }
  if (parts.empty()) refuse(location, "the location is no file name");
  return parts;
}

// What openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) does, on every kernel and system: one step at a time, each
// refusing links. O_NONBLOCK: a pipe must not hang us before it is recognised.
void open_beneath(const fs::path& folder, std::string_view location, Fd& fd) {
  if (folder.empty()) refuse(location, "the model was given as bytes without a folder; give the model as a file");
  const std::vector<std::string> parts = components(location);
  fd.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) refuse(location, "cannot open the model's folder: " + reason());
  for (size_t i = 0; i < parts.size(); ++i) {
    const int kind = i + 1 < parts.size() ? O_DIRECTORY : 0;
    const int next = ::openat(fd.get(), parts[i].c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | kind);
    const int error = errno;
    struct stat info{};
    const bool link =
        next < 0 && ::fstatat(fd.get(), parts[i].c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
    if (link) refuse(location, "goes through a symbolic link; links are not followed, copy the file");
    if (next < 0) refuse(location, "cannot be opened: " + std::generic_category().message(error));
    fd.reset(next);
  }
}

void check_open(const Fd& fd, std::string_view location, int64_t offset, int64_t length) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) refuse(location, reason());
  if (!S_ISREG(info.st_mode)) refuse(location, "is not a regular file");
  if (info.st_nlink != 1) refuse(location, "has several hard links; copy the file");
  if (offset < 0 || length < 0 || length > info.st_size || offset > info.st_size - length)
    user_error(
        "external data '{}': {} bytes at offset {} are asked for, the file has {}; it may be truncated, fetch it again",
        printable(location), length, offset, static_cast<int64_t>(info.st_size));
}

}  // namespace

void check_external(const fs::path& folder, std::string_view location, int64_t offset, int64_t length) {
  Fd fd(-1);
  open_beneath(folder, location, fd);
  check_open(fd, location, offset, length);
}

void read_external(const fs::path& folder, std::string_view location, int64_t offset, std::span<std::byte> into) {
  Fd fd(-1);
  open_beneath(folder, location, fd);
  check_open(fd, location, offset, static_cast<int64_t>(into.size()));
  while (!into.empty()) {
    const ssize_t n = ::pread(fd.get(), into.data(), into.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse(location, "cannot be read: " + reason());
    if (n == 0) refuse(location, "became shorter while it was read");
    into = into.subspan(static_cast<size_t>(n));
    offset += n;
  }
}

}  // namespace oc::from_onnx
