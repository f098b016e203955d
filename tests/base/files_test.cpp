#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/process.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

size_t entries(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Files, WriteThenReadGivesTheSameBytes) {
  const TempDir dir;
  const fs::path file = dir.path() / "a.bin";
  const std::string bytes("\0\n\xff middle \0", 12);
  write_file_atomic(file, bytes);
  EXPECT_EQ(read_file(file), bytes);
  write_file_atomic(file, "");
  EXPECT_EQ(read_file(file), "");
  EXPECT_EQ(entries(dir.path()), 1U) << "a temporary file stayed behind";
  write_file(file, bytes + bytes);
  write_file(file, bytes);
  EXPECT_EQ(read_file(file), bytes);
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const TempDir dir;
  const fs::path file = dir.path() / "a.bin";
  write_file_atomic(file, "old");
  // RLIMIT_FSIZE makes the write fail half way, as a full disk does.
  const ChildResult result = run_in_child([&]() -> std::string {
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);
    return error_of([&] { write_file_atomic(file, std::string(1 << 20, 'x')); });
  });
  EXPECT_EQ(result.status, ChildStatus::ok);
  EXPECT_EQ(result.result, "cannot write " + file.string() + ": File too large");
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(entries(dir.path()), 1U);
}

TEST(Files, AKilledWriterLeavesTheOldFile) {
  const TempDir dir;
  const fs::path file = dir.path() / "a.bin";
  const std::string old(1 << 16, 'o'), replacement(1 << 22, 'n');
  write_file_atomic(file, old);
  for (int ms = 0; ms < 20; ++ms) {
    ChildLimits limits;
    limits.wall = std::chrono::milliseconds(ms);
    (void)run_in_child(
        [&]() -> std::string {
          for (;;) {
            write_file_atomic(file, replacement);
            write_file_atomic(file, old);
          }
        },
        limits);
    const std::string now = read_file(file);
    EXPECT_TRUE(now == old || now == replacement);
  }
}

TEST(Files, ErrorsNameThePath) {
  const TempDir dir;
  const std::string folder = dir.path().string();
  EXPECT_EQ(error_of([&] { (void)read_file(dir.path() / "none"); }),
            "cannot read " + folder + "/none: No such file or directory");
  EXPECT_EQ(error_of([&] { (void)read_file(dir.path()); }), "cannot read " + folder + ": it is a folder");
  EXPECT_EQ(error_of([&] { write_file_atomic(dir.path() / "no" / "file", "x"); }),
            "cannot write " + folder + "/no/file: No such file or directory");
  EXPECT_EQ(error_of([&] { write_file_atomic(dir.path(), "x"); }), "cannot write " + folder + ": it is a folder");
  EXPECT_EQ(error_of([&] { write_file(dir.path() / "no" / "file", "x"); }),
            "cannot write " + folder + "/no/file: No such file or directory");
}

TEST(Files, SymlinksStayAndWhatTheyNameIsReplaced) {
  const TempDir dir;
  fs::create_directory(dir.path() / "sub");
  write_file_atomic(dir.path() / "sub" / "file", "old");
  fs::create_symlink("sub/file", dir.path() / "link");
  fs::create_symlink(dir.path() / "link", dir.path() / "again");
  fs::create_symlink("sub/none", dir.path() / "dangling");
  write_file_atomic(dir.path() / "again", "new");
  write_file_atomic(dir.path() / "dangling", "made");
  EXPECT_EQ(read_file(dir.path() / "sub" / "file"), "new");
  EXPECT_EQ(read_file(dir.path() / "sub" / "none"), "made");
  for (const char* link : {"link", "again", "dangling"}) EXPECT_TRUE(fs::is_symlink(dir.path() / link)) << link;
  EXPECT_EQ(entries(dir.path() / "sub"), 2U) << "a temporary file stayed behind";
  fs::create_symlink("loop", dir.path() / "loop");
  EXPECT_THAT(error_of([&] { write_file_atomic(dir.path() / "loop", "x"); }), HasSubstr("symbolic links"));
}

TEST(Files, AFifoIsWrittenToAndNotReadFrom) {
  const TempDir dir;
  const fs::path fifo = dir.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  fs::create_symlink("fifo", dir.path() / "link");
  const std::string bytes(1 << 20, 'b');
  for (const char* name : {"fifo", "link"}) {
    std::string found;
    std::thread reader([&] {
      std::ifstream in(fifo, std::ios::binary);
      found.assign(std::istreambuf_iterator<char>(in), {});
    });
    write_file_atomic(dir.path() / name, bytes);
    reader.join();
    EXPECT_TRUE(found == bytes) << name;
  }
  EXPECT_TRUE(fs::is_fifo(fifo));
  EXPECT_EQ(error_of([&] { (void)read_file(fifo); }),
            "cannot read " + fifo.string() + ": it is not a regular file; save it as one");
}

TEST(Files, RefusesFilesOverTheLimit) {
  const TempDir dir;
  const fs::path file = dir.path() / "sparse";
  std::ofstream(file).put('x');
  if (::truncate(file.c_str(), (off_t{4} << 30) + 1) != 0) GTEST_SKIP() << "no sparse files here";
  EXPECT_THAT(error_of([&] { (void)read_file(file); }), HasSubstr("4294967297 bytes, the limit is 4294967296"));
}

TEST(Files, ReadsFilesWithoutASize) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));
}

TEST(Files, TempDirsGoAwayAndMove) {
  fs::path path;
  {
    TempDir a;
    path = a.path();
    write_file_atomic(path / "x", "1");
    const TempDir b = std::move(a);
    EXPECT_EQ(b.path(), path);
    EXPECT_TRUE(fs::exists(path / "x"));
  }
  EXPECT_FALSE(fs::exists(path));
}

// Sets a variable for one scope.
class Env {
 public:
  Env(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Env() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(Files, DefaultPathsFollowTheEnvironment) {
  const Env home("HOME", "/h"), data("XDG_DATA_HOME", nullptr), cache("XDG_CACHE_HOME", "relative");
  const Env db("OPENCOMPILER_DB", nullptr), own_cache("OPENCOMPILER_CACHE", nullptr);
  EXPECT_EQ(default_database_path(), "/h/.local/share/opencompiler/tuning.db");
  EXPECT_EQ(default_cache_path(), "/h/.cache/opencompiler");  // the specification ignores relative values
  const Env xdg("XDG_DATA_HOME", "/data");
  EXPECT_EQ(default_database_path(), "/data/opencompiler/tuning.db");
  const Env set("OPENCOMPILER_DB", "my.db"), set_cache("OPENCOMPILER_CACHE", "/c");
  EXPECT_EQ(default_database_path(), "my.db");
  EXPECT_EQ(default_cache_path(), "/c");
}

TEST(Files, ExecutablePathIsThisProgram) {
  EXPECT_EQ(executable_path().filename(), "base_test");
}

}  // namespace
}  // namespace oc
