// Files: whole reads, atomic writes, temporary folders, the project's own folders. UserError names the path.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace oc {

// UserError unless it is one: a FIFO would be waited for, a device may never end.
void check_regular(const std::filesystem::path& path);
// UserError if unreadable, not a regular file, or over 4 GiB.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);
// Writes a temporary file beside `path`, fsyncs, renames: readers see the old or the new file, never half of one. A
// symlink stays, what it names is replaced; a device or FIFO is written to.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);
// For temporary files, which nobody else reads and a crash may take: the disk is not waited for.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// A folder under TMPDIR that is removed with its contents on destruction. Its name holds this process's number; the
// first of a process also removes what processes long dead have left.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(TempDir&&) noexcept;
  TempDir& operator=(TempDir&&) noexcept;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// For a parent whose child did not come to its destructors.
void remove_temp_dirs_of(int process);

// $OPENCOMPILER_DB, else $XDG_DATA_HOME/opencompiler/tuning.db, else ~/.local/share/opencompiler/tuning.db
[[nodiscard]] std::filesystem::path default_database_path();
// $OPENCOMPILER_CACHE, else $XDG_CACHE_HOME/opencompiler, else ~/.cache/opencompiler
[[nodiscard]] std::filesystem::path default_cache_path();
[[nodiscard]] std::filesystem::path executable_path();  // of the running program, symlinks resolved
// The key in a cache of what the running program makes of `content`: a hash of it and of the program's file, as another
// build may make something else. Every cache on disk is valid by this rule alone.
[[nodiscard]] std::string program_key(std::string_view content);

}  // namespace oc
